"""A node with real keys that cheats its neighbours: one sort of misbehaviour each.

It is an honest node whose batches are changed before it signs them. Each trick answers with the
batch as it goes out, or None while there is nothing to cheat with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace

from tests.sim.node import Node
from tests.sim.suite import SIM
from zhengtong.wire import cbor, cose, merkle
from zhengtong.wire.batch import Batch, Letter
from zhengtong.wire.checkpoint import Checkpoint, sign_checkpoint
from zhengtong.wire.errors import WireError
from zhengtong.wire.exchange import Accepted, Exchange
from zhengtong.wire.keys import FindCard
from zhengtong.wire.link import Incoming
from zhengtong.wire.log import Log
from zhengtong.wire.memory import MemoryTiles
from zhengtong.wire.receipts import Entry, Receipts, issue, log_name
from zhengtong.wire.standing import MAX_STANDING, Head, Lost, Witnessed

Said = tuple[str, int, int, int]
"""To whom, in which lane and epoch, and the batch's counter."""
Trick = Callable[[Exchange, Batch], Batch | None]
DECEIVED = "n2"


@dataclass(frozen=True)
class Culprit(Exchange):
    """`cheated` tells whom the trick was played on and how often, `lies` which batches those were,
    `heard` who took one in. `view` is the log it shows to DECEIVED, `verified` how far that one has
    verified it."""

    trick: Trick = lambda exchange, batch: batch
    cheated: list[str] = field(default_factory=list)
    lies: set[Said] = field(default_factory=set)
    heard: list[str] = field(default_factory=list)
    view: Log = field(default_factory=lambda: Log(MemoryTiles(), 0, SIM.hash))
    verified: dict[str, int] = field(default_factory=dict)

    def _accept(self, batch: Batch, letters: Sequence[Incoming], find: FindCard) -> Accepted:
        if self.trick is shows_two_logs and batch.standing.sender == DECEIVED:
            self.verified[DECEIVED] = batch.standing.seen.size
            batch = replace(batch, cosignature=None)  # it does not hold for the log we have
        return super()._accept(batch, letters, find)

    def next_batch(
        self,
        name: str,
        lane: int,
        refusing: WireError | None = None,
        room: int = 0,
        wanted: int = 0,
    ) -> Batch:
        batch = super().next_batch(name, lane, refusing, room, wanted)
        if batch.standing.lost.last:  # it was restored; a batch about that has a strict form
            return batch
        changed = self.trick(self, batch)
        if changed is None:
            return batch
        self.cheated.append(name)
        said = changed.standing
        self.lies.add((said.receiver, said.lane, said.epoch, said.counter))
        return changed

    def came(self, data: bytes) -> None:
        """Somebody has taken in a batch of ours, or refused it."""
        signed, _ = cbor.read_bstr(data, 0)
        said = cbor.decode(cose.parse(signed, cose.STANDING, MAX_STANDING).payload)
        if (said["receiver"], said["lane"], said["epoch"], said["counter"]) in self.lies:
            self.heard.append(said["receiver"])


def corrupt(node: Node, trick: str) -> list[str]:
    """Let a node cheat from now on; the list fills with the names of those it cheated."""
    honest = node.exchange
    cheating = Culprit(
        honest.keys, honest.store, honest.now, honest.rng, honest.ceiling, trick=TRICKS[trick]
    )
    node.exchange, node.honest = cheating, False
    return cheating.cheated


def alters(exchange: Exchange, batch: Batch) -> Batch | None:
    """Sends another envelope than the one it has chained."""
    if not batch.letters:
        return None
    *before, last = batch.letters
    return replace(batch, letters=(*before, Letter(last.sequence, last.envelope[:-1] + b"!")))


def reuses_a_number(exchange: Exchange, batch: Batch) -> Batch | None:
    """Gives a number it has used and seen receipted to another letter."""
    state = exchange.store.lane(batch.standing.receiver, batch.standing.lane)
    if not state.receipted or batch.letters:
        return None
    return replace(batch, letters=(Letter(state.receipted, b"another"),))


def withholds(exchange: Exchange, batch: Batch) -> Batch | None:
    """Never hands over the second letter of a lane, and lets others follow it."""
    kept = tuple(letter for letter in batch.letters if letter.sequence > 2)
    return replace(batch, letters=kept) if len(kept) < len(batch.letters) else None


def chains_another(exchange: Exchange, batch: Batch) -> Batch | None:
    """States another chain over what it has sent."""
    sent = batch.standing.sent
    if not sent.number:
        return None
    return _stating(batch, sent=Head(sent.number, bytes(32)))


def received_another(exchange: Exchange, batch: Batch) -> Batch | None:
    """States to hold other letters than were sent."""
    received = batch.standing.received
    if not received.number:
        return None
    return _stating(batch, received=Head(received.number, bytes(32)))


def received_more(exchange: Exchange, batch: Batch) -> Batch | None:
    """States to hold letters that nobody has sent."""
    received = batch.standing.received
    if not received.number:
        return None
    return _stating(batch, received=Head(received.number + 1000, bytes(32)))


def receipts_another(exchange: Exchange, batch: Batch) -> Batch | None:
    """Receipts envelopes that it was never sent, from a log made for the purpose."""
    if batch.receipts is None:
        return None
    entries = [
        replace(Entry.decode(entry), envelope_hash=bytes(32)).encode()
        for entry in Receipts.decode(batch.receipts).entries
    ]
    log = Log(MemoryTiles(), 0, exchange.keys.suite.hash)
    log.append(entries)
    origin = log_name(exchange.keys.node, 1)
    return replace(batch, receipts=issue(log, origin, 0, len(entries), exchange.keys).encode())


