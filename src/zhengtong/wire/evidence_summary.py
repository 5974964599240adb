"""The answer in a few lines: who sent what to whom, did it arrive, is anything missing, who says
when. Only what the findings have proven is said; the rest is named as not proven."""

from __future__ import annotations

from collections.abc import Iterator

from zhengtong.wire.evidence_case import Case, Dated, JudgedLetter
from zhengtong.wire.findings import Said, printable, when, who

_UNCHECKED = Said(
    "身份:以上节点名称为其自报,未与受信名录核对",
    "identity: the nodes' names are their own; no trusted directory was given to compare them with",
)


def summarise(case: Case) -> tuple[Said, ...]:
    said = list[Said]()
    for letter in case.letters:
        if not letter.signs:
            said += (_sent(letter), *_arrived(case, letter), _whole(case, letter))
    if said:
        said.append(_times(case))
    if said and case.trusted is None:
        said.append(_UNCHECKED)
    return tuple(Said(printable(item.zh), printable(item.en)) for item in said)


def _sent(letter: JudgedLetter) -> Said:
    header, sender = letter.verified.header, who(letter.verified.sender)
    to = "、".join(header.destinations)
    return Said(
        f"第{letter.number}封信:{sender}发给 {to},签名时间 {when(header.sent_at)}",
        f"letter {letter.number}: {header.origin} sent it to {to}, signed {when(header.sent_at)}",
    )


def _arrived(case: Case, letter: JudgedLetter) -> Iterator[Said]:
    for node in letter.verified.header.destinations:
        card = case.card_of(node)
        name, place = who(card) if card else node, (letter.number, node)
        delivered, signed = case.delivered.get(place), case.signed_for.get(place)
        if not delivered and (kept := case.withheld.get(place)):
            yield Said(
                f"  {name}:发信方没有交出这封信,于{when(kept)}只收到其哈希",
                f"  {node}: its sender withheld it; only its hash came, {when(kept)}",
            )
            continue
        yield Said(
            f"  {name}:"
            + (f"于{when(delivered)}送达" if delivered else "送达未证明")
            + (f",于{when(signed)}签收" if signed else ",签收未证明"),
            f"  {node}: "
            + (f"delivered {when(delivered)}" if delivered else "delivery not shown")
            + (f", signed for {when(signed)}" if signed else ", signing for it not shown"),
        )


def _whole(case: Case, letter: JudgedLetter) -> Said:
    around = [item for item in case.stretches if letter.verified.envelope_hash in item.hashes]
    if not around:
        return Said("  链路有无缺漏:未证明", "  whether anything is missing on its link: not shown")
    kept = case.is_withheld(letter)
    zh = ";".join(f"{i.sender}→{i.receiver} 第{i.first}至{i.last}号" for i in around)
    en = "; ".join(f"{i.sender}→{i.receiver} numbers {i.first} to {i.last}" for i in around)
    return Said(
        f"  链路无缺漏:{zh},双方签名一致" + (";这封信只以哈希列入" if kept else ""),
        f"  nothing is missing on its link: {en}, signed by both"
        + ("; of this letter only the hash" if kept else ""),
    )


def _times(case: Case) -> Said:
    """Whose word the times rest on, the earliest of each."""
    earliest = dict[tuple[str, bool], Dated]()
    for dated in sorted(case.dated, key=lambda item: item.at):
        if dated.letters:
            earliest.setdefault((dated.by, dated.stamped), dated)
    if not earliest:
        return Said(
            "时间:各节点自报,没有他方证明",
            "times: as each node stated them; nobody else vouches for them",
        )
    zh, en = list[str](), list[str]()
    for (name, stamped), dated in earliest.items():
        which = "、".join(f"第{number}封" for number in sorted(dated.letters))
        letters = ", ".join(map(str, sorted(dated.letters)))
        zh.append(f"{which}不晚于{when(dated.at)}({name}{'时间戳' if stamped else '会签'})")
        kind = "time stamp" if stamped else "cosignature"
        en.append(f"letters {letters} no later than {when(dated.at)} ({kind} of {name})")
    return Said("时间:" + ";".join(zh) + ";其余为各节点自报", "times: " + "; ".join(en))
