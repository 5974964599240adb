"""A node's links and evidence log in memory: for simulations, tools and tests.

A transaction is undone by a journal of what it overwrote, so nothing is ever copied; a simulated
disk counts the writes and decides what survives a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Generic, TypeVar

from zhengtong.wire.batch import Batch, Letter, Refused
from zhengtong.wire.envelope import Opened, Verified, read_header
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import TOP_LEVEL, FindCard
from zhengtong.wire.link import Arrived, Held, Incoming, Lane, Mark, Numbered, Owed, Peer
from zhengtong.wire.log import Log
from zhengtong.wire.merkle import Hash
from zhengtong.wire.standing import FIRST_EPOCH

K = TypeVar("K")
V = TypeVar("V")
_ABSENT: Any = object()


@dataclass
class MemoryTiles:
    """zhengtong.wire.log.Tiles in a dictionary and a list."""

    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)

    def read(self, level: int, index: int) -> bytes:
        return self.tiles.get((level, index), b"")

    def write(self, level: int, index: int, hashes: bytes) -> None:
        self.tiles[level, index] = hashes

    def keep(self, first: int, entries: Sequence[bytes]) -> None:
        self.kept[first:] = entries

    def entries(self, first: int, count: int) -> list[bytes]:
        return self.kept[first : first + count]


class Disk:
    """What was overwritten since the last commit that lasts, newest last.

    `before_write` and `before_commit` may raise, to have a crash or a full disk at that very place.
    `syncing` off: commits are not yet durable, and a crash takes back all since the last one that
    was.
    """

    def __init__(self) -> None:
        self.before_write: Callable[[], None] = _nothing
        self.before_commit: Callable[[], None] = _nothing
        self.syncing = True
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        began = len(self._undo)
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self.before_commit()
        except BaseException:
            self._back_to(began)
            raise
        finally:
            self._depth -= 1
        if self._depth == 0 and self.syncing:
            self._undo.clear()

    def crash(self) -> None:
        """The machine stops: only what a durable commit has written is there afterwards."""
        self._back_to(0)

    def written(self, table: dict[Any, Any], key: Any) -> None:
        self.before_write()
        self._undo.append((table, key, table.get(key, _ABSENT)))

    def _back_to(self, began: int) -> None:
        while len(self._undo) > began:
            table, key, before = self._undo.pop()
            if before is _ABSENT:
                dict.pop(table, key, None)
            else:
                dict.__setitem__(table, key, before)


class Table(dict[K, V], Generic[K, V]):
    """A dictionary of immutable rows whose changes a disk can take back."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self.disk = disk

    def __setitem__(self, key: K, value: V) -> None:
        self.disk.written(self, key)
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        self.disk.written(self, key)
        super().__delitem__(key)


@dataclass(frozen=True)
class Outgoing:
    """A letter of ours under its number, and why it was refused, if it was."""

    mark: Mark
    envelope: bytes
    dead: Refused | None = None


@dataclass(frozen=True)
class Stored:
    """A letter of theirs as far as the protocol needs it: its mark, its receipt, its arrival."""

    mark: Mark
    owed: Owed
    at: datetime


@dataclass(frozen=True)
class Alarm:
    """An alarm about a neighbour; the proof is that of the first time."""

    detail: str
    proof: bytes
    times: int = 1


Link = tuple[str, int]
Deliver = Callable[[str, Sequence[Incoming]], Mapping[int, WireError]]


