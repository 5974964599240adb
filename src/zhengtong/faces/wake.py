"""One bell for all the streams of a web process."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from zhengtong.kernel.bell import Bell


class Wake:
    """Lets any number of streams sleep until somebody on this node commits something."""

    def __init__(self) -> None:
        self._bell: Bell | None = None
        self._rung = asyncio.Event()

    async def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`; True when the bell rang."""
        if self._bell is None:
            self._bell = Bell("web")
            asyncio.get_running_loop().add_reader(self._bell.socket, self._ring)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), seconds)
            return True
        return False

    def _ring(self) -> None:
        assert self._bell is not None
        self._bell.drain()
        # Everyone waiting now wakes; whoever comes later waits for the next ring.
        self._rung.set()
        self._rung = asyncio.Event()


wake = Wake()
