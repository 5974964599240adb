"""The way that a letter took, in words: each node, what it signed, and whether that holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zhengtong.kernel.messages.hops import Hop
from zhengtong.ui.pieces import Tone
from zhengtong.wire.receipts import Event

DID: dict[Event | None, tuple[str, Tone]] = {
    Event.DELIVERED: ("已收妥", "ok"),
    Event.DEAD: ("没有收下", "bad"),
    Event.WITHHELD: ("只收到哈希", "bad"),
    None: ("尚无回执", "wait"),
}
UNSAID: tuple[str, Tone] = ("回执有误", "bad")
"""Of a receipt that cannot be read, or speaks of something else."""


def row(hop: Hop) -> dict[str, Any]:
    """A node of the way, for the table."""
    word, tone = UNSAID if hop.problem and not hop.event else DID.get(hop.event, UNSAID)
    return {
        "hop": hop,
        "role": "收件节点" if hop.final else "中转节点",
        "word": word,
        "tone": tone,
        "entry": entry_of(hop.log, hop.index) if hop.log else "",
        "problem": hop.problem.zh if hop.problem else "",
        "checked": bool(hop.event or hop.problem),
    }


def entry_of(log: str, index: int) -> str:
    """Where in an evidence log an entry stands, counted from one as `zhengtong verify` does."""
    return f"存证日志 {log} 第 {index + 1} 条"


def course(hops: Sequence[Hop]) -> tuple[str, Tone, str]:
    """Whether it has come to the end of its way: a word, its tone, and a sentence."""
    last, proven = hops[-1], [hop for hop in hops if not hop.problem]
    passed = [hop for hop in proven if hop.event is Event.DELIVERED]
    to = f"收件节点“{last.title}”"
    if last.problem:
        return "核验不通过", "bad", f"{to}的回执核验不通过，不能证明信件已送达。"
    if last.event is Event.DELIVERED:
        return "回执已到", "ok", f"{to}已签名确认收妥，回执核验通过。"
    if last.event is Event.WITHHELD:
        return "未送达", "bad", f"{to}只收到这封信件的哈希，没有收到信件。"
    if last.event:
        return "未送达", "bad", f"{to}签名说明没有收下这封信件。"
    stopped = [hop for hop in proven if hop.event not in (None, Event.DELIVERED)]
    if stopped:
        where = f"中转节点“{stopped[-1].title}”"
        return "未送达", "bad", f"{where}没有收下这封信件，它到不了{to}。"
    if passed:
        where = f"“{passed[-1].title}”"
        return "回执未到", "wait", f"信件已到中转节点{where}，{to}的回执还没有传回。"
    return "回执未到", "wait", f"信件已编号，还没有任何节点的回执；{to}是否收到尚不能证明。"


def passed_on(hop: Hop, origin: str) -> tuple[str, Tone, str]:
    """The same at a hop, which hears no more of a letter than that the next node has it."""
    word, tone = UNSAID if hop.problem else DID.get(hop.event, UNSAID)
    more = f"它之后各节点的回执送回来源节点 {origin}，不在本节点。"
    return word, tone, f"本节点只转送这封信件，交给中转节点“{hop.title}”；{more}"
