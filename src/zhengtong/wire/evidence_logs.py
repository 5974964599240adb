"""Judging logs: what stands in a node's sealed log, who has watched it, and since when at least."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from zhengtong.wire import merkle, timestamp
from zhengtong.wire.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint, witnessed_at
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.evidence import LoggedEntry, Name, Part, name_of
from zhengtong.wire.evidence_case import Case, Dated
from zhengtong.wire.evidence_letters import EVENTS
from zhengtong.wire.findings import when, who
from zhengtong.wire.keys import NodeCard
from zhengtong.wire.receipts import Entry


@dataclass(frozen=True)
class _Sealed:
    """A checkpoint whose signature holds, and the letters proven to be on record under it."""

    where: Name
    data: bytes
    head: Checkpoint
    card: NodeCard
    letters: set[int]


def judge_logs(case: Case) -> None:
    sealed = [_open(case, number) for number in range(len(case.evidence.checkpoints))]
    for entry in case.evidence.entries:
        where = name_of(Part.ENTRY, str(entry.index + 1))
        under = sealed[entry.checkpoint] if entry.checkpoint < len(sealed) else None
        if under is None:
            case.failed(where, "没有有效的检查点", "has no valid checkpoint")
        else:
            _judge_entry(case, where, entry, under)
    _judge_views(case, [head for head in sealed if head])
    for head in filter(None, sealed):
        _judge_witnesses(case, head)
    for number, stamp in enumerate(case.evidence.stamps, 1):
        where = name_of(Part.STAMP, str(number))
        under = sealed[stamp.checkpoint] if stamp.checkpoint < len(sealed) else None
        if under is None:
            case.failed(where, "没有有效的检查点", "has no valid checkpoint")
        else:
            _judge_stamp(case, where, stamp.token, under)


def _open(case: Case, number: int) -> _Sealed | None:
    where, data = name_of(Part.CHECKPOINT, str(number + 1)), case.evidence.checkpoints[number]
    try:
        head, card = _signed(case, data)
    except WireError as problem:
        case.refused(where, problem)
        return None
    case.proven(
        where,
        f"由{who(card)}签名,日志 {head.origin} 共 {head.size} 条",
        f"is signed by {card.node}: {head.origin} holds {head.size} entries",
    )
    return _Sealed(where, data, head, card, set())


def _signed(case: Case, data: bytes) -> tuple[Checkpoint, NodeCard]:
    claimed, _, _ = parse_checkpoint(data)
    problem = WireError(Refusal.UNKNOWN_SENDER, f"no card for the log {claimed.origin}")
    for card in case.cards.values():
        if card.node == claimed.origin.partition("/")[0]:
            try:
                return verify_checkpoint(data, card), card
            except WireError as refused:
                problem = refused
    raise problem


def _judge_entry(case: Case, where: Name, entry: LoggedEntry, under: _Sealed) -> None:
    head, card, hash = under.head, under.card, under.card.crypto.hash
    leaf = merkle.leaf_hash(entry.data, hash)
    if not merkle.verify_inclusion(leaf, entry.index, head.size, entry.path, head.root, hash):
        case.failed(
            where,
            "不在所封存的日志之中,记录或证明被改动",
            "is not in the sealed log; the entry or its proof was altered",
        )
        return
    zh, en = _meaning(case, entry.data, under)
    case.proven(
        where,
        f"在{who(card)}封存的日志之中{zh}",
        f"is in the sealed log of {card.node}{en}",
    )


def _meaning(case: Case, data: bytes, under: _Sealed) -> tuple[str, str]:
    """What an entry says of a letter of this file, if it is an entry of an exchange log."""
    try:
        entry = Entry.decode(data)
    except WireError:
        return "", ""
    letter = case.letter_of(entry.envelope_hash)
    if letter is None or entry.by != under.card.node:
        return "", ""
    under.letters.add(letter.number)
    zh, en = EVENTS[entry.event]
    return f":第{letter.number}封信{zh}", f": letter {letter.number} {en}"


def _judge_views(case: Case, sealed: Sequence[_Sealed]) -> None:
    """A node that shows one log to one neighbour and another to the next has signed both."""
    shown = dict[tuple[str, int], _Sealed]()
    for under in sealed:
        head = under.head
        first = shown.setdefault((head.origin, head.size), under)
        if first.head.root != head.root:
            case.failed(
                under.where,
                f"与{first.where.zh}矛盾:{who(under.card)}就同一日志的同一长度签署了两个不同的根",
                f"contradicts {first.where.en}: {under.card.node} signed two roots of one size",
            )


def _judge_witnesses(case: Case, under: _Sealed) -> None:
    """Who else signed that this log had only grown until then."""
    for name, payload in parse_checkpoint(under.data)[2]:
        cards = [card for card in case.cards.values() if card.node == name]
        if not cards:
            continue  # the log's own line, or a witness this file has no card of
        line = f"— {name} {base64.b64encode(payload).decode()}".encode()
        try:
            at = _witnessed(under.head, line, cards)
        except WireError as problem:
            case.refused(under.where, problem)
            continue
        case.dated.append(Dated(frozenset(under.letters), at, who(cards[-1]), stamped=False))
        case.proven(
            under.where,
            f"由{who(cards[-1])}于{when(at)}核验并会签",
            f"was verified and cosigned by {name} at {when(at)}",
        )


def _witnessed(head: Checkpoint, line: bytes, cards: Sequence[NodeCard]) -> datetime:
    """When; a node that has changed keys may have signed with former ones. Raises WireError."""
    for card in cards[:-1]:
        with suppress(WireError):
            return witnessed_at(head, line, card)
    return witnessed_at(head, line, cards[-1])


def _judge_stamp(case: Case, where: Name, token: bytes, under: _Sealed) -> None:
    """Since when at least has this log had its root?"""
    try:
        stamp = timestamp.verify(token, under.head.text().encode(), case.authorities)
    except WireError as problem:
        case.refused(where, problem)
        return
    name = stamp.authority
    case.dated.append(Dated(frozenset(under.letters), stamp.at, name, stamped=True))
    case.proven(
        where,
        f"由时间戳机构“{name}”签名:{under.where.zh}于{when(stamp.at)}前已存在",
        f"is signed by the authority “{name}”: {under.where.en} existed before {when(stamp.at)}",
    )
    if not stamp.anchored:
        case.unproven(
            where,
            f"的机构“{name}”的证书未与受信名单核对",
            f"names an authority, “{name}”, whose certificate was not compared with a trusted one",
        )
