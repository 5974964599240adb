"""The log of the links: every letter sent and received, newest first, found by what is known of it.

Two tables are read side by side, letters and arrivals, each by its own index on time; a page goes
on where the last one ended, however long the log has become.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Length

from zhengtong.kernel.messages.delays import took
from zhengtong.kernel.messages.models import (
    Arrival,
    CarriedReceipt,
    Handling,
    Letter,
    LinkLane,
    Message,
    Receipt,
    Sent,
)
from zhengtong.wire.errors import Refusal

SENT, RECEIVED = "sent", "received"
STATES = {
    "waiting": SENT,
    "stuck": SENT,
    "underway": SENT,
    "forwarded": SENT,
    "delivered": SENT,
    "refused": SENT,
    "withheld": SENT,
    "taken": RECEIVED,
    "rejected": RECEIVED,
    "dead": RECEIVED,
}
"""Every state of a letter, with the direction it belongs to."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the next one begins with what is older."""

    at: datetime
    direction: str
    pk: int

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.direction}~{self.pk}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """The place such a text names, or None when it names none."""
        try:
            at, direction, pk = text.split("~")
            place = cls(datetime.fromisoformat(at), direction, int(pk))
        except ValueError:
            return None
        known = direction in (SENT, RECEIVED) and 0 <= place.pk < 2**63
        return place if known and place.at.tzinfo else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What to show of the log. `subjects` are records whose title matched `text`."""

    neighbour: str = ""
    direction: str = ""
    state: str = ""
    kind: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    subjects: tuple[str, ...] = ()
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One letter of the log. `size` in bytes and `delay` in seconds are None while unknown."""

    direction: str
    pk: int
    at: datetime
    neighbour: str
    title: str
    lane: int
    number: int | None
    kind: str
    subject: str
    size: int | None
    state: str
    delay: float | None
    reason: str = ""
    detail: str = ""

    @property
    def place(self) -> Place:
        return Place(self.at, self.direction, self.pk)


def page(asked: Asked, length: int) -> tuple[list[Line], Place | None]:
    """The newest `length` letters asked for, and where the next page begins, if there is one."""
    sides: list[Iterable[Line]] = []
    direction = STATES.get(asked.state, asked.direction)
    if direction != RECEIVED and asked.direction != RECEIVED:
        sides.append(_sent(asked, length + 1))
    if direction != SENT and asked.direction != SENT:
        sides.append(_received(asked, length + 1))
    merged = list(heapq.merge(*sides, key=_order, reverse=True))
    shown = merged[:length]
    return shown, shown[-1].place if len(merged) > length else None


def everything(asked: Asked, most: int, length: int = 500) -> Iterator[Line]:
    """All that is asked for, page by page, up to `most` letters."""
    while most > 0:
        lines, after = page(asked, min(length, most))
        yield from lines
        most -= len(lines)
        if after is None:
            return
        asked = replace(asked, after=after)


def _order(line: Line) -> tuple[datetime, str, int]:
    return line.at, line.direction, line.pk


def _older(at: str, direction: str, after: Place) -> Q:
    """What comes after a place in the common order of both directions."""
    same = Q(pk__lt=after.pk) if direction == after.direction else Q()
    if direction > after.direction:
        return Q(**{f"{at}__lt": after.at})
    return Q(**{f"{at}__lt": after.at}) | (Q(**{at: after.at}) & same)


def _common(asked: Asked, at: str, direction: str) -> Q:
    found = Q()
    if asked.neighbour:
        found &= Q(neighbour__name=asked.neighbour)
    if asked.since:
        found &= Q(**{f"{at}__gte": asked.since})
    if asked.until:
        found &= Q(**{f"{at}__lt": asked.until})
    if asked.after:
        found &= _older(at, direction, asked.after)
    return found


_CARRIED = CarriedReceipt.objects.filter(event="delivered")


def letters() -> QuerySet[Letter]:
    """Letters to neighbours, each with what tells its state; never with the envelope itself."""
    lanes = LinkLane.objects.filter(neighbour=OuterRef("neighbour"), lane=OuterRef("sent__lane"))
    receipts = Receipt.objects.filter(
        neighbour=OuterRef("neighbour"),
        lane=OuterRef("sent__lane"),
        first__lte=OuterRef("sent__sequence"),
        last__gte=OuterRef("sent__sequence"),
    )
    return Letter.objects.annotate(
        arrived=Exists(_CARRIED.filter(sent__letter=OuterRef("pk"), by=OuterRef("destination"))),
        number=F("sent__sequence"),
        receipted=Coalesce(Subquery(lanes.values("receipted")[:1]), 0),
        receipt_at=Subquery(receipts.order_by("last").values("at")[:1]),
        size=Length("sent__envelope", output_field=IntegerField()),
    )


