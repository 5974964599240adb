"""A simulated node: the exchange's own state machine over a disk that fails, and a small office.

The office writes documents in several versions. It is there to notice what users would notice:
a document that came twice, out of order, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar
from uuid import UUID

from tests.sim.rotation import BY_KEYS, KeyChange
from tests.sim.world import World
from zhengtong.wire.envelope import Content, seal_disclosed
from zhengtong.wire.errors import WireError
from zhengtong.wire.exchange import Exchange
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.link import Incoming, Peer
from zhengtong.wire.memory import MemoryStore, Table

P = ParamSpec("P")
T = TypeVar("T")
AHEAD = 400
WRITTEN = "sim.document"
CEILING = 2
Backup = dict[str, dict[object, object]]


class Down(Exception):
    """The node is not running, or has just stopped in the middle of its work."""


class DiskFull(Exception):
    """A write failed; the transaction was rolled back and the node goes on."""


class _Crash(Exception):
    pass


@dataclass(frozen=True)
class Document:
    """One version of a document on its way from one node to a neighbour, in one lane."""

    message: UUID
    origin: str
    to: str
    lane: int
    name: str
    version: int
    at: float
    size: int = 0
    letter: bytes = b""

    @property
    def kind(self) -> str:
        return self.name if self.letter else WRITTEN

    def body(self) -> bytes:
        return self.letter or f"{self.name} {self.version} ".encode().ljust(self.size, b".")


@dataclass(frozen=True)
class Sealed:
    """A document under its number, and when it was sealed."""

    document: Document
    at: float


@dataclass(frozen=True)
class Entered:
    """A document that has come: in which envelope, from whom, and when."""

    digest: bytes
    origin: str
    name: str
    version: int
    at: float


class Node:
    """`told` are the documents its people wrote and were told were safe, in that order.

    `undone` are the times, from and to, that were lost whenever it was restored from a backup.
    `anew` are the messages that were sealed once more because keys had changed.
    """

    def __init__(self, world: World, name: str, suite: str = "sim") -> None:
        self.world, self.name = world, name
        keys = NodeKeys.generate(name, suite, world.chance.randbytes)
        self.store = MemoryStore(keys.suite.hash, self._deliver)
        self.change = KeyChange(world, self.store, keys, self._post)
        disk = self.store.disk
        self.outbox = Table[int, Document](disk)
        self.inbox = Table[UUID, Entered](disk)
        self.sealed = Table[tuple[str, int, int], Sealed](disk)
        disk.before_write, disk.before_commit = self._write, self._commit
        self._exchange = Exchange(
            keys=keys,
            store=self.store,
            now=lambda: world.moment(self.skew),
            rng=world.chance.randbytes,
            ceiling=CEILING,
        )
        self.up, self.skew, self.full, self.slow = True, 0.0, False, 0.0
        self.honest = True
        self.crash_after = 0
        self.lives = 0
        self.undone: list[tuple[float, float]] = []
        self.told: list[Document] = []
        self.anew = set[UUID]()
        self.complaints: list[str] = []
        self.on_rise: list[Callable[[], None]] = []
        self.on_mail: dict[str, Callable[[], None]] = {}
        self._serial = 0

    @property
    def keys(self) -> NodeKeys:
        return self.change.keys

    @property
    def card(self) -> NodeCard:
        return self.change.card

    @property
    def exchange(self) -> Exchange:
        """The state machine, with the keys in use."""
        if self._exchange.keys is not self.keys:
            self._exchange = replace(self._exchange, keys=self.keys)
        return self._exchange

    @exchange.setter
    def exchange(self, other: Exchange) -> None:
        self._exchange = other

    def befriend(self, other: Node, *, patient: bool) -> None:
        with self.store.transaction():
            self.store.peers[other.name] = Peer(other.name, other.card, patient=patient)

    def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one piece of work. Raises Down if the node stops before it is done; DiskFull."""
        if not self.up:
            raise Down
        try:
            return work(*args, **kwargs)
        except _Crash:
            self.fall()
            raise Down from None

    def tell(self, to: str, lane: int, name: str, version: int, size: int = 0) -> None:
        """People write a document; it counts once they have been told that it is safe."""
        document = Document(
            self._message(), self.name, to, lane, name, version, self.world.now, size
        )
        self.do(self._accept, document)
        self.told.append(document)
        self.world.note("told", self.name, to, lane, name, version)

    def change_keys(self) -> None:
        with suppress(Down, DiskFull):
            self.do(self.change.begin)
            for ring in self.on_mail.values():
                ring()

    def hold_to(self, peer: str, level: int) -> None:
        """People lower or raise the ceiling of a neighbour."""
        with suppress(Down, DiskFull):
            self.do(self._hold_to, peer, level)

    def _hold_to(self, peer: str, level: int) -> None:
        with self.store.transaction():
            self.store.peers[peer] = replace(self.store.peers[peer], ceiling=level)

    def _message(self) -> UUID:
        return UUID(bytes=self.world.chance.randbytes(16))

    def _accept(self, document: Document) -> None:
        with self.store.transaction():
            self._put(document)

    def _put(self, document: Document) -> None:
        self._serial += 1
        self.outbox[self._serial] = document

    def _post(self, to: str, lane: int, kind: str, body: bytes) -> None:
        """A letter that no person wrote."""
        self._put(
            Document(self._message(), self.name, to, lane, kind, 1, self.world.now, letter=body)
        )

    def seal(self, peer: str, limit: int = 100) -> bool:
        """Number what waits for a neighbour; whether anything was."""
        return self.do(self._seal, peer, limit)

    def _seal(self, peer: str, limit: int) -> bool:
        waiting = [(key, item) for key, item in sorted(self.outbox.items()) if item.to == peer]
        by_lane = dict[int, list[tuple[int, Document]]]()
        for key, item in waiting:
            by_lane.setdefault(item.lane, []).append((key, item))
        sealed = False
        for lane, items in sorted(by_lane.items()):
            if not self.may_number(peer, lane):
                continue
            going = items[:limit]
            envelopes = [self._envelope(item) for _, item in going]
            digests = [self.keys.suite.hash(envelope) for envelope in envelopes]
            with self.store.transaction():
                numbered = self.exchange.number(peer, lane, digests)
                self.store.keep(peer, lane, list(zip(numbered, envelopes, strict=True)))
                for number, (key, item) in zip(numbered, going, strict=True):
                    self.sealed[peer, lane, number.sequence] = Sealed(item, self.world.now)
                    del self.outbox[key]
            sealed = True
        return sealed

    def seal_anew(self) -> bool:
        """Put what came back because keys had changed into the outbox again; whether any did."""
        return self.do(self._seal_anew)

    def _seal_anew(self) -> bool:
        due = [
            (key, self.sealed[key].document)
            for key, row in self.store.outgoing.items()
            if row.dead and row.dead.code in BY_KEYS and self._outdated(key)
        ]
        with self.store.transaction():
            for key, document in due:
                del self.sealed[key]
                self._put(document)
        self.anew |= {document.message for _, document in due}
        return bool(due)

    def _outdated(self, key: tuple[str, int, int]) -> bool:
        """Whether a letter was sealed before its sender or receiver changed keys."""
        sealed, since = self.sealed.get(key), self.change.since
        changes = [since[name] for name in (self.name, key[0]) if name in since]
        return sealed is not None and any(sealed.at <= at for at in changes)

    def may_number(self, peer: str, lane: int) -> bool:
        row = self.store.lane_rows.get((peer, lane))
        full = row is not None and row.numbered.number >= row.receipted + AHEAD
        placed = row is None or row.placed
        return self.store.peer(peer).met and placed and not full

    def _envelope(self, document: Document) -> bytes:
        content = Content(
            message_id=document.message,
            kind=document.kind,
            version=1,
            level=1,
            origin=self.name,
            lane=document.lane,
            sent_at=self.world.moment(self.skew),
            body=document.body(),
        )
        card = self.store.peer(document.to).card
        return seal_disclosed(
            content, self.keys, [card], None, self.world.chance.randbytes
        ).envelope

    def _deliver(self, peer: str, letters: Sequence[Incoming]) -> Mapping[int, WireError]:
        """Take documents in. One and the same envelope must never be delivered twice."""
        for incoming in letters:
            assert incoming.opened is not None
            content = incoming.opened.content
            if content.kind != WRITTEN:
                self.change.heard(peer, content)
                continue
            name, version = content.body.split()[:2]
            known = self.inbox.get(content.message_id)
            if known is None:
                entered = Entered(
                    incoming.digest, peer, name.decode(), int(version), self.world.now
                )
                self.inbox[content.message_id] = entered
            elif known.digest == incoming.digest:
                self.complaints.append(
                    f"{self.name} was given {name.decode()} {int(version)} twice"
                )
        return {}

    def order(self, anew: Container[UUID] = ()) -> list[str]:
        """What came in the wrong order, document by document, but for messages sent once more."""
        last, wrong = dict[tuple[str, str], int](), list[str]()
        for message, entered in self.inbox.items():
            if message in anew:
                continue
            key = entered.origin, entered.name
            if entered.version <= last.get(key, 0):
                wrong.append(f"{self.name} got {entered.name} {entered.version} too late")
            last[key] = entered.version
        return wrong

    def _write(self) -> None:
        if self.full:
            raise DiskFull
        self._maybe_crash()

    def _commit(self) -> None:
        self._maybe_crash()

    def _maybe_crash(self) -> None:
        if self.crash_after:
            self.crash_after -= 1
            if not self.crash_after:
                raise _Crash

    def fall(self, downtime: float | None = None) -> None:
        """Stop at once; what was not durably committed is gone. Up again after a while."""
        if not self.up:
            return
        self.up, self.crash_after = False, 0
        self.lives += 1
        self.store.disk.crash()
        self.world.note("crash", self.name)
        pause = self.world.chance.uniform(1, 600) if downtime is None else downtime
        self.world.at(pause, self.rise)

    def rise(self) -> None:
        self.up = True
        self.world.note("rise", self.name)
        for action in self.on_rise:
            action()

    def backup(self) -> Backup:
        return {name: dict(table) for name, table in self._tables().items()}

    def _tables(self) -> dict[str, Table[object, object]]:
        return {
            **self.store.tables(),
            "outbox": self.outbox,
            "inbox": self.inbox,
            "sealed": self.sealed,
            "rings": self.change.rings,
            "since": self.change.since,
        }

    def restore(self, backup: Backup, taken_at: float) -> None:
        """The disk is lost; the node goes on from a backup, as `zhengtong restore` does it."""
        self.full = False
        for name, table in self._tables().items():
            dict.clear(table)
            dict.update(table, backup[name])
        self.undone.append((taken_at, self.world.now))
        self.world.note("restore", self.name, round(taken_at))
        self.begin_anew()

    def begin_anew(self) -> None:
        with self.store.transaction():
            for peer in list(self.store.peers.values()):
                self.store.peers[peer.name] = replace(peer, met=False)
            self.exchange.begin_anew()
