"""What the exchange row sends: a fact of about 4 KiB, enqueued in bulk on one node."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench import plain_suite  # noqa: F401 - registers itself, for the reference's nodes
from zhengtong.kernel.messages.facts import Fact, encode, fact

BODY = 4096
NEIGHBOUR = "county"


@fact("bench.note")
@dataclass(frozen=True)
class Note(Fact):
    """Bytes that mean nothing and do not compress."""

    data: bytes


def make(folder: Path, card: bytes, *, is_parent: bool) -> None:
    """Give a node its tables and its one neighbour."""
    from zhengtong.faces.cli.init import prepare
    from zhengtong.faces.cli.start import enter

    enter(folder / "node.toml")
    prepare()
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.messages.membership import admit
    from zhengtong.wire.keys import NodeCard

    admit(node_actor({"messages.admit"}), NodeCard.from_cbor(card), is_parent=is_parent)


def choose_road(folder: Path, neighbour: str, road: str) -> None:
    """Let a node reach its neighbour by this road."""
    from zhengtong.faces.cli.start import enter

    enter(folder / "node.toml")
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.messages.roads import links

    links.choose_road(node_actor({"messages.choose_road"}), neighbour, road)


def enqueue(folder: Path, number: int) -> float:
    """Put `number` letters for the county on their way in one transaction, and ring.

    Returns the moment of the commit by the machine's monotonic clock, which processes share.
    """
    from zhengtong.faces.cli.start import enter

    enter(folder / "node.toml")
    from django.db import transaction

    from zhengtong.kernel import moment
    from zhengtong.kernel.bell import ring
    from zhengtong.kernel.ids import new_id
    from zhengtong.kernel.messages.models import Letter, Message, Neighbour

    neighbour = Neighbour.objects.get(name=NEIGHBOUR)
    messages = [
        Message(
            id=new_id(),
            kind=Note.kind,
            body=encode(Note(os.urandom(BODY))),
            level=1,
            origin="city",
            at=moment.now(),
            pending=False,  # nothing on the sending node reacts to it
        )
        for _ in range(number)
    ]
    letters = [
        Letter(message=message, neighbour=neighbour, destination=NEIGHBOUR) for message in messages
    ]
    with transaction.atomic():
        Message.objects.bulk_create(messages, batch_size=500)
        Letter.objects.bulk_create(letters, batch_size=500)
    committed = time.monotonic()
    ring()
    return committed
