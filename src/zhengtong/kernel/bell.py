"""A bell between the processes of one node: who commits rings, who waits wakes at once.

Datagrams on Unix sockets under the node's run folder. A bell may be missed without harm: every
waiter also looks by itself once a second, so on several machines the bell is simply silent.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType


def _folder() -> Path:
    from django.conf import settings

    return settings.NODE.run


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A descriptor of the folder: the address of a socket has room for 107 bytes only, and the
    path of a folder may be longer than that."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


def _address(handle: int, name: str) -> str:
    return f"/proc/self/fd/{handle}/{name}"


def ring() -> None:
    """Wake every waiter of this node."""
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with suppress(FileNotFoundError), sender, _opened(_folder()) as handle:
        sender.setblocking(False)
        for name in os.listdir(handle):
            if not name.startswith("bell-"):
                continue
            try:
                sender.sendto(b"!", _address(handle, name))
            except ConnectionRefusedError:  # its owner has died
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=handle)
            except OSError:
                continue


class Bell:
    """One waiter. `wait(seconds)` returns early when somebody rings."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        folder = folder or _folder()
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"bell-{name}-{os.getpid()}"
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        with _opened(folder) as handle:
            self.socket.bind(_address(handle, self.path.name))

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`; True when the bell rang."""
        ready, _, _ = select.select([self.socket], [], [], seconds)
        if ready:
            self.drain()
        return bool(ready)

    def drain(self) -> None:
        with suppress(BlockingIOError):
            while self.socket.recv(16):
                pass

    def close(self) -> None:
        self.socket.close()
        with suppress(FileNotFoundError):
            self.path.unlink()

    def __enter__(self) -> Bell:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
