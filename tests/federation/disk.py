"""A disk that can be filled: a small memory disk for root, a limit on file sizes for others."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK = 1 << 16


class MemoryDisk:
    """A tmpfs of so many megabytes: full is full, for everything that is on it."""

    heard = "磁盘已满"  # what the other side is told

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder, self.filler = folder, folder / "filler"
        folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
        subprocess.run(command, check=True)

    def fill(self) -> None:
        with self.filler.open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(BLOCK))
            except OSError:
                return

    def free(self) -> None:
        self.filler.unlink()

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


class LimitedWrites:
    """Processes that may no longer write to any file: EFBIG where a full disk says ENOSPC.

    Their temporary files cannot be written either, so a large request does not even get in.
    """

    heard = "HTTP 500"

    def __init__(self, processes: Callable[[], list[int]]) -> None:
        self.processes = processes

    def fill(self) -> None:
        self._limit(0)

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in self.processes():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def close(self) -> None:
        """Nothing is left behind."""


@contextmanager
def small_disk(
    folder: Path, megabytes: int, processes: Callable[[], list[int]]
) -> Iterator[MemoryDisk | LimitedWrites]:
    """A disk for `folder`, which does not exist yet, and for the `processes` that will use it."""
    disk = MemoryDisk(folder, megabytes) if os.geteuid() == 0 else LimitedWrites(processes)
    try:
        yield disk
    finally:
        disk.close()
