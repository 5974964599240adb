"""The roads of the simulation. Like real ones they know nothing of what they carry."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from tests.sim.culprit import Culprit
from tests.sim.node import DiskFull, Down, Node
from tests.sim.world import HOUR, MINUTE, Wire, World
from zhengtong.wire import turns
from zhengtong.wire.batch import encode_batch
from zhengtong.wire.errors import WireError
from zhengtong.wire.exchange import Accepted, Exchange
from zhengtong.wire.link import fruitless_after, pause_after, retry_after

P = ParamSpec("P")
T = TypeVar("T")
EXPRESS, REGULAR = (0, 1), (2, 3)
TIMEOUT = 30.0
TURN = 5.0
"""Seconds that one batch should take at most; a slow line carries smaller ones."""
SEAL_PAUSE = 0.01
AT_ONCE = 2
"""Turns under way in a full lane: one on the road, one that follows it at once."""


class Road:
    """What both sorts have in common: an end seals what it has to send, and says so."""

    def __init__(self, world: World, wire: Wire, *ends: Node) -> None:
        self.world, self.wire, self.ends = world, wire, ends
        for end, other in (ends, ends[::-1]):
            end.on_mail[other.name] = partial(self.mail, end, other)
            end.on_rise.append(partial(self.mail, end, other))

    def mail(self, end: Node, other: Node) -> None:
        """Something waits at one end: seal it, and let the road know."""
        self.world.at(SEAL_PAUSE, self._seal, end, other)

    def _seal(self, end: Node, other: Node) -> None:
        try:
            sealed = end.seal(other.name)
        except Down:
            return
        except DiskFull:
            self.world.at(MINUTE, self._seal, end, other)
            return
        if sealed:
            self.offer(end, other)
            self.world.at(SEAL_PAUSE, self._seal, end, other)

    def offer(self, end: Node, other: Node) -> None:
        raise NotImplementedError

    def hear(
        self,
        end: Node,
        other: Node,
        take: Callable[Concatenate[Exchange, bytes, P], T],
        data: bytes,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """An end takes in what has come. Raises WireError, Down, DiskFull.

        A cheat learns that it was heard: what was lost on the road has deceived nobody.
        """
        try:
            taken = end.do(take, end.exchange, data, *args, **kwargs)
        except WireError:
            _came(other, data)
            raise
        _came(other, data)
        return taken


def _came(sender: Node, data: bytes) -> None:
    if isinstance(sender.exchange, Culprit):
        sender.exchange.came(data)


class HttpsRoad(Road):
    """The child dials; the parent answers, and rings when mail has come."""

    def __init__(self, world: World, wire: Wire, child: Node, parent: Node, poll: float) -> None:
        super().__init__(world, wire, child, parent)
        self.child, self.parent, self.poll = child, parent, poll
        self.couriers = [Courier(self, EXPRESS), Courier(self, REGULAR)]
        for courier in self.couriers:
            child.on_rise.append(courier.start)
            world.at(world.chance.random(), courier.start)

    def offer(self, end: Node, other: Node) -> None:
        if end is self.child:
            self.world.at(0, self.wake)
        else:
            self.ring()

    def wake(self) -> None:
        for courier in self.couriers:
            courier.wake()

    def ring(self) -> None:
        """The parent says in which lanes mail has come, if its stream to the child is open."""
        try:
            lanes = self.parent.do(self.parent.exchange.to_say, self.child.name)
        except Down:
            return
        if lanes:
            called = bytes(lanes)
            self.wire.carry("bell", called, lambda called: self.call(tuple(called)))

    def call(self, lanes: tuple[int, ...]) -> None:
        for courier in self.couriers:
            courier.called |= {*lanes} & {*courier.lanes}
        self.wake()

    def arrive(
        self, lane: int, answer: Callable[[bytes | WireError | None], None], data: bytes
    ) -> None:
        """The parent's side of a dial; None stands for a server that fails."""
        parent = self.parent
        try:
            _, batch = self.hear(parent, self.child, turns.answer, data)
        except WireError as error:
            self.world.note("refused", parent.name, self.child.name, error.code.value)
            refusal = error
            self.wire.carry(("down", lane in EXPRESS), b"", lambda _: answer(refusal))
            return
        except (Down, DiskFull):
            self.wire.carry(("down", lane in EXPRESS), b"", lambda _: answer(None))
            return
        said = encode_batch(batch, parent.exchange.keys)
        self.world.at(parent.slow, self.wire.carry, ("down", lane in EXPRESS), said, answer)
        self.mail(parent, self.child)


