"""A bell between the processes of one node: who commits rings, who waits wakes at once.

Datagrams on Unix sockets under the node's run folder. A bell may be missed without harm: every
waiter also looks by itself once a second, so on several machines the bell is simply silent.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType


def _folder() -> Path:
    from django.conf import settings

    return settings.NODE.run


def ring() -> None:
    """Wake every waiter of this node."""
    folder = _folder()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for path in folder.glob("bell-*"):
            try:
                sender.sendto(b"!", str(path))
            except ConnectionRefusedError:  # its owner has died
                with suppress(FileNotFoundError):
                    path.unlink()
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
        self.socket.bind(str(self.path))

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
