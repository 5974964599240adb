"""What travels beside letters in transit: a file each, until the next node has receipted them.

It is sealed, and the key is not ours. Under one name the same is written each time, so a crash may
cut it short, and whoever brings it again writes over it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from zhengtong.kernel import moment
from zhengtong.kernel.engine import plain_errors
from zhengtong.kernel.files import sync_folder
from zhengtong.kernel.messages.models import Letter

EVERY = timedelta(hours=1)
FORGOTTEN = timedelta(days=1)
"""How old a file must be to be taken for one that no letter will name any more."""


def _folder() -> Path:
    return settings.NODE.files / "transit"


def write(name: str, sealed: bytes) -> None:
    """Put aside what is beside a letter; durable after `sync`. Raises Unavailable: disk full."""
    with plain_errors():
        _folder().mkdir(parents=True, exist_ok=True)
        handle = os.open(_folder() / name, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            rest = memoryview(sealed)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.posix_fadvise(handle, 0, len(sealed), os.POSIX_FADV_DONTNEED)  # begin with it now
        finally:
            os.close(handle)


def sync(names: Iterable[str]) -> None:
    """Bring these to the disk. Raises Unavailable when it is full."""
    with plain_errors():
        for name in names:
            handle = os.open(_folder() / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(_folder())


def drop(names: Iterable[str]) -> None:
    """The next node has them: forget these."""
    for name in names:
        (_folder() / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class InTransit:
    """What was put aside, as it came; read when it is sent on."""

    name: str
    size: int

    @classmethod
    def find(cls, name: str) -> InTransit | bytes:
        """Nothing, if it is not here any more: the next node will refuse this one letter."""
        try:
            return cls(name, (_folder() / name).stat().st_size)
        except FileNotFoundError:
            return b""

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        """Zeros, if it has been dropped since: then the next node has it, and will not look."""
        try:
            return (_folder() / self.name).read_bytes()
        except FileNotFoundError:
            return bytes(self.size)


class Sweeper:
    """Drops what no letter names: a batch that was refused brought it, or a crash left it."""

    def __init__(self) -> None:
        self._next: datetime | None = None

    def work(self) -> bool:
        """Look now and then; whether anything was dropped."""
        now = moment.now()
        if self._next is not None and self._next - EVERY <= now < self._next:
            return False
        self._next = now + EVERY
        before = (now - FORGOTTEN).timestamp()
        dropped = False
        for name in _older(before):
            if not Letter.objects.filter(beside=name, beside__gt="").exists():
                drop([name])
                dropped = True
        return dropped


def _older(before: float) -> list[str]:
    if not _folder().exists():
        return []
    with os.scandir(_folder()) as found:
        return [entry.name for entry in found if entry.stat().st_mtime < before]
