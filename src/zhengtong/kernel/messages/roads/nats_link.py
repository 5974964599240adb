"""One link over NATS: hand batches to our own server's stream, pull theirs across the leaf line.

A batch is one message, under a subject of its lane, so that an emergency is pulled past whatever
bulk waits. It is acknowledged after it has been stored here for good; until then the server gives
it again. A batch refused as a whole is answered with a message that says why, and never given
again. The streams are bounded and hold only what has not been taken: they are a road, not a record.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import nats
from django.db import DatabaseError
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError, ServiceUnavailableError

from zhengtong.kernel.bell import ring
from zhengtong.kernel.errors import Unavailable
from zhengtong.kernel.messages import exchange
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads import links
from zhengtong.kernel.messages.roads.nats_server import DOWN, PARENT, UP, account_of
from zhengtong.kernel.messages.roads.nats_streams import (
    AHEAD,
    RoadCut,
    connect,
    consumer_of,
    make_stream,
)
from zhengtong.wire.errors import WireError
from zhengtong.wire.link import retry_after

log = logging.getLogger(__name__)

InDatabase = Callable[..., Awaitable[Any]]
REFUSED = "Zhengtong-Refused"
"""The header of a message that is no batch but says why one was refused."""
LOOK_AGAIN = 1.0
KNOCK = 5.0
"""Seconds between two words in a lane in which they must answer first."""
QUIET = 20.0
"""Seconds after which an idle link says how far it has got; `retry_after` paces what failed."""
PULL = 5.0
"""How long one request for the next batch stands at their server."""
LATER = 10.0
TRIES = 20


class Link:
    """One neighbour. `in_database` runs a function in the thread that owns the connection."""

    def __init__(self, peer: str, *, upward: bool, in_database: InDatabase) -> None:
        self.peer, self.in_database = peer, in_database
        self.account = PARENT if upward else account_of(peer)
        self.out, self.into = (UP, DOWN) if upward else (DOWN, UP)
        self.wake = asyncio.Event()  # there may be something to hand over
        self.failures = self._refusals = 0  # in a row, for pacing
        self._spoke = float("-inf")
        self._refusing: tuple[int, WireError] | None = None  # to be told at `_refuse_at`
        self._refuse_at = 0.0
        self._cut = False
        self._knock_at: dict[int, float] = {}
        self._at_hand: deque[tuple[int, bytes]] = deque()  # composed, and not yet on the road

    async def keep(self, url: str, password: str) -> None:
        """Serve the link for ever; whatever breaks is noted and begun anew after a pause."""
        while True:
            try:
                await self._attend(url, password)
            except asyncio.CancelledError:
                raise
            except BaseExceptionGroup as several:
                await self._failed(_first(several))
            except Exception as error:
                await self._failed(error)
            await asyncio.sleep(self._pause())

    async def _failed(self, error: BaseException) -> None:
        self.failures += 1
        if not isinstance(error, (RoadCut, nats.errors.Error, OSError, DatabaseError, Unavailable)):
            log.error("nats link to %s", self.peer, exc_info=error)
        await self._note(str(error) or type(error).__name__)

    async def _note(self, reason: str) -> None:
        log.info("nats link to %s: %s", self.peer, reason)
        failures = max(self.failures, self._refusals, 1)
        await self.in_database(links.note_failure, self.peer, failures, reason)

    def _pause(self) -> float:
        attempts = max(self.failures, self._refusals, 1)
        return retry_after(attempts, random.random).total_seconds()

    async def _attend(self, url: str, password: str) -> None:
        """Connect, see that our stream is there, then give and take until something breaks."""
        client = await connect(url, self.account, password)
        try:
            ours = client.jetstream(timeout=10)
            await make_stream(ours, self.out)
            if self._at_hand:  # said to have been handed over, and never was
                self._at_hand.clear()
                await self._rewind()
            inbox: asyncio.PriorityQueue[tuple[int, int, Msg]] = asyncio.PriorityQueue()
            ahead = {lane: asyncio.Semaphore(AHEAD) for lane in Lane}
            theirs = client.jetstream(domain=self.peer, timeout=10)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._say(ours))
                group.create_task(self._take(inbox, ahead))
                for lane in Lane:
                    group.create_task(self._pull(theirs, lane, inbox, ahead[lane]))
        finally:
            await client.close()

    # What we hand over

    async def _say(self, ours: JetStreamContext) -> None:
        while True:
            self.wake.clear()
            if self._refusing and time.monotonic() >= self._refuse_at:
                await self._refuse(ours)
            elif self._at_hand:
                await self._publish(ours)
            elif not await self.in_database(links.is_open, self.peer):
                await _within(LOOK_AGAIN, self.wake.wait())
            elif (lane := await self._to_say()) is not None:
                await self._hand_over(ours, lane)
            elif await self._was_silent(ours):
                if await self.in_database(links.unreceipted, self.peer):
                    await self._rewind()  # all is taken and yet not receipted: it was lost
                await self._hand_over(ours, Lane.NORMAL)
            else:
                await _within(LOOK_AGAIN, self.wake.wait())

    async def _to_say(self) -> int | None:
        """The lane to speak in now. Where they must answer first we do not repeat ourselves."""
        lanes = await self.in_database(exchange.to_say, self.peer)
        knocking = await self.in_database(links.knocking, self.peer) if lanes else set()
        for lane in lanes:
            if lane not in knocking:
                return int(lane)
            if time.monotonic() >= self._knock_at.get(lane, 0.0):
                self._knock_at[lane] = time.monotonic() + KNOCK
                return int(lane)
        return None

    async def _was_silent(self, ours: JetStreamContext) -> bool:
        """Whether all we said was taken a while ago: time to say again how far we have got."""
        if time.monotonic() - self._spoke < QUIET:
            return False
        self._spoke = time.monotonic()  # if something is still on the road, look again later
        return (await ours.stream_info(self.out)).state.messages == 0

    async def _rewind(self) -> None:
        await self.in_database(exchange.rewind, self.peer)

    async def _hand_over(
        self, ours: JetStreamContext, lane: int, refusing: WireError | None = None
    ) -> None:
        """Put the next batch of a lane on the road."""
        batch = await self.in_database(
            partial(exchange.compose, self.peer, int(lane), refusing=refusing)
        )
        self._at_hand.append((int(lane), batch))
        await self._publish(ours)

    async def _publish(self, ours: JetStreamContext) -> None:
        """Put on the road what is at hand, in the order in which it was composed.

        If that fails its letters are offered again.
        """
        try:
            while self._at_hand:
                lane, batch = self._at_hand.popleft()
                await ours.publish(f"{self.out}.{lane}", batch, timeout=10, stream=self.out)
        except APIError as full:  # the stream is at its bound: they have not fetched for long
            self.failures += 1
            await self._note(f"the road is full: {full.description}")
            await self._rewind()
            await asyncio.sleep(self._pause())
        except BaseException:
            await self._rewind()
            raise
        self._spoke = time.monotonic()

    async def _refuse(self, ours: JetStreamContext) -> None:
        """Tell them why we refused batches, so that they offer again what was in them.

        One that is suspended gets the bare reason, as the https road answers it.
        """
        assert self._refusing
        (lane, error), self._refusing = self._refusing, None
        if await self.in_database(links.is_open, self.peer):
            await self._hand_over(ours, lane, refusing=error)
            return
        said = json.dumps({"refused": error.code.value, "text": error.zh}, ensure_ascii=False)
        subject, mark = f"{self.out}.{lane}", {REFUSED: error.code.value}
        await ours.publish(subject, said.encode(), timeout=10, headers=mark)

    # What they hand over

    async def _pull(
        self,
        theirs: JetStreamContext,
        lane: Lane,
        inbox: asyncio.PriorityQueue[tuple[int, int, Msg]],
        room: asyncio.Semaphore,
    ) -> None:
        """Fetch one lane's batches across the line, as far ahead as there is room."""
        pulled = await theirs.pull_subscribe_bind(consumer=consumer_of(lane), stream=self.into)
        while True:
            await room.acquire()
            while not (found := await self._next(pulled)):
                pass
            await inbox.put((int(lane), next(_order), found))

    async def _next(self, pulled: JetStreamContext.PullSubscription) -> Msg | None:
        try:
            (found,) = await pulled.fetch(1, timeout=PULL)
        except ServiceUnavailableError:  # nobody answers: the line between the servers is cut
            if not self._cut:
                self._cut = True
                self.failures += 1
                await self._note(f"no NATS server of {self.peer} can be reached")
            await asyncio.sleep(LOOK_AGAIN)
            return None
        except nats.errors.TimeoutError:
            return None
        self._cut = False
        return found

    async def _take(
        self,
        inbox: asyncio.PriorityQueue[tuple[int, int, Msg]],
        ahead: dict[Lane, asyncio.Semaphore],
    ) -> None:
        """Store what was fetched, the most urgent lane first."""
        while True:
            lane, _, message = await inbox.get()
            ahead[Lane(lane)].release()
            if message.headers and REFUSED in message.headers:
                await self._hear_refusal(message)
            else:
                await self._accept(lane, message)

    async def _accept(self, lane: int, message: Msg) -> None:
        try:
            accepted, batch = await self.in_database(exchange.respond, message.data)
        except WireError as error:
            await message.term()
            await self._note_refusal(lane, error)
        except (DatabaseError, Unavailable) as error:
            await self._note(str(error))
            await message.nak(delay=self._pause())
        except Exception:
            log.exception("batch from %s", self.peer)
            if message.metadata.num_delivered >= TRIES:
                await message.term()
            else:
                await message.nak(delay=LATER)
        else:
            if batch:
                self._at_hand.append((lane, batch))
            await message.ack()
            self.failures = 0
            if accepted.moved:
                self._refusals = 0
                ring()
            self.wake.set()

    async def _note_refusal(self, lane: int, error: WireError) -> None:
        """Show what we refused, and say so after a pause that grows while it goes on."""
        self._refusals += 1
        await self._note(f"refused here: {error.code.value}: {error.zh}")
        if self._refusing is None:
            self._refuse_at = time.monotonic() + self._pause()
        self._refusing = (lane, error)
        self.wake.set()

    async def _hear_refusal(self, message: Msg) -> None:
        """They refuse all we say: show why, and offer it again after a pause."""
        try:
            said = json.loads(message.data)
            reason = f"{said['refused']}: {said['text']}"
        except (ValueError, KeyError, TypeError):
            reason = "refused without a reason"
        self._refusals += 1
        await self._note(reason)
        await message.ack()
        await asyncio.sleep(self._pause())
        await self._rewind()
        self.wake.set()


_order = itertools.count()


async def _within(seconds: float, work: Awaitable[Any]) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(work, seconds)


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = several
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
