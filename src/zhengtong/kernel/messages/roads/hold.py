"""The files of a voyage: written whole or not at all, read where they lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from zhengtong.wire.batch import MAX_BATCH
from zhengtong.wire.errors import WireError
from zhengtong.wire.ferry import HEAD, Extent, Head, Voyage, seal_heads
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.suite import Rng
from zhengtong.wire.volume import Volume, VolumeWriter

ENDING, PART = ".ferry", ".ferry.part"


class Hold:
    """Writes the volumes of one voyage into a folder, under their names only when all are whole."""

    def __init__(
        self,
        folder: Path,
        voyage: Voyage,
        keys: NodeKeys,
        recipients: Sequence[NodeCard],
        limit: int,
        rng: Rng = os.urandom,
    ) -> None:
        """`voyage` still has no volumes. `limit`: bytes of a volume. Raises WireError, OSError."""
        self.folder, self.voyage, self.limit = folder, voyage, limit
        self._keys, self._recipients, self._rng = keys, recipients, rng
        self._parts: list[Path] = []
        self._paths: list[Path] = []
        self._extents: list[Extent] = []
        self._file: BinaryIO | None = None
        self.size = 0
        """Bytes written so far."""
        self._writer = self._new_writer()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def number(self) -> int:
        """The volume now being written, from 1."""
        return len(self._extents) + 1

    def has_room(self) -> bool:
        """Whether a batch of any size still fits on the present volume."""
        return self._writer.has_room(MAX_BATCH)

    def put(self, batch: bytes) -> None:
        """Add a batch, on the next volume if this one is full."""
        if self._file is not None and not self._writer.has_room(len(batch)):
            self._end_volume()
        if self._file is None:
            self._begin_volume()
        assert self._file is not None
        self.size += self._file.write(self._writer.add(batch))

    def finish(self) -> Voyage:
        """Write the heads and give the volumes their names: the whole voyage."""
        self._end_volume()
        voyage = replace(self.voyage, volumes=tuple(self._extents))
        heads = seal_heads(voyage, self._keys)
        for part, head in zip(self._parts, heads, strict=True):
            with part.open("r+b") as file:
                file.write(head)
                sync(file)
        self._paths = [self.folder / name for name in names(voyage)]
        for part, path in zip(self._parts, self._paths, strict=True):
            part.replace(path)
        sync_folder(self.folder)
        return voyage

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            with suppress(OSError):  # what is still in memory may not be writable either
                self._file.close()
        remove_parts(self.folder, self.voyage.id.hex())
        for path in self._paths:
            path.unlink(missing_ok=True)

    def _new_writer(self) -> VolumeWriter:
        return VolumeWriter(
            self._keys, self._recipients, self.voyage.id, self.number, self.limit, self._rng
        )

    def _begin_volume(self) -> None:
        self._writer = self._new_writer()
        part = self.folder / f"{self.voyage.id.hex()}-{self.number:04}{PART}"
        self._parts.append(part)
        self._file = part.open("wb")
        self.size += self._file.write(bytes(HEAD))

    def _end_volume(self) -> None:
        assert self._file is not None
        index, extent = self._writer.finish()
        self.size += self._file.write(index)
        sync(self._file)
        self._file.close()
        self._file = None
        self._extents.append(extent)


def names(voyage: Voyage) -> list[str]:
    """The names of the volumes' files: from, to, which voyage, which volume."""
    of = len(voyage.volumes)
    base = f"{voyage.sender}-{voyage.receiver}-{voyage.number:04}-{voyage.id.hex()[:6]}"
    return [f"{base}-{n:02}of{of:02}{ENDING}" for n in range(1, of + 1)]


def remove_parts(folder: Path, voyage: str) -> None:
    """Remove what an interrupted making of this voyage has left."""
    for part in folder.glob(f"{voyage}-*{PART}"):
        part.unlink(missing_ok=True)


def volumes_in(places: Sequence[Path]) -> list[Path]:
    """The volumes among these files and in these folders, by name. Raises FileNotFoundError."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(place.glob(f"*{ENDING}"))
        elif place.exists():
            found.append(place)
        else:
            raise FileNotFoundError(place)
    return found


@contextmanager
def opened(path: Path, head: Head) -> Iterator[Volume]:
    """The volume in a file. Raises FerryError as soon as something is wrong with it."""
    with path.open("rb") as file:

        def read(start: int, length: int) -> bytes:
            try:
                file.seek(start)
                return file.read(length)
            except OSError:  # a scratch on the disc: as good as altered, and named like that
                return b""

        yield Volume(read, path.stat().st_size, head)


def land(source: Path, head: Head, target: Path, progress: Callable[[int], None]) -> None:
    """Copy a volume, checking every byte; a copy that was interrupted is continued.

    Raises FerryError naming what is damaged, OSError; a part that was copied stays for next time.
    """
    part = part_of(target)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with opened(source, head) as volume, part.open("ab") as out:
        for piece in volume.pieces(part.stat().st_size):
            out.write(piece)
            progress(out.tell())
        sync(out)
    adopt(part, head, target)


def part_of(target: Path) -> Path:
    """Where a volume lies while it is being copied."""
    return target.with_name(target.name + ".part")


def adopt(part: Path, head: Head, target: Path) -> None:
    """Take a whole copy for the volume, once it has been read. A bad copy is removed."""
    try:
        with opened(part, head) as volume:
            volume.check()
    except WireError:
        part.unlink()
        raise
    part.replace(target)
    sync_folder(target.parent)


def sync(file: BinaryIO) -> None:
    """Make what was written durable."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where its file system can (FAT on a stick cannot)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
