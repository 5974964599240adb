"""The link's four verbs as a road uses them: compose, accept, to_say, rewind.

They stand over today's one-lane core, which remembers neither what was handed to a road nor what
it owes: both are noted with the voyage that is being made.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.messages import exchange, sealing
from zhengtong.kernel.messages.identity import finder, own_keys
from zhengtong.kernel.messages.models import Arrival, Neighbour, Sent
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads.models import State, Voyage
from zhengtong.wire.batch import (
    MAX_LETTERS,
    Batch,
    Letter,
    decode_batch,
    encode_batch,
    take_what_fits,
)

LANE = int(Lane.NORMAL)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What came of a batch: whose it was, its lane, and whether it carried letters or receipts."""

    peer: str
    lane: int
    moved: bool


def to_say(peer: str) -> tuple[int, ...]:
    """The lanes with something to hand over now, most urgent first. Seals what waits."""
    while sealing.seal_waiting():
        pass
    neighbour = Neighbour.objects.get(name=peer)
    given, told = _given(neighbour)
    return (LANE,) if neighbour.sealed > given or neighbour.received > told else ()


def compose(peer: str, lane: int) -> bytes:
    """The next batch for a neighbour, perhaps without letters."""
    with transaction.atomic():
        neighbour = locked_for_update(Neighbour.objects.filter(name=peer)).get()
        given, told = _given(neighbour)
        rows = Sent.objects.filter(neighbour=neighbour, sequence__gt=given).order_by("sequence")
        letters = take_what_fits(
            Letter(number, bytes(envelope))
            for number, envelope in rows.values_list("sequence", "envelope").iterator(4)
        )
        owed = tuple(
            Arrival.objects.filter(neighbour=neighbour, sequence__gt=told)
            .order_by("sequence")
            .values_list("sequence", flat=True)[:MAX_LETTERS]
        )
        statement, refusals = exchange._receipt(neighbour, exchange.Owed(owed))
        neighbour.said = max(neighbour.said + 1, int(moment.now().timestamp() * 1_000_000))
        neighbour.save(update_fields=["said"])
        _note(neighbour, letters[-1].sequence if letters else given, owed[-1] if owed else told)
        batch = Batch(
            sender=settings.NODE.name,
            receiver=peer,
            at=moment.now(),
            counter=neighbour.said,
            acknowledged=neighbour.received,
            high=neighbour.sealed,
            letters=letters,
            receipts=statement,
            refusals=refusals,
        )
    return encode_batch(batch, own_keys())


def accept(data: bytes) -> Accepted:
    """Take in a batch; one that was taken before does nothing. Raises WireError."""
    batch = decode_batch(data, finder(*Neighbour.objects.all()), receiver=settings.NODE.name)
    if batch.counter <= Neighbour.objects.get(name=batch.sender).heard:
        return Accepted(batch.sender, LANE, False)
    with moment.fixed(batch.at):  # it was days under way: no clock is off
        exchange.accept(data)
    return Accepted(batch.sender, LANE, bool(batch.letters or batch.receipts))


def rewind(peer: str) -> None:
    """The road lost what it was given: everything without a receipt is offered again."""
    for voyage in Voyage.objects.filter(neighbour__name=peer, leaving=True):
        voyage.marks = {key: mark for key, mark in voyage.marks.items() if key.isdigit()}
        voyage.save(update_fields=["marks"])


def receipted(neighbour: Neighbour, lane: int) -> int:
    """The highest number in a lane for which we hold the receipt, all lower ones included."""
    return neighbour.receipted


def unhanded(neighbour: Neighbour) -> QuerySet[Sent]:
    """Sealed letters that no road has been given yet."""
    return Sent.objects.filter(neighbour=neighbour, sequence__gt=_given(neighbour)[0])


def _given(neighbour: Neighbour) -> tuple[int, int]:
    """The highest number of ours handed to the road, the highest of theirs receipted on it."""
    marks = Voyage.objects.filter(neighbour=neighbour, leaving=True).values_list("marks", flat=True)
    given = max((mark.get("given", 0) for mark in marks), default=0)
    return max(given, neighbour.receipted), max((mark.get("told", 0) for mark in marks), default=0)


def _note(neighbour: Neighbour, given: int, told: int) -> None:
    voyage = Voyage.objects.filter(neighbour=neighbour, leaving=True, state=State.MAKING).get()
    voyage.marks |= {"given": given, "told": told}
    voyage.save(update_fields=["marks"])