class Courier:
    """Dials in some lanes, one turn after another, as zhengtong.kernel.messages.courier does."""

    def __init__(self, road: HttpsRoad, lanes: tuple[int, ...]) -> None:
        self.road, self.lanes, self.world = road, lanes, road.world
        self.called: set[int] = set()
        self.lost, self.failures, self.flying, self.serial = True, 0, 0, 0
        self.refusing: WireError | None = None
        self.at_hand = deque[bytes]()
        self.waits = self.asked = False
        self.fruitless = 0
        self.poll_at = 0.0

    def start(self) -> None:
        """A new process: what an earlier one had handed over may never have arrived."""
        self._drop()
        self.failures, self.refusing = 0, None
        self.called, self.waits = set(), False
        self.wake()

    def wake(self) -> None:
        if not self.flying and not self.waits and self.road.child.up:
            self._turn()

    def _turn(self) -> None:
        child, parent = self.road.child, self.road.parent.name
        try:
            if self.lost:
                child.do(child.exchange.rewind, parent)
                self.lost = False
            wanted = {*child.do(child.exchange.to_say, parent), *self.called} & {*self.lanes}
            if not wanted and 2 in self.lanes and self.world.now >= self.poll_at:
                wanted = {2}
            if wanted:
                self._dial(min(wanted))
        except Down:
            return
        except DiskFull:
            self._failed("disk")

    def _dial(self, lane: int) -> None:
        self.asked = lane in self.called
        self.called.discard(lane)
        self._fly(lane, self._batch(lane))

    def _batch(self, lane: int) -> bytes:
        child, room = self.road.child, self.room
        refusing, self.refusing = self.refusing, None
        return child.do(
            child.exchange.compose,
            self.road.parent.name,
            lane,
            refusing=refusing,
            room=room,
            wanted=room,
        )

    def _fly(self, lane: int, data: bytes) -> None:
        child, road = self.road.child, self.road
        self.serial += 1
        self.flying = self.serial
        answer = partial(self._answered, self.flying, lane, child.lives)
        arrive = partial(road.arrive, lane, answer)
        self.world.at(child.slow, road.wire.carry, ("up", lane in EXPRESS), data, arrive)
        patience = TIMEOUT + len(data) / road.wire.bandwidth + TURN
        self.world.at(patience, self._expired, self.flying, child.lives)

    def _expired(self, dial: int, life: int) -> None:
        if dial == self.flying and life == self.road.child.lives:
            self._failed("timeout")

    def _answered(self, dial: int, lane: int, life: int, answer: bytes | WireError | None) -> None:
        if dial != self.flying or life != self.road.child.lives:
            return  # nobody waits for it any more
        self.flying = 0
        if not isinstance(answer, bytes):
            self._failed(answer.code.value if answer else "unavailable")
            return
        child, parent = self.road.child, self.road.parent
        try:
            if self.at_hand:  # the next is on the road while this answer is taken in
                self._fly(lane, self.at_hand.popleft())
            keys, room = child.exchange.keys, self.room
            accepted, batch = self.road.hear(
                child, parent, turns.proceed, answer, None, self.lanes, room=room
            )
            if pause := self._pause_after(accepted):
                self._drop()
                self._pause(pause)
            elif batch:
                self._follow(lane, encode_batch(batch, keys))
        except Down:
            return
        except WireError as error:
            self.world.note("refused", child.name, parent.name, error.code.value)
            self.refusing = error
            self._failed(error.code.value)
            return
        except DiskFull:
            self._failed("disk")
            return
        self.failures = 0
        self.poll_at = self.world.now + self.road.poll
        self.world.at(self.road.poll, self.wake)
        self.road.mail(child, parent)
        here = {lane} if self.flying else set()
        self.road.call(tuple({*accepted.waiting} - here))

    def _follow(self, lane: int, batch: bytes) -> None:
        """The next batch goes at once, or behind the one on the road; then one is at hand."""
        if self.flying:
            self.at_hand.append(batch)
        else:
            self._fly(lane, batch)
        if 1 + len(self.at_hand) < AT_ONCE:
            self.at_hand.append(self._batch(lane))

    def _pause_after(self, accepted: Accepted) -> float:
        asked = self.asked or not {*self.lanes}.isdisjoint((*accepted.waiting, *accepted.ours))
        self.fruitless = fruitless_after(
            self.fruitless, moved=accepted.moved, asked=asked, last=not self.flying
        )
        return pause_after(self.fruitless, self.world.chance.random).total_seconds()

    @property
    def room(self) -> int:
        return int(self.road.wire.bandwidth * TURN)

    def _drop(self) -> None:
        """Whatever is on the road or at hand counts for lost."""
        self.flying, self.lost = 0, True
        self.at_hand.clear()

    def _failed(self, why: str) -> None:
        self._drop()
        self.failures += 1
        self.world.note("failed", self.road.child.name, self.lanes[0], why)
        self._pause(retry_after(self.failures, self.world.chance.random).total_seconds())

    def _pause(self, seconds: float) -> None:
        if not self.waits:
            self.waits = True
            self.world.at(seconds, self._again, self.road.child.lives)

    def _again(self, life: int) -> None:
        if life == self.road.child.lives:
            self.waits = False
            self.wake()


