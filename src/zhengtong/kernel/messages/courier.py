"""The https road: the child dials its parent, brings what it has and takes what waits.

A turn is one POST of a signed batch, answered by one of the same lane. While a lane is full two
turns are under way, so that the road is busy while the answer before is still taken in. Two
couriers dial side by side, one for the urgent lanes, so that nothing urgent waits for a slow
transfer. While nothing moves, the child keeps a doorbell stream open on which the parent says in
which lanes mail has come.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.db import Error as DatabaseFailed

from zhengtong.kernel import leases
from zhengtong.kernel.bell import Bell, ring
from zhengtong.kernel.engine import plain_errors
from zhengtong.kernel.errors import Unavailable
from zhengtong.kernel.messages import certified
from zhengtong.kernel.messages.dial import Answer, Dial, Unreachable
from zhengtong.kernel.messages.doorbell import Doorbell
from zhengtong.kernel.messages.exchange import Accepted, Streamed, proceed, rewind, stream, to_say
from zhengtong.kernel.messages.models import LinkLane, Neighbour
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.wire.errors import WireError
from zhengtong.wire.link import fruitless_after, pause_after, retry_after

log = logging.getLogger(__name__)

LEASE = 30.0
LOOK_AGAIN = 5.0
LOOK_SELDOM = 20.0
"""Seconds between dials on an idle link, without and with an open doorbell."""
AT_ONCE = 2
"""Turns under way in a full lane: one on the road, one that follows it at once."""
PAUSE = 0.05
"""Seconds between two looks for mail of ours: during a burst the bell rings for every batch."""
EXPRESS = (Lane.EMERGENCY, Lane.URGENT)
REGULAR = (Lane.NORMAL, Lane.BULK)


def couriers(holder: str) -> list[Courier]:
    """Those a worker starts: the regular one also keeps the doorbell open."""
    assert settings.NODE.parent is not None
    doorbell = Doorbell(settings.NODE.parent)
    return [Courier(holder, REGULAR, doorbell), Courier(holder, EXPRESS, doorbell)]


class Courier(threading.Thread):
    """Dials the parent in some lanes for ever. Of several workers only the lease's holder dials."""

    def __init__(self, holder: str, lanes: tuple[int, ...], doorbell: Doorbell) -> None:
        assert settings.NODE.parent is not None
        self.work = f"courier-{Lane(lanes[0]).name.lower()}"
        super().__init__(name=self.work, daemon=True)
        self.parent, self.holder, self.lanes = settings.NODE.parent.name, holder, lanes
        self.dial, self.doorbell = Dial(settings.NODE.parent), doorbell
        self.bell = Bell(self.work)
        self.road = ThreadPoolExecutor(1, thread_name_prefix=self.work)
        self._stopping = threading.Event()
        self._renew_at = 0.0
        self._lost = True  # what an earlier process had handed over may never have arrived
        self._refusing: WireError | None = None  # to be told at the next dial
        self._dial_at = 0.0
        self._fruitless = 0

    def run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                if not self._leads():
                    self._stopping.wait(LOOK_AGAIN)
                    continue
                with plain_errors():
                    moved = self.turns()
                failures = 0
                if not moved:
                    self._rest()
            except Exception as error:
                failures += 1
                self._lost = True
                pause = retry_after(failures, random.random).total_seconds()
                self._note(failures, error)
                if not isinstance(error, (Unreachable, WireError, Unavailable, DatabaseError)):
                    log.exception("courier to %s", self.parent)
                close_old_connections()  # a database that was away may have come back
                self._pause(pause)
        with suppress(Exception):
            leases.give_back(self.work, self.holder)
        self.bell.close()
        connection.close()

    def stop(self) -> None:
        self._stopping.set()
        self.doorbell.stop()
        ring()
        self.dial.close()
        self.road.shutdown(wait=False, cancel_futures=True)
        self.join(timeout=2)

    def turns(self) -> bool:
        """Dial in every lane in which either side has something to say; whether anything moved."""
        if self._lost:
            rewind(self.parent)
            self._lost = False
        called = self.doorbell.heard(self.lanes)
        wanted = sorted({*to_say(self.parent), *called} & set(self.lanes))
        if not wanted and time.monotonic() >= self._dial_at and Lane.NORMAL in self.lanes:
            wanted = [Lane.NORMAL]  # to see that the other end is there, and to be seen
        moved = False
        for lane in wanted:
            moved |= self._stream(lane, lane in called)
        return moved

    def _stream(self, lane: int, called: bool) -> bool:
        """Turns in one lane until neither side has more, or a more urgent one waits.

        The road always has the next batch at hand, while the answer before is still taken in. A
        parent that keeps calling us for nothing is dialled ever more seldom.
        """
        moved = False
        under_way = deque([self._post(self._batch(lane))])
        try:
            while under_way and not self._stopping.is_set():
                answer = under_way.popleft().result()
                accepted, batch = self._proceed(answer)
                if accepted.moved:
                    moved = True
                    ring()
                self._slow_down(accepted, called, last=not under_way)
                if batch:
                    under_way.append(self._post(batch))
                if batch and len(under_way) < AT_ONCE:
                    under_way.append(self._post(self._batch(lane)))
                here = {lane} if under_way else set()
                self.doorbell.call({*accepted.waiting} - here)
        finally:
            for left in under_way:
                left.cancel()
        certified.keep(self.parent)
        self._dial_at = time.monotonic() + (LOOK_SELDOM if self.doorbell.open else LOOK_AGAIN)
        return moved

    def _slow_down(self, accepted: Accepted, called: bool, last: bool) -> None:
        """Wait the longer, the more often in a row a turn was asked for and brought nothing."""
        asked = called or not {*self.lanes}.isdisjoint((*accepted.waiting, *accepted.ours))
        self._fruitless = fruitless_after(
            self._fruitless, moved=accepted.moved, asked=asked, last=last
        )
        self._pause(pause_after(self._fruitless, random.random).total_seconds())

    def _pause(self, seconds: float) -> None:
        """Wait before the next dial. What is sealed as an emergency meanwhile is tried at once."""
        if not seconds:
            return
        until, before = time.monotonic() + seconds, self._emergencies()
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            if self._emergencies() > before:
                return
            self.bell.wait(left)
            self._stopping.wait(min(left, PAUSE))

    def _emergencies(self) -> int:
        """How many were numbered so far, if it is for us to bring them."""
        if Lane.EMERGENCY in self.lanes:
            with suppress(DatabaseFailed):  # it may be the very reason for the pause
                lanes = LinkLane.objects.filter(neighbour__name=self.parent, lane=Lane.EMERGENCY)
                return lanes.values_list("sealed", flat=True).first() or 0
        return 0

    def _post(self, batch: Streamed) -> Future[Answer]:
        return self.road.submit(self.dial.post, batch)

    def _proceed(self, answer: Answer) -> tuple[Accepted, Streamed | None]:
        try:
            return proceed(answer.head, answer.read, self.lanes, room=self.dial.room)
        except WireError as error:
            self._refusing = error
            raise
        finally:
            answer.close()

    def _batch(self, lane: int) -> Streamed:
        refusing, self._refusing = self._refusing, None
        room = self.dial.room
        return stream(self.parent, lane, refusing=refusing, room=room, wanted=room)

    def _leads(self) -> bool:
        """Whether we are the one to dial. Renewing at every dial would cost each a write."""
        if time.monotonic() >= self._renew_at:
            if not leases.take(self.work, self.holder, LEASE):
                return False
            self._renew_at = time.monotonic() + LEASE / 3
        return True

    def _rest(self) -> None:
        """Sleep until there is mail of ours, a call from the parent, or it is time to look.

        The bell rings for every commit on this node; most are no reason to dial.
        """
        if Lane.NORMAL in self.lanes:
            self.doorbell.listen()
        until = max(self._dial_at, time.monotonic() + 0.01)
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            if self.doorbell.waits(self.lanes) or set(to_say(self.parent)) & set(self.lanes):
                return
            self.bell.wait(left)
            self._stopping.wait(min(left, PAUSE))
        if Lane.NORMAL not in self.lanes:
            self._dial_at = time.monotonic() + LEASE / 3  # nothing to do but to renew the lease

    def _note(self, failures: int, error: Exception) -> None:
        log.info("dial %s: %s", self.parent, error)
        with suppress(Exception):
            Neighbour.objects.filter(name=self.parent).update(
                failures=failures, last_error=str(error)[:200]
            )