_RECEIPTED = Exists(
    LinkLane.objects.filter(
        neighbour=OuterRef("neighbour"), lane=OuterRef("lane"), receipted__gte=OuterRef("sequence")
    )
)
_DEAD = Sent.objects.filter(refusal__gt="")
_TAKEN_WELL = Sent.objects.filter(letter=OuterRef("pk"), refusal="")
# A letter for a node behind the neighbour is there only when that node's own receipt has come back.
_ARRIVED = Q(letter__destination=F("neighbour__name")) | Q(
    Exists(_CARRIED.filter(sent=OuterRef("pk"), by=OuterRef("letter__destination")))
)
# Asked of each letter as the log is walked from its newest end. A condition on the joined table
# would have SQLite read all that was ever sent, and sort it.
SENT_STATES = {
    "waiting": Q(waiting=True, problem=""),
    "stuck": Q(problem__gt=""),
    "underway": Q(Exists(_TAKEN_WELL.filter(~_RECEIPTED))),
    "forwarded": Q(Exists(_TAKEN_WELL.filter(_RECEIPTED).exclude(_ARRIVED))),
    "delivered": Q(Exists(_TAKEN_WELL.filter(_RECEIPTED).filter(_ARRIVED))),
    "refused": Q(pk__in=_DEAD.exclude(refusal=Refusal.WITHHELD).values("letter")),
    "withheld": Q(pk__in=_DEAD.filter(refusal=Refusal.WITHHELD).values("letter")),
}
_SENT_FIELDS = (
    "pk created_at neighbour__name neighbour__title lane number message__kind message__subject "
    "size problem receipted receipt_at sent__at sent__refusal sent__refusal_detail "
    "neighbour__skew_ms destination arrived"
).split()


def _sent(asked: Asked, length: int) -> list[Line]:
    rows = letters().filter(_common(asked, "created_at", SENT))
    if asked.state:
        rows = rows.filter(SENT_STATES[asked.state])
    if asked.kind:
        rows = rows.filter(message__kind=asked.kind)
    if asked.text:
        rows = rows.filter(
            _matches(asked, "message__subject", "sent__sequence", "message__pk")
            | Q(problem__icontains=asked.text)
            | Q(sent__refusal_detail__icontains=asked.text)
        )
    rows = rows.order_by("-created_at", "-pk")
    return [_sent_line(row) for row in rows.values(*_SENT_FIELDS)[:length]]


def _sent_line(row: dict[str, Any]) -> Line:
    number, delay = row["number"], None
    taken = number is not None and number <= row["receipted"]
    arrived = row["arrived"] or row["destination"] == row["neighbour__name"]
    state = sent_state(row["problem"], number, row["sent__refusal"] or "", taken, arrived)
    if row["receipt_at"] and row["sent__at"]:
        delay = took(row["sent__at"], row["receipt_at"], row["neighbour__skew_ms"])
    return Line(
        SENT,
        row["pk"],
        row["created_at"],
        row["neighbour__name"],
        row["neighbour__title"],
        row["lane"],
        number,
        row["message__kind"],
        row["message__subject"],
        row["size"] or None,
        state,
        delay,
        row["sent__refusal"] or "",
        row["problem"] or row["sent__refusal_detail"] or "",
    )


def sent_state(problem: str, number: int | None, refusal: str, taken: bool, arrived: bool) -> str:
    """The state of a letter of ours; `taken`: by the neighbour, `arrived`: where it was to go."""
    if problem:
        return "stuck"
    if refusal:
        return "withheld" if refusal == Refusal.WITHHELD else "refused"
    if number is None:
        return "waiting"
    if not taken:
        return "underway"
    return "delivered" if arrived else "forwarded"


def _received(asked: Asked, length: int) -> list[Line]:
    dead = Handling.objects.filter(dead=True, done=False).values("message")
    states = {
        "taken": Q(refusal="") & ~Q(message__in=dead),
        "rejected": Q(refusal__gt=""),
        "dead": Q(refusal="", message__in=dead),
    }
    rows = Arrival.objects.filter(_common(asked, "at", RECEIVED))
    rows = rows.annotate(size=Length("envelope", output_field=IntegerField()))
    if asked.state:
        rows = rows.filter(states[asked.state])
    if asked.kind:
        rows = rows.filter(message__in=Message.objects.filter(kind=asked.kind).values("pk"))
    if asked.text:
        named = Message.objects.filter(_subject(asked, "subject")).values("pk")
        rows = rows.filter(
            _matches(asked, "", "sequence", "message")
            | Q(message__in=named)
            | Q(refusal_detail__icontains=asked.text)
        )
    found = list(
        rows.order_by("-at", "-pk").defer("envelope", "digest").select_related("neighbour")[:length]
    )
    told = Message.objects.in_bulk([row.message for row in found if row.message])
    lost = set(dead.filter(message__in=list(told)).values_list("message", flat=True))
    return [
        _received_line(row, told.get(row.message) if row.message else None, lost) for row in found
    ]


def _received_line(row: Any, message: Message | None, lost: set[UUID]) -> Line:
    state = "rejected" if row.refusal else "dead" if row.message in lost else "taken"
    return Line(
        RECEIVED,
        row.pk,
        row.at,
        row.neighbour.name,
        row.neighbour.title,
        row.lane,
        row.sequence,
        message.kind if message else "",
        message.subject if message else "",
        row.size or None,
        state,
        max(0.0, (row.at - message.at).total_seconds()) if message else None,
        row.refusal,
        row.refusal_detail,
    )


def _subject(asked: Asked, field: str) -> Q:
    return Q(**{f"{field}__icontains": asked.text}) | Q(**{f"{field}__in": asked.subjects})


def _matches(asked: Asked, subject: str, number: str, message: str) -> Q:
    """What a person may have typed: a record's name, a number of the link, a message's id."""
    found = _subject(asked, subject) if subject else Q(pk=None)
    if asked.text.isdecimal() and len(asked.text) < 19:
        found |= Q(**{number: int(asked.text)})
    with suppress(ValueError):
        found |= Q(**{message: UUID(asked.text)})
    return found
