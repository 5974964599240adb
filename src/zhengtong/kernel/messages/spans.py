"""The stretches of links that letters lie in, with what both ends have signed about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.conf import settings
from django.db.models import QuerySet

from zhengtong.kernel import moment
from zhengtong.kernel.messages.identity import own_keys
from zhengtong.kernel.messages.models import Arrival, Neighbour, PeerStanding, Sent
from zhengtong.wire.attest import attest
from zhengtong.wire.evidence import MAX_SPAN, Span
from zhengtong.wire.standing import NO_CHAIN, NO_LETTER, Head

Rows = QuerySet[Sent] | QuerySet[Arrival]


def spans_of(sent: Sequence[Sent], arrivals: Sequence[Arrival]) -> tuple[list[Span], list[bytes]]:
    """For every lane that one of these letters went by: the stretch from the first of them to the
    next number that the neighbour has signed for, and the standings of both ends."""
    spans: list[Span] = []
    standings: list[bytes] = []
    for neighbour, lane, first, last in _lanes(sent):
        theirs = _standings(neighbour, lane).filter(received__gte=last).order_by("received").first()
        if theirs is None:
            continue
        rows = Sent.objects.filter(neighbour=neighbour, lane=lane)
        span, head = _span(rows, settings.NODE.name, neighbour.name, lane, first, theirs.received)
        if head is not None:
            own = _attested(neighbour, lane, sent=head)
            spans.append(span)
            standings += [bytes(theirs.body), own]
    for neighbour, lane, first, last in _lanes(arrivals):
        theirs = _standings(neighbour, lane).filter(sent__gte=last).order_by("sent").first()
        if theirs is None:
            continue
        held = Arrival.objects.filter(neighbour=neighbour, lane=lane)
        span, head = _span(held, neighbour.name, settings.NODE.name, lane, first, theirs.sent)
        if head is not None:
            own = _attested(neighbour, lane, received=head)
            spans.append(span)
            standings += [bytes(theirs.body), own]
    return spans, standings


def _lanes(
    letters: Sequence[Sent] | Sequence[Arrival],
) -> Iterable[tuple[Neighbour, int, int, int]]:
    """Neighbour, lane, first and last number of these letters."""
    numbers: dict[tuple[str, int], list[int]] = {}
    neighbours: dict[str, Neighbour] = {}
    for letter in letters:
        neighbours[letter.neighbour.name] = letter.neighbour
        numbers.setdefault((letter.neighbour.name, letter.lane), []).append(letter.sequence)
    for (name, lane), found in sorted(numbers.items()):
        yield neighbours[name], lane, min(found), max(found)


def _standings(neighbour: Neighbour, lane: int) -> QuerySet[PeerStanding]:
    return PeerStanding.objects.filter(neighbour=neighbour, lane=lane)


def _span(
    rows: Rows, sender: str, receiver: str, lane: int, first: int, last: int
) -> tuple[Span, Head | None]:
    """The stretch from `first` to `last`, and its end; None if this node no longer holds it all."""
    chosen = rows.filter(sequence__gte=first, sequence__lte=min(last, first + MAX_SPAN - 1))
    found = list(chosen.order_by("sequence").values_list("sequence", "digest", "chain"))
    before = rows.filter(sequence=first - 1).values_list("chain", flat=True).first()
    span = Span(
        sender,
        receiver,
        lane,
        first,
        NO_CHAIN if first == 1 else bytes(before or b""),
        tuple(bytes(digest) for _, digest, _ in found),
    )
    whole = len(found) == last - first + 1 and (first == 1 or before is not None)
    return span, Head(last, bytes(found[-1][2])) if whole and found else None


def _attested(
    neighbour: Neighbour, lane: int, sent: Head = NO_LETTER, received: Head = NO_LETTER
) -> bytes:
    """Our own signed word about where a lane of a link stands."""
    keys, now = own_keys(), moment.now()
    return attest(keys, neighbour.name, lane, now, sent=sent, received=received)
