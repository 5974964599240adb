"""Files travel as letters of their own, 1 MiB pieces named by the whole file's hash.

A piece is enclosed from the file store when its letter is sealed, so it is never copied into the
database; on arrival it is written in place, and the last one completes the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from zhengtong.kernel import files
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.messages.facts import Fact, FileRef, encode, fact, files_of
from zhengtong.kernel.messages.models import IncomingFile, Letter, Message, Neighbour

PIECE = 1 << 20


@fact("kernel.file_piece")
@dataclass(frozen=True)
class FilePiece(Fact):
    """Piece `index` (from 0) of a file; `data` is empty until the letter is sealed."""

    file: FileRef
    index: int
    data: bytes = b""


def count(size: int) -> int:
    """How many pieces a file of this many bytes travels in; an empty file is one empty piece."""
    return max(1, -(-size // PIECE))


def send_missing(
    told: Fact, level: int, neighbours: Iterable[Neighbour], lane: int, at: datetime
) -> None:
    """Send the pieces of every file of a fact ahead of it, to the neighbours that lack them."""
    for reference in files_of(told):
        subject = f"file:{reference.sha256}"
        have = set(
            Letter.objects.filter(message__subject=subject).values_list("neighbour_id", flat=True)
        )
        lacking = [item for item in neighbours if item.pk not in have]
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
                Letter(message=message, neighbour=neighbour, lane=lane)
                for message in messages
                for neighbour in lacking
            ]
        )


def enclose(piece: FilePiece) -> bytes:
    """The fact's bytes with the file's content read in."""
    with files.open_file(piece.file.sha256) as stream:
        stream.seek(piece.index * PIECE)
        data = stream.read(PIECE)
    return encode(FilePiece(piece.file, piece.index, data))


def receive(piece: FilePiece) -> None:
    """Store a piece (idempotent); the last one checks the hash and completes the file."""
    if files.exists(piece.file.sha256):
        return
    files.write_piece(piece.file.sha256, piece.index * PIECE, piece.data)
    IncomingFile.objects.bulk_create(
        [IncomingFile(sha256=piece.file.sha256, index=piece.index)], ignore_conflicts=True
    )
    arrived = IncomingFile.objects.filter(sha256=piece.file.sha256)
    if arrived.count() == count(piece.file.size):
        files.complete(piece.file.sha256, piece.file.name, piece.file.media_type)
        arrived.delete()
