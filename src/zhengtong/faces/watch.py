"""One look at the tables for all the streams of a web process.

Every commit on the node rings the bell. If each open page then asked the database by itself, a
busy morning would drown it; so one task per process looks, and wakes only whom it concerns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from zhengtong.kernel.bell import Bell

log = logging.getLogger(__name__)

K = TypeVar("K")
M = TypeVar("M")

InThread = Callable[..., Awaitable[Any]]
LOOK_EVERY = 1.0  # the bell does not reach other machines
AT_MOST_EVERY = 0.1


class Watch(Generic[K, M]):
    """Wakes waiters by key. Use on one event loop.

    `look(mark)` runs in a thread and returns (new mark, keys changed since `mark`); the first mark
    is None. Keys None means: everybody should look for themselves.
    """

    def __init__(
        self, name: str, look: Callable[[M | None], tuple[M, frozenset[K] | None]]
    ) -> None:
        self._name, self._look = name, look
        self._waiters: dict[asyncio.Event, frozenset[K]] = {}
        self._task: asyncio.Task[None] | None = None

    async def changes(self, keys: Iterable[K], in_thread: InThread) -> AsyncIterator[None]:
        """Yield at once, and again whenever one of `keys` has changed."""
        due = asyncio.Event()
        due.set()
        self._waiters[due] = frozenset(keys)
        if self._task is None:
            self._task = asyncio.create_task(self._run(in_thread))
        try:
            while True:
                await due.wait()
                due.clear()
                yield
        finally:
            del self._waiters[due]
            if not self._waiters and self._task is not None:
                task, self._task = self._task, None
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _run(self, in_thread: InThread) -> None:
        loop, rung, mark = asyncio.get_running_loop(), asyncio.Event(), None
        with Bell(self._name) as bell:

            def hear() -> None:
                bell.drain()
                rung.set()

            loop.add_reader(bell.socket, hear)
            try:
                while True:
                    try:
                        mark, changed = await in_thread(self._look, mark)
                        self._wake(changed)
                    except Exception:
                        log.exception("looking for %s", self._name)
                    await asyncio.sleep(AT_MOST_EVERY)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(rung.wait(), LOOK_EVERY)
                    rung.clear()
            finally:
                loop.remove_reader(bell.socket)

    def _wake(self, changed: frozenset[K] | None) -> None:
        for due, keys in self._waiters.items():
            if changed is None or keys & changed:
                due.set()