class MemoryStore:
    """zhengtong.wire.store.Store in dictionaries. `application` takes what is delivered."""

    def __init__(self, hash: Hash, application: Deliver = lambda peer, letters: {}) -> None:
        self.hash, self.application = hash, application
        self.disk = Disk()
        self.peers = Table[str, Peer](self.disk)
        self.lane_rows = Table[Link, Lane](self.disk)
        self.outgoing = Table[tuple[str, int, int], Outgoing](self.disk)
        self.newest = Table[Link, int](self.disk)
        self.incoming = Table[tuple[str, int, int], Stored](self.disk)
        self.held = Table[tuple[str, int, int], Held](self.disk)
        self.standings = Table[Link, bytes](self.disk)
        self.sizes = Table[int, int](self.disk)
        self.tiles = Table[tuple[int, int, int], bytes](self.disk)
        self.entries = Table[tuple[int, int], bytes](self.disk)
        self.cosignatures = Table[tuple[str, int, int], bytes](self.disk)
        self.alarms = Table[tuple[str, str], Alarm](self.disk)
        with self.disk.transaction():
            self.sizes[FIRST_EPOCH] = 0

    def tables(self) -> dict[str, Table[Any, Any]]:
        """All of it, by name: what a backup holds."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Table)}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.disk.transaction():
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        yield

    def names(self) -> Sequence[str]:
        return list(self.peers)

    def neighbours(self) -> FindCard:
        return _finder(*self.peers.values())

    def origins(self, peer: str) -> FindCard:
        return _finder(self.peer(peer))

    def received(self, peer: str, lane: int) -> int:
        row = self.lane_rows.get((peer, lane))
        return row.received.number if row else 0

    def peer(self, name: str) -> Peer:
        try:
            return self.peers[name]
        except KeyError:
            raise WireError(Refusal.NOT_A_NEIGHBOUR, name) from None

    def save_peer(self, peer: Peer, batch: Batch, now: datetime) -> None:
        known = self.peers[peer.name]  # a letter of this very batch may have brought a new card
        self.peers[peer.name] = replace(peer, card=known.card, former=known.former)
        self.standings[peer.name, batch.standing.lane] = batch.signed

    def lane(self, peer: str, lane: int) -> Lane:
        self.peer(peer)
        if (peer, lane) not in self.lane_rows:
            self.lane_rows[peer, lane] = Lane(peer, lane)
        return self.lane_rows[peer, lane]

    def lanes(self, peer: str) -> Sequence[Lane]:
        return [row for lane in range(4) if (row := self.lane_rows.get((peer, lane)))]

    def save_lane(self, lane: Lane) -> None:
        self.lane_rows[lane.peer, lane.lane] = lane

    def keep(self, peer: str, lane: int, letters: Sequence[tuple[Numbered, bytes]]) -> None:
        """Store sealed envelopes with what `Exchange.number` gave them, in its transaction."""
        for numbered, envelope in letters:
            key = peer, lane, numbered.sequence
            self.outgoing[key] = Outgoing(numbered.mark, envelope)
            self.newest[peer, lane] = numbered.sequence

    def letters(self, peer: str, lane: int, after: int, limit: int) -> list[Letter]:
        found = list[Letter]()
        for number in range(after + 1, self.newest.get((peer, lane), 0) + 1):
            if len(found) == limit:
                break
            if row := self.outgoing.get((peer, lane, number)):
                found.append(self._letter(number, row, self.peer(peer).ceiling))
        return found

    def _letter(self, number: int, row: Outgoing, ceiling: int) -> Letter:
        if ceiling < TOP_LEVEL and read_header(row.envelope).level > ceiling:
            return Letter(number, b"", withheld=row.mark.digest)
        return Letter(number, row.envelope)

    def withhold(self, peer: str, lane: int, numbers: Sequence[int]) -> None:
        for number in numbers:
            dead = Refused(number, Refusal.WITHHELD, "")
            key = peer, lane, number
            self.outgoing[key] = replace(self.outgoing[key], dead=dead)

    def sent(self, peer: str, lane: int, first: int, last: int) -> Mapping[int, Mark]:
        return self._marks(self.outgoing, peer, lane, first, last)

    def arrived(self, peer: str, lane: int, first: int, last: int) -> Mapping[int, Mark]:
        return self._marks(self.incoming, peer, lane, first, last)

    def deliver(self, peer: str, letters: Sequence[Incoming]) -> Mapping[int, WireError]:
        return self.application(peer, letters)

    def take_bulk(self, peer: str, letter: Opened | Verified, sealed: bytes) -> None:
        """Nothing here reads files."""

    def take(self, peer: str, lane: int, letters: Sequence[Arrived]) -> None:
        for item in letters:
            number, error = item.incoming.letter.sequence, item.error
            refused = Refused(number, error.code, error.detail) if error else None
            owed = Owed(number, item.epoch, item.leaf, refused)
            mark = Mark(item.incoming.digest, item.chain)
            self.incoming[peer, lane, number] = Stored(mark, owed, item.at)

    def before_restores(self, peer: str, lane: int) -> int:
        received = self.received(peer, lane)
        for number in range(1, received + 1):
            row = self.incoming.get((peer, lane, number))
            if row and row.owed.epoch > FIRST_EPOCH:
                return number - 1
        return received

    def owed(self, peer: str, lane: int, after: int, limit: int) -> Sequence[Owed]:
        numbers = range(after + 1, self.received(peer, lane) + 1)
        rows = (self.incoming.get((peer, lane, number)) for number in numbers)
        return [row.owed for row in islice((row for row in rows if row), limit)]

    def hold(self, peer: str, lane: int, held: Held) -> None:
        for number in range(held.first, held.last + 1):
            self.held[peer, lane, number] = held
        dead = {refused.sequence: refused for refused in held.dead}
        for number in range(held.first, held.last + 1):
            row = self.outgoing.get((peer, lane, number))
            if row and row.dead != dead.get(number):
                self.outgoing[peer, lane, number] = replace(row, dead=dead.get(number))

    def undo_receipts(self, peer: str, lane: int, after: int) -> None:
        for key in [key for key in self.held if key[:2] == (peer, lane) and key[2] > after]:
            del self.held[key]

    def held_through(self, peer: str, lane: int, number: int) -> int:
        through = number
        for following in range(number + 1, self.newest.get((peer, lane), 0) + 1):
            if (peer, lane, following) in self.held:
                through = following
            elif (peer, lane, following) in self.outgoing:
                return following - 1  # numbers without a letter were lost with a backup
        return through

    def log(self) -> tuple[int, Log]:
        epoch = max(self.sizes)
        return epoch, self.past_log(epoch)

    def past_log(self, epoch: int) -> Log:
        return Log(_LogTiles(self, epoch), self.sizes[epoch], self.hash)

    def restart_log(self, epoch: int) -> Log:
        self.sizes[epoch] = 0
        return self.past_log(epoch)

    def save_log(self, log: Log) -> None:
        assert isinstance(log.tiles, _LogTiles)
        if self.sizes[log.tiles.epoch] != log.size:
            self.sizes[log.tiles.epoch] = log.size

    def keep_cosignature(self, peer: str, epoch: int, size: int, line: bytes) -> None:
        self.cosignatures[peer, epoch, size] = line

    def alarm(self, peer: str, code: str, detail: str, proof: bytes) -> None:
        first = self.alarms.get((peer, code))
        times = first.times + 1 if first else 1
        self.alarms[peer, code] = Alarm(detail, first.proof if first else proof, times)

    def _marks(
        self, table: Mapping[tuple[str, int, int], Any], peer: str, lane: int, first: int, last: int
    ) -> Mapping[int, Mark]:
        last = min(last, max(self.newest.get((peer, lane), 0), self.received(peer, lane)))
        rows = ((number, table.get((peer, lane, number))) for number in range(first, last + 1))
        return {number: row.mark for number, row in rows if row}


@dataclass(frozen=True)
class _LogTiles:
    """The tiles of one epoch's log."""

    store: MemoryStore
    epoch: int

    def read(self, level: int, index: int) -> bytes:
        return self.store.tiles.get((self.epoch, level, index), b"")

    def write(self, level: int, index: int, hashes: bytes) -> None:
        self.store.tiles[self.epoch, level, index] = hashes

    def keep(self, first: int, entries: Sequence[bytes]) -> None:
        for place, entry in enumerate(entries):
            self.store.entries[self.epoch, first + place] = entry

    def entries(self, first: int, count: int) -> list[bytes]:
        return [self.store.entries[self.epoch, first + place] for place in range(count)]


def _finder(*peers: Peer) -> FindCard:
    """A neighbour that is changing its keys is known by the former one, too."""
    cards = [card for peer in peers for card in (*peer.former, peer.card)]
    return {card.signing_kid: card for card in cards}.get


def _nothing() -> None:
    return None
