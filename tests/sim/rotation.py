"""A simulated node changes its keys while mail is on the road, as zhengtong.kernel.membership does.

The old key vouches for the new card. A neighbour that has taken it says so in each lane, behind the
last letter it sealed for the old key. When all have answered the node signs with the new key; when
all have answered in every lane, nothing for the old key is on the road, and it is destroyed.

A node that went back to before a change of keys has lost the new ones with its disk. Then its
recovery key vouches for others (see people.py), and the lost ones count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from tests.sim.world import World
from zhengtong.wire.envelope import Content
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.link import NO_LOG
from zhengtong.wire.memory import MemoryStore, Table
from zhengtong.wire.standing import LANES
from zhengtong.wire.vouching import Cause, claimed_card, read_voucher, vouch

CHANGED, ACCEPTED = "sim.keys_changed", "sim.keys_accepted"
BY_KEYS = (Refusal.UNDECRYPTABLE, Refusal.UNKNOWN_SENDER, Refusal.BAD_SIGNATURE)
"""How a letter comes back that was sealed or signed with a key which has been changed since."""
Post = Callable[[str, int, str, bytes], None]


@dataclass(frozen=True)
class Ring:
    """A node's keys and their card, and those it is about to use; `answers`: who seals for them in
    which lane."""

    keys: NodeKeys
    card: NodeCard
    coming: tuple[NodeKeys, NodeCard] | None = None
    answers: frozenset[tuple[str, int]] = frozenset()


class KeyChange:
    """The keys of one node, durable like all else. `post` puts a letter into its outbox.

    `since` says when this node or a neighbour changed keys last; `cards` are all that this node has
    ever had, those of lives that were undone too: old signatures are verified with them for ever.
    """

    def __init__(self, world: World, store: MemoryStore, keys: NodeKeys, post: Post) -> None:
        self.world, self.store, self.post = world, store, post
        self.rings = Table[str, Ring](store.disk)
        self.since = Table[str, float](store.disk)
        self.recovery = NodeKeys.generate(keys.node, keys.suite.name, world.chance.randbytes)
        self.cards = list[NodeCard]()
        with store.transaction():
            self.rings["own"] = Ring(keys, self._card(keys))

    @property
    def ring(self) -> Ring:
        return self.rings["own"]

    @property
    def keys(self) -> NodeKeys:
        return self.ring.keys

    @property
    def card(self) -> NodeCard:
        return self.ring.card

    @property
    def under_way(self) -> bool:
        return bool(self.keys.spare)

    def begin(self) -> None:
        """Make new keys and announce them, unless a change is under way."""
        if self.under_way:
            return
        old, card = self.keys, self.card
        coming, its_card = self._made()
        voucher = vouch(old, its_card, Cause.ROTATION, self.world.moment())
        with self.store.transaction():
            opening = replace(old, spare=(coming,))
            self.rings["own"] = Ring(opening, card, (coming, its_card))
            for peer in self.store.peers:
                self.post(peer, 2, CHANGED, voucher.signed)
        self.world.note("keys changed", old.node)

    def replace_lost(self) -> None:
        """New keys for those that went with the disk; the recovery key vouches for them."""
        keys, card = self._made()
        with self.store.transaction():
            self.rings["own"] = Ring(keys, card)
            self.since[keys.node] = self.world.now
        self.world.note("keys replaced", keys.node)

    def statement(self) -> bytes:
        """What the recovery key says about the present card, for neighbours to take by hand."""
        return vouch(self.recovery, self.card, Cause.LOSS, self.world.moment()).signed

    def take_by_hand(self, statement: bytes, recovery: NodeCard) -> None:
        """People bring a neighbour's card; what it had before counts for nothing any more."""
        known = self.store.peers[recovery.node]
        card = read_voucher(statement, known.card, recovery).card
        with self.store.transaction():
            self.store.peers[card.node] = replace(known, card=card, former=(), seen=NO_LOG)
            self.since[card.node] = self.world.now
        self.world.note("card brought", self.keys.node, card.node)

    def heard(self, peer: str, content: Content) -> None:
        """A letter about keys has come; inside the transaction that takes it in."""
        if content.kind == CHANGED:
            with suppress(WireError):  # about keys that its sender has lost or replaced since
                self._accept(peer, content.body)
        else:
            ring = self.ring
            if ring.coming and ring.coming[1].signing_kid == content.body:
                answers = ring.answers | {(peer, content.lane)}
                self._go_on(replace(ring, answers=answers))

    def _accept(self, peer: str, voucher: bytes) -> None:
        known = self.store.peers[peer]
        card = claimed_card(voucher)
        if card != known.card:  # else it is said again: one of the two was restored
            card = read_voucher(voucher, known.card, None).card
            former = (*known.former, known.card)
            self.store.peers[peer] = replace(known, card=card, former=former)
            self.since[peer] = self.world.now
        for lane in range(LANES):
            self.post(peer, lane, ACCEPTED, card.signing_kid)

    def _go_on(self, ring: Ring) -> None:
        assert ring.coming
        coming, card = ring.coming
        peers = set(self.store.peers)
        if peers <= {peer for peer, _ in ring.answers} and ring.keys.signing != coming.signing:
            keys = replace(coming, spare=(replace(ring.keys, spare=()),))
            ring = replace(ring, keys=keys, card=card)
            self.since[keys.node] = self.world.now
        if {(peer, lane) for peer in peers for lane in range(LANES)} <= ring.answers:
            ring = Ring(replace(ring.keys, spare=()), ring.card)
            self.world.note("old keys destroyed", ring.keys.node)
        self.rings["own"] = ring

    def _made(self) -> tuple[NodeKeys, NodeCard]:
        node, suite = self.keys.node, self.keys.suite.name
        keys = NodeKeys.generate(node, suite, self.world.chance.randbytes)
        return keys, self._card(keys)

    def _card(self, keys: NodeKeys) -> NodeCard:
        self.cards.append(card_of(keys, self.world))
        return self.cards[-1]


def card_of(keys: NodeKeys, world: World) -> NodeCard:
    return NodeCard.issue(
        keys, title=keys.node, zone="private", ceiling=2, url="", issued_at=world.moment()
    )
