"""One simulated world: its clock, its only source of chance, and what happened in it, hashed."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

START = datetime(2026, 3, 2, 0, 0, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MANY = 1_000_000


class Restless(Exception):
    """More has happened than could in an honest world."""


class World:
    """Events in the order of their time; `now` in seconds since START.

    Everything that happens is decided by `chance`, so one seed is one run, and `digest` says
    whether two runs were the same. `most`: so much may happen in a day.
    """

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.chance = random.Random(seed)
        self.counts = Counter[str]()
        self.most = MANY
        self._events: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._serial = self._before = 0
        self._tomorrow = DAY
        self._history = blake2b(digest_size=16)

    def at(self, delay: float, action: Callable[..., object], *arguments: Any) -> None:
        """Do this after so many seconds; of two at the same moment the first asked goes first."""
        self._serial += 1
        heapq.heappush(self._events, (self.now + delay, self._serial, action, arguments))

    def run(self, until: float) -> None:
        """Let everything happen up to a moment."""
        while self._events and self._events[0][0] <= until:
            self.now, _, action, arguments = heapq.heappop(self._events)
            if self.now >= self._tomorrow:
                self._tomorrow, self._before = self.now + DAY, self._serial
            if self._serial - self._before > self.most:
                raise Restless("the world does not come to rest")
            action(*arguments)
        self.now = until

    def note(self, what: str, *details: object) -> None:
        """Count an event and make it part of the run's hash."""
        self.counts[what] += 1
        self._history.update(f"{self.now:.6f} {what} {details}\n".encode())

    def moment(self, skew: float = 0.0) -> datetime:
        return START + timedelta(seconds=self.now + skew)

    def happens(self, probability: float) -> bool:
        return self.chance.random() < probability

    @property
    def digest(self) -> str:
        return self._history.hexdigest()


class Wire:
    """The line between two nodes, both ways. Rates are shares of what is carried.

    `bandwidth` in bytes/s for each stream of a direction: streams share a line fairly, so a long
    batch in one does not keep those of another waiting.
    """

    def __init__(self, world: World, latency: float = 0.02, bandwidth: float = 1e6) -> None:
        self.world, self.latency, self.bandwidth = world, latency, bandwidth
        self.loss = self.repeats = self.jitter = 0.0
        self.resend_after = 0.0
        self.cuts = 0
        self.carried = 0
        self._free: dict[object, float] = {}

    def cut(self, seconds: float) -> None:
        """Nothing passes for so long; cuts may overlap."""
        self.cuts += 1
        self.world.note("cut", round(seconds))
        self.world.at(seconds, self._mend)

    def _mend(self) -> None:
        self.cuts -= 1

    def carry(self, stream: object, data: bytes, arrive: Callable[[bytes], None]) -> None:
        """Bring data to the other end: never, once, or more often, later or sooner."""
        world = self.world
        begin = max(world.now, self._free.get(stream, 0.0))
        sent = begin + len(data) / self.bandwidth
        self._free[stream] = sent
        self.carried += len(data)
        again = self.resend_after
        while again and world.happens(self.loss):
            sent, again = sent + again, 2 * again
        if self.cuts or (not again and world.happens(self.loss)):
            world.note("lost")
            return
        for copy in range(2 if world.happens(self.repeats) else 1):
            if copy:
                world.note("repeated")
            spread = world.chance.expovariate(1 / self.jitter) if self.jitter else 0.0
            world.at(sent - world.now + self.latency + spread, self._arrive, data, arrive)

    def _arrive(self, data: bytes, arrive: Callable[[bytes], None]) -> None:
        if self.cuts:
            self.world.note("lost")
        else:
            arrive(data)
