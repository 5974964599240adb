"""Judging sequences: is anything missing between the first and the last letter of a stretch?

Each end of a link signs how far a lane has got and the chain over every letter up to there. The
exporter shows the hashes of all letters of a stretch; only the true ones, all of them and in their
order, lead to the chains that both ends have signed.
"""

from __future__ import annotations

from collections.abc import Sequence

from zhengtong.wire.errors import WireError
from zhengtong.wire.evidence import Name, Part, Span, name_of
from zhengtong.wire.evidence_case import Case, Stretch
from zhengtong.wire.link import extended
from zhengtong.wire.standing import Head, Standing, read_standing
from zhengtong.wire.suite import Suite


def judge_sequences(case: Case) -> None:
    """Does every stretch of a lane agree with what both of its ends have signed?"""
    standings: list[Standing] = []
    for number, data in enumerate(case.evidence.standings, 1):
        try:
            standings.append(read_standing(data, case.cards.get)[0])
        except WireError as problem:
            case.refused(name_of(Part.STANDING, str(number)), problem)
    for number, span in enumerate(case.evidence.spans, 1):
        where = name_of(Part.SPAN, str(number))
        if not any(case.letter_of(digest) for digest in span.hashes):
            case.failed(where, "不含案卷中的任何信件", "holds no letter of this file")
        elif (card := case.card_of(span.sender)) is None:
            case.failed(where, f"没有 {span.sender} 的名片", f"has no card of {span.sender}")
        else:
            _judge_span(case, where, span, _heads(span, card.crypto), standings)


def _judge_span(
    case: Case, where: Name, span: Span, chains: dict[int, bytes], standings: Sequence[Standing]
) -> None:
    reached: dict[str, int] = {}
    for standing in standings:
        said = _about(standing, span)
        if said is None or said.number not in chains:
            continue
        if chains[said.number] != said.chain:
            case.failed(
                where,
                f"与 {standing.sender} 签名的序列在第 {said.number} 号不符,有信件被隐匿或替换",
                f"differs from what {standing.sender} signed at number {said.number}: "
                "a letter was withheld or replaced",
            )
            return
        reached[standing.sender] = max(reached.get(standing.sender, 0), said.number)
    both = {span.sender, span.receiver} <= set(reached)
    last = min(reached.values(), default=0)
    if not both or last < span.first:
        case.unproven(
            where, "没有双方签名的序列声明", "lacks the signed standing of one of its ends"
        )
        return
    zh, en = _kept(case, span.hashes[: last - span.first + 1], span.first)
    agreed = frozenset(span.hashes[: last - span.first + 1])
    case.stretches.append(Stretch(span.sender, span.receiver, span.first, last, agreed))
    case.proven(
        where,
        f"中 {span.sender} 发往 {span.receiver} 的第 {span.first} 至 {last} 号,双方签名一致:"
        f"其间没有缺漏、替换、改动或换序{zh}",
        f"is signed alike by {span.sender} and {span.receiver}: between numbers {span.first} "
        f"and {last} nothing is missing, replaced, altered or reordered{en}",
    )


def _kept(case: Case, hashes: Sequence[bytes], first: int) -> tuple[str, str]:
    """Which of these numbers stand for a letter of this file that its sender did not hand over."""
    kept = [
        str(number)
        for number, digest in enumerate(hashes, first)
        if (letter := case.letter_of(digest)) and case.is_withheld(letter)
    ]
    if not kept:
        return "", ""
    return (
        f";但第 {'、'.join(kept)} 号只以哈希列入,信件没有交出",
        f"; but of number {', '.join(kept)} only the hash was handed over, not the letter",
    )


def _heads(span: Span, suite: Suite) -> dict[int, bytes]:
    """The chain at every number of the stretch, and before its first."""
    head = Head(span.first - 1, span.before)
    chains = {head.number: head.chain}
    for digest in span.hashes:
        head = extended(head, digest, suite.hash)
        chains[head.number] = head.chain
    return chains


def _about(standing: Standing, span: Span) -> Head | None:
    """What a standing says about the letters of a stretch: how far they were sent, or received."""
    if standing.lane != span.lane:
        return None
    if (standing.sender, standing.receiver) == (span.sender, span.receiver):
        return standing.sent
    if (standing.receiver, standing.sender) == (span.sender, span.receiver):
        return standing.received
    return None
