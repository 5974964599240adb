"""What the exchange row sends: a fact of about 4 KiB, enqueued in bulk on one node."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench import plain_suite  # noqa: F401 - registers itself, for the reference's nodes
from zhengtong.kernel.messages.facts import Fact, FileRef, encode, fact

BODY = 4096
NEIGHBOUR = "county"


@fact("bench.note")
@dataclass(frozen=True)
class Note(Fact):
    """Bytes that mean nothing and do not compress."""

    data: bytes


@fact("bench.parcel")
@dataclass(frozen=True)
class Parcel(Fact):
    """Says nothing but that a file comes with it."""

    files: tuple[FileRef, ...]


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


def keep_file(folder: Path, size: int) -> str:
    """Take a file of bytes that do not compress into a node's store; its SHA-256."""
    from zhengtong.faces.cli.start import enter

    enter(folder / "node.toml")
    from zhengtong.kernel import files

    return files.store(_Picture(size), "picture.png").sha256


class _Picture:
    """The signature of a PNG, and random bytes up to a size."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1, /) -> bytes:
        length = min(size, self.left)
        began, self.left = b"\x89PNG\r\n\x1a\n" if self.left > length else b"", self.left - length
        return (began + os.urandom(length))[:length]


def post_file(folder: Path, sha256: str, to: str = NEIGHBOUR) -> float:
    """Put a fact with a stored file on its way to a neighbour, and ring.

    Returns the moment of the commit, as `enqueue` does.
    """
    from zhengtong.faces.cli.start import enter

    enter(folder / "node.toml")
    from django.conf import settings
    from django.db import transaction

    from zhengtong.kernel import moment
    from zhengtong.kernel.bell import ring
    from zhengtong.kernel.files import StoredFile
    from zhengtong.kernel.ids import new_id
    from zhengtong.kernel.messages import pieces
    from zhengtong.kernel.messages.models import Letter, Message
    from zhengtong.kernel.messages.routes import ways_to

    file = StoredFile.objects.get(pk=sha256)
    parcel = Parcel((FileRef(file.sha256, "picture.png", file.size, file.media_type),))
    (way,) = ways_to([to]).values()
    with transaction.atomic():
        pieces.send_missing(parcel, 1, [way], 2, moment.now())
        message = Message.objects.create(
            id=new_id(),
            kind=parcel.kind,
            body=encode(parcel),
            level=1,
            origin=settings.NODE.name,
            at=moment.now(),
            pending=False,
        )
        Letter.objects.create(message=message, neighbour=way.neighbour, destination=to)
    committed = time.monotonic()
    ring()
    return committed
