"""Where a voyage's files are, and who may touch them now."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from zhengtong.kernel import leases
from zhengtong.kernel.errors import HouseError, Unavailable
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.messages.roads import hold
from zhengtong.kernel.messages.roads.models import State, Voyage

Progress = Callable[[int, int], None]
"""Hears what is done and what there is in all; 0 in all: not known yet."""
LEASE = 60.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


def folder_of(voyage: Voyage) -> Path:
    """Where the volumes of a voyage are: one that leaves, or what has landed of one that comes."""
    if voyage.folder:
        return Path(voyage.folder)
    way = "out" if voyage.leaving else "in"
    return settings.NODE.home / "ferry" / way / voyage.voyage


def landed(voyage: Voyage, number: int) -> Path:
    """The file of a volume that has been copied from its disc and not been unloaded yet."""
    return folder_of(voyage) / f"{number:04}{hold.ENDING}"


def absent(voyage: Voyage) -> list[int]:
    """The volumes of an arriving voyage that have not come yet."""
    if voyage.state != State.ARRIVING:
        return []
    numbers = range(voyage.volume, len(voyage.volumes) + 1)
    return [number for number in numbers if not landed(voyage, number).exists()]


def take_lease(neighbour: Neighbour) -> bool:
    """Only one process at a time loads or unloads for a neighbour."""
    return leases.take(_lease(neighbour), leases.holder(), LEASE)


def is_idle(neighbour: Neighbour) -> bool:
    """Whether nobody loads or unloads for a neighbour just now."""
    if not take_lease(neighbour):
        return False
    leases.give_back(_lease(neighbour), leases.holder())
    return True


def _lease(neighbour: Neighbour) -> str:
    return f"ferry-{neighbour.pk}"


@contextmanager
def alone(voyage: Voyage, progress: Progress) -> Iterator[Progress]:
    """Wait until nobody else works for this neighbour; `voyage` then is as it stands.

    The progress that is given also keeps others away for as long as something moves.
    """
    while not take_lease(voyage.neighbour):
        time.sleep(0.3)
        voyage.refresh_from_db()
        progress(voyage.done, voyage.size)
    renew_at = time.monotonic() + LEASE / 3

    def moving(done: int, total: int) -> None:
        nonlocal renew_at
        progress(done, total)
        if time.monotonic() > renew_at:
            take_lease(voyage.neighbour)
            renew_at = time.monotonic() + LEASE / 3

    try:
        voyage.refresh_from_db()
        yield moving
    finally:
        leases.give_back(_lease(voyage.neighbour), leases.holder())


def needs(voyage: Voyage, number: int) -> bool:
    """Whether a volume has neither landed nor been unloaded."""
    arriving = voyage.state == State.ARRIVING and number >= voyage.volume
    return arriving and not landed(voyage, number).exists()


def discard(voyage: Voyage) -> None:
    """Remove the files this node keeps of a voyage."""
    if not voyage.folder:
        shutil.rmtree(folder_of(voyage), ignore_errors=True)


def full_or(error: Exception, other: HouseError) -> HouseError:
    """The words for a full disk of ours, if that is what it was."""
    full = isinstance(error, OSError) and error.errno in FULL
    return Unavailable("full") if full else other
