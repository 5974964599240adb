"""Files travel beside letters of their own, in 1 MiB pieces named by the whole file's hash.

A letter holds a piece's name and key; the piece is read from the file store and sealed with that
key whenever the letter is handed over, so no copy of it is kept. On arrival it is written in place,
and the last one completes the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q

from zhengtong.kernel import files
from zhengtong.kernel.file_types import ALLOWED
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.messages.facts import Fact, FileRef, decode, encode, fact, files_of
from zhengtong.kernel.messages.identity import own_keys
from zhengtong.kernel.messages.models import IncomingFile, Letter, Message
from zhengtong.kernel.messages.routes import Way
from zhengtong.kernel.messages.transit_files import InTransit
from zhengtong.wire.beside import Beside
from zhengtong.wire.bulk import seal_bulk
from zhengtong.wire.suite import Suite

PIECE = 1 << 20
MEDIA_TYPES = frozenset(kind.media_type for kind in ALLOWED)
MAX_FILE = 4 << 30
"""Bytes; no node's `max_upload_mb` can be set higher."""


@fact("kernel.file_piece", "附件分块")
@dataclass(frozen=True)
class FilePiece(Fact):
    """Piece `index` (from 0) of a file, and the key under which it travels beside the letter."""

    file: FileRef
    index: int
    key: bytes


def subject_of(file: FileRef) -> str:
    """Under which name a file's pieces wait and travel."""
    return f"file:{file.sha256}"


def count(size: int) -> int:
    """How many pieces a file of this many bytes travels in; an empty file is one empty piece."""
    return max(1, -(-size // PIECE))


def length_of(file: FileRef, index: int) -> int:
    """How many bytes one of its pieces has."""
    return min(PIECE, file.size - index * PIECE)


def send_missing(told: Fact, level: int, ways: Iterable[Way], lane: int, at: datetime) -> None:
    """Send the pieces of every file of a fact ahead of it, to the nodes that lack them."""
    for reference in files_of(told):
        subject = subject_of(reference)
        letters = Letter.objects.filter(message__subject=subject)
        failed = letters.filter(~Q(problem="") | Q(sent__isnull=False) & ~Q(sent__refusal=""))
        have = set(letters.values_list("destination", flat=True))
        have -= set(failed.values_list("destination", flat=True))
        lacking = [way for way in ways if way.destination not in have]
        if not lacking:
            continue
        key_length = own_keys().suite.key_length
        messages = Message.objects.bulk_create(
            [
                Message(
                    id=new_id(),
                    kind=FilePiece.kind,
                    body=encode(FilePiece(reference, index, os.urandom(key_length))),
                    level=level,
                    subject=subject,
                    origin=settings.NODE.name,
                    at=at,
                    pending=False,
                )
                for index in range(count(reference.size))
            ]
        )
        Letter.objects.bulk_create(
            [
                Letter(
                    message=message, neighbour=way.neighbour, destination=way.destination, lane=lane
                )
                for message in messages
                for way in lacking
            ]
        )


def sealed(piece: FilePiece, suite: Suite) -> bytes:
    """The piece as it travels; the same bytes each time. Raises FileNotFoundError."""
    with files.open_file(piece.file.sha256) as stream:
        stream.seek(piece.index * PIECE)
        return seal_bulk(stream.read(PIECE), piece.key, suite)


def bulks_of(letters: Collection[int]) -> dict[int, Beside]:
    """What travels beside these sealed letters, by their keys; fetched when it is sent."""
    if not letters:
        return {}
    rows = Letter.objects.filter(pk__in=letters)
    suite = own_keys().suite
    return {
        key: _Piece(_decoded(bytes(body)), suite) if body else InTransit.find(beside)
        for key, body, beside in rows.values_list("pk", "message__body", "beside")
    }


def _decoded(body: bytes) -> FilePiece:
    piece = decode(FilePiece.kind, body)
    assert isinstance(piece, FilePiece)
    return piece


@dataclass(frozen=True)
class _Piece:
    """One of our own, sealed anew each time."""

    piece: FilePiece
    suite: Suite

    def __len__(self) -> int:
        more = len(seal_bulk(b"", self.piece.key, self.suite))
        return length_of(self.piece.file, self.piece.index) + more

    def __bytes__(self) -> bytes:
        """Zeros, if the file is not here any more: the receiver will refuse this one letter, and
        the others go on."""
        try:
            data = sealed(self.piece, self.suite)
        except FileNotFoundError:
            data = b""
        return data if len(data) == len(self) else bytes(len(self))


def write(piece: FilePiece, data: bytes) -> None:
    """Write a piece that has come, unless its file is here already; `Arriving` makes it count.

    Raises ValueError for a piece that cannot be part of the file it names.
    """
    _check(piece)
    if len(data) != length_of(piece.file, piece.index):
        raise ValueError(f"file piece {piece.index} has {len(data)} bytes")
    files.write_piece(piece.file.sha256, piece.index * PIECE, data)


def settle_ahead(file: FileRef, came: Collection[int]) -> None:
    """Before the transaction that counts these pieces: make them durable, and if no other is
    lacking, move the file to its address. To hash it takes long and needs no lock."""
    files.sync_pieces(file.sha256)
    others = IncomingFile.objects.filter(sha256=file.sha256).exclude(index__in=came)
    if others.count() + len(came) == count(file.size):
        files.place(file.sha256)


class Arriving:
    """The pieces that came in one batch: written already, made durable and counted together."""

    def __init__(self) -> None:
        self._came: dict[str, list[tuple[int, FilePiece]]] = {}

    def take(self, number: int, piece: FilePiece) -> None:
        """Count the piece that came with letter `number`, unless its file is here already."""
        _check(piece)
        name = piece.file.sha256
        if not files.exists(name) and not _recovered(piece.file):
            self._came.setdefault(name, []).append((number, piece))

    def settle(self) -> Iterator[tuple[int, ValueError]]:
        """Note what has come; the last piece of a file checks the hash and completes it.

        Yields the letters whose piece ended a file that is not the one it was named.
        """
        for name, came in self._came.items():
            files.sync_pieces(name)
            IncomingFile.objects.bulk_create(
                [IncomingFile(sha256=name, index=piece.index) for _, piece in came],
                ignore_conflicts=True,
            )
            number, last = came[-1]
            arrived = IncomingFile.objects.filter(sha256=name)
            if arrived.count() == count(last.file.size):
                arrived.delete()
                try:
                    files.complete(name, last.file.name, last.file.media_type)
                except ValueError as error:
                    yield number, error


def _recovered(file: FileRef) -> bool:
    """Whether a file is whole, but has no row yet, or lost it: the machine stopped before that."""
    path = files.path_of(file.sha256)
    if not path.exists():
        return False
    files.StoredFile.objects.get_or_create(
        sha256=file.sha256,
        defaults={"size": path.stat().st_size, "media_type": file.media_type},
    )
    IncomingFile.objects.filter(sha256=file.sha256).delete()
    return True


def _check(piece: FilePiece) -> None:
    """A neighbour's words become a path and an offset here: take nothing on trust."""
    file, last = piece.file, count(piece.file.size) - 1
    if not re.fullmatch(r"[0-9a-f]{64}", file.sha256) or not 0 <= file.size <= MAX_FILE:
        raise ValueError("file piece: no SHA-256, or no size from 0 to 4 GiB")
    if file.media_type not in MEDIA_TYPES:
        raise ValueError("file piece: a media type that no office may send")
    if not 0 <= piece.index <= last:
        raise ValueError(f"file piece {piece.index} of a file of {last + 1}")
