"""Links and letters in any state, written straight into the tables that pages look at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import cbor2

from zhengtong.kernel import moment
from zhengtong.kernel.messages.models import (
    Arrival,
    Letter,
    LinkAlarm,
    LinkLane,
    Message,
    Neighbour,
    Receipt,
    Sent,
)

TITLES = {"fugou": "扶沟县节点", "shenqiu": "沈丘县节点", "henan": "河南省节点"}


def verified(size: int, root: bytes = b"\xab" * 32) -> bytes:
    """`log_roots` of a neighbour whose log was verified up to this size."""
    return bytes(cbor2.dumps([[size, root]]))


def link(name: str = "fugou", **given: Any) -> Neighbour:
    """A neighbour, in contact just now."""
    values: dict[str, Any] = {
        "title": TITLES.get(name, f"{name}节点"),
        "zone": "private",
        "ceiling": 2,
        "card": b"",
        "last_contact": moment.now(),
    }
    return Neighbour.objects.create(name=name, **(values | given))


def message(kind: str = "documents.dispatched", **given: Any) -> Message:
    values: dict[str, Any] = {"body": b"", "level": 1, "origin": "test", "at": moment.now()}
    return Message.objects.create(kind=kind, pending=False, **(values | given))


def letter(
    to: Neighbour,
    lane: int = 2,
    *,
    number: int = 0,
    at: datetime | None = None,
    sealed: datetime | None = None,
    problem: str = "",
    refusal: str = "",
    about: Message | None = None,
) -> Letter:
    """A letter on its way: waiting, or sealed under a number of its lane."""
    made = Letter.objects.create(
        message=about or message(at=at or moment.now()),
        neighbour=to,
        destination=to.name,
        lane=lane,
        waiting=not number and not problem,
        problem=problem,
        created_at=at or moment.now(),
    )
    if number:
        Sent.objects.create(
            neighbour=to,
            lane=lane,
            sequence=number,
            letter=made,
            digest=b"",
            chain=b"",
            epoch=1,
            leaf=made.pk,
            envelope=b"x" * 600,
            at=sealed or at or moment.now(),
            refusal=refusal,
        )
    return made


def standing_at(to: Neighbour, lane: int, sealed: int, receipted: int) -> None:
    """How far a lane has come."""
    numbers = {"sealed": sealed, "offered": sealed, "receipted": receipted}
    LinkLane.objects.update_or_create(neighbour=to, lane=lane, defaults=numbers)


def receipt(of: Neighbour, lane: int, first: int, last: int, at: datetime) -> Receipt:
    return Receipt.objects.create(neighbour=of, lane=lane, first=first, last=last, at=at, body=b"")


def arrival(of: Neighbour, number: int, *, about: Message | None = None, **given: Any) -> Arrival:
    """A letter received, stored as `about` or refused."""
    values: dict[str, Any] = {
        "lane": 2,
        "digest": b"",
        "chain": b"",
        "epoch": 1,
        "leaf": number,
        "envelope": b"x" * 300,
    }
    return Arrival.objects.create(
        neighbour=of, sequence=number, message=about.pk if about else None, **(values | given)
    )


def alarm(of: Neighbour, code: str, **given: Any) -> LinkAlarm:
    return LinkAlarm.objects.create(neighbour=of, code=code, **({"announced": True} | given))
