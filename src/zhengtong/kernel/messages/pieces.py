"""Files travel as letters of their own, 1 MiB pieces named by the whole file's hash.

A piece is enclosed from the file store when its letter is sealed, so it is never copied into the
database; on arrival it is written in place, and the last one completes the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q

from zhengtong.kernel import files
from zhengtong.kernel.file_types import ALLOWED
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.messages.facts import Fact, FileRef, encode, fact, files_of
from zhengtong.kernel.messages.models import IncomingFile, Letter, Message
from zhengtong.kernel.messages.routes import Way

PIECE = 1 << 20
MEDIA_TYPES = frozenset(kind.media_type for kind in ALLOWED)
MAX_FILE = 4 << 30
"""Bytes; no node's `max_upload_mb` can be set higher."""


@fact("kernel.file_piece", "附件分块")
@dataclass(frozen=True)
class FilePiece(Fact):
    """Piece `index` (from 0) of a file; `data` is empty until the letter is sealed."""

    file: FileRef
    index: int
    data: bytes = b""


def subject_of(file: FileRef) -> str:
    """Under which name a file's pieces wait and travel."""
    return f"file:{file.sha256}"


def count(size: int) -> int:
    """How many pieces a file of this many bytes travels in; an empty file is one empty piece."""
    return max(1, -(-size // PIECE))


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
        messages = Message.objects.bulk_create(
            [
                Message(
                    id=new_id(),
                    kind=FilePiece.kind,
                    body=encode(FilePiece(reference, index)),
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


def enclose(piece: FilePiece) -> bytes:
    """The fact's bytes with the file's content read in."""
    with files.open_file(piece.file.sha256) as stream:
        stream.seek(piece.index * PIECE)
        data = stream.read(PIECE)
    return encode(FilePiece(piece.file, piece.index, data))


def receive(piece: FilePiece) -> None:
    """Store a piece (idempotent); the last one checks the hash and completes the file.

    Raises ValueError for a piece that cannot be part of the file it names.
    """
    _check(piece)
    name, arrived = piece.file.sha256, IncomingFile.objects.filter(sha256=piece.file.sha256)
    if files.exists(name):
        return
    if files.path_of(name).exists():
        # Whole, but its row was lost: the machine stopped between the two.
        size = files.path_of(name).stat().st_size
        files.StoredFile.objects.get_or_create(
            sha256=name, defaults={"size": size, "media_type": piece.file.media_type}
        )
        arrived.delete()
        return
    files.write_piece(name, piece.index * PIECE, piece.data)
    IncomingFile.objects.bulk_create(
        [IncomingFile(sha256=name, index=piece.index)], ignore_conflicts=True
    )
    if arrived.count() == count(piece.file.size):
        arrived.delete()
        files.complete(name, piece.file.name, piece.file.media_type)


def _check(piece: FilePiece) -> None:
    """A neighbour's words become a path and an offset here: take nothing on trust."""
    file, last = piece.file, count(piece.file.size) - 1
    if not re.fullmatch(r"[0-9a-f]{64}", file.sha256) or not 0 <= file.size <= MAX_FILE:
        raise ValueError("file piece: no SHA-256, or no size from 0 to 4 GiB")
    if file.media_type not in MEDIA_TYPES:
        raise ValueError("file piece: a media type that no office may send")
    if not 0 <= piece.index <= last:
        raise ValueError(f"file piece {piece.index} of a file of {last + 1}")
    if len(piece.data) != (PIECE if piece.index < last else file.size - last * PIECE):
        raise ValueError(f"file piece {piece.index} has {len(piece.data)} bytes")