class BatchRoad(Road):
    """Batches are carried one way, late, by a courier or a broker, and nobody says so when one is
    lost: an end that has waited too long for receipts offers everything again."""

    def __init__(
        self, world: World, wire: Wire, child: Node, parent: Node, every: float = 2 * HOUR
    ) -> None:
        super().__init__(world, wire, child, parent)
        self.every = every
        self.heard_at = dict.fromkeys((child.name, parent.name), 0.0)
        for end, other in (self.ends, self.ends[::-1]):
            world.at(world.chance.uniform(0, every), self._turn, end, other, True)

    def offer(self, end: Node, other: Node) -> None:
        """It goes with the next turn."""

    def _turn(self, end: Node, other: Node, first: bool = False) -> None:
        self.world.at(self.every * self.world.chance.uniform(0.5, 1.5), self._turn, end, other)
        try:
            if first or self._overdue(end, other):
                end.do(end.exchange.rewind, other.name)
                self.heard_at[end.name] = self.world.now
            lanes = end.do(end.exchange.to_say, other.name) or (
                () if self._known(end, other) else (2,)
            )
            for lane in lanes:
                data = end.do(end.exchange.compose, other.name, lane)
                self.wire.carry(end.name, data, partial(self._arrive, other, end))
        except (Down, DiskFull):
            self.heard_at[end.name] = -self.every * 10

    def _known(self, end: Node, other: Node) -> bool:
        """Whether there is any lane whose state can be told."""
        return bool(end.store.lanes(other.name))

    def _overdue(self, end: Node, other: Node) -> bool:
        rows = end.store.lanes(other.name)
        waits = any(not row.placed or row.numbered.number > row.receipted for row in rows)
        waits = waits or not end.store.peer(other.name).met
        return waits and self.world.now - self.heard_at[end.name] > 5 * self.every

    def _arrive(self, end: Node, other: Node, data: bytes) -> None:
        try:
            self.hear(end, other, Exchange.accept, data)
        except WireError as error:
            self.world.note("refused", end.name, other.name, error.code.value)
            return
        except (Down, DiskFull):
            return
        self.heard_at[end.name] = self.world.now
        self.mail(end, other)