def forks_its_log(exchange: Exchange, batch: Batch) -> Batch | None:
    """Shows a log of the same length with other entries."""
    seen = exchange.store.peer(batch.standing.receiver).witnessed
    if not seen.size:
        return None
    return _showing(exchange, batch, seen.epoch, seen.size)


def rolls_its_log_back(exchange: Exchange, batch: Batch) -> Batch | None:
    """Shows a shorter log that it never had."""
    seen = exchange.store.peer(batch.standing.receiver).witnessed
    if seen.size < 2:
        return None
    return _showing(exchange, batch, seen.epoch, seen.size - 1)


def rewrites_its_log(exchange: Exchange, batch: Batch) -> Batch | None:
    """Goes on growing, with a proof that leads nowhere."""
    seen = exchange.store.peer(batch.standing.receiver).witnessed
    if not seen.size:
        return None
    forged = _showing(exchange, batch, seen.epoch, seen.size + 5)
    return replace(forged, base=seen.size, consistency=(bytes(32),) * 3)


def has_seen_more(exchange: Exchange, batch: Batch) -> Batch | None:
    """States to have seen more of its neighbour's log than there is."""
    seen = batch.standing.seen
    return _stating(batch, seen=Witnessed(seen.epoch, 10**6)) if seen.epoch else None


def claims_letters_lost(exchange: Exchange, batch: Batch) -> Batch | None:
    """Withholds letters, and says that it has lost them with its disk."""
    if not batch.letters:
        return None
    lost = Lost(batch.letters[0].sequence, batch.standing.sent.number)
    return replace(_stating(batch, lost=lost), letters=())


def asks_for_ever_more(exchange: Exchange, batch: Batch) -> Batch | None:
    """Says that it has more and lacks some, and then has nothing."""
    changed = _stating(batch, again=True, waiting=(0, 1, 2, 3))
    return replace(changed, letters=(), receipts=None)


def replays(exchange: Exchange, batch: Batch) -> Batch | None:
    """Says what it has said before."""
    return _stating(batch, counter=1)


def shows_two_logs(exchange: Exchange, batch: Batch) -> Batch | None:
    """Shows its log to one neighbour, and to the other one of the same length that only grows."""
    assert isinstance(exchange, Culprit)
    view, base = exchange.view, exchange.verified.get(DECEIVED)
    if batch.standing.receiver != DECEIVED or base is None or exchange.store.log()[1].size < base:
        return None
    epoch, log = exchange.store.log()
    if not view.size:
        view.append(log.entries(0, base))
    view.append([b"another"] * (log.size - view.size))
    checkpoint = Checkpoint(log_name(exchange.keys.node, epoch), view.size, view.root())
    return replace(
        batch,
        checkpoint=sign_checkpoint(checkpoint, exchange.keys),
        base=base,
        consistency=tuple(view.consistency(base, view.size)),
    )


def _stating(batch: Batch, **changes: object) -> Batch:
    return replace(batch, standing=replace(batch.standing, **changes))  # type: ignore[arg-type]


def _showing(exchange: Exchange, batch: Batch, epoch: int, size: int) -> Batch:
    root = merkle.root([bytes([item % 256]) for item in range(size)], exchange.keys.suite.hash)
    checkpoint = Checkpoint(log_name(exchange.keys.node, epoch), size, root)
    return replace(batch, checkpoint=sign_checkpoint(checkpoint, exchange.keys), base=0)


TRICKS: dict[str, Trick] = {
    "alters a letter": alters,
    "reuses a number": reuses_a_number,
    "states another chain": chains_another,
    "states to hold other letters": received_another,
    "states to hold letters never sent": received_more,
    "receipts other envelopes": receipts_another,
    "forks its log": forks_its_log,
    "rolls its log back": rolls_its_log_back,
    "rewrites its log": rewrites_its_log,
    "claims to have seen more of a log": has_seen_more,
    "says that letters are lost": claims_letters_lost,
    "withholds a letter": withholds,
    "asks for ever more": asks_for_ever_more,
    "replays": replays,
    "shows two logs": shows_two_logs,
}

SILENT = ("withholds a letter", "asks for ever more", "replays", "shows two logs")
"""Misdeeds that contradict nothing in one neighbour's hands, each with a test of its own."""
AT_ONCE = frozenset(
    trick
    for name, trick in TRICKS.items()
    if name not in (*SILENT, "rolls its log back", "says that letters are lost")
)
"""Those that every batch proves: a log may be shorter because a batch was overtaken, for a day, and
letters may be said to be lost that the neighbour has."""


BELIEVED = frozenset((received_another, received_more))
"""Lies that one who was restored cannot see through: it must be told which numbers it has given."""


def cheated(node: Node, *, restored: Container[str] = ()) -> Counter[str]:
    """Who has heard lies of a node that the very batch proves, and how often.

    Those `restored` believe more than others.
    """
    exchange = node.exchange
    if not isinstance(exchange, Culprit) or exchange.trick not in AT_ONCE:
        return Counter()
    deaf = restored if exchange.trick in BELIEVED else ()
    return Counter(name for name in exchange.heard if name not in deaf)
