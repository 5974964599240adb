"""A simulated node changes its keys while mail is on the road, as zhengtong.kernel.membership does.

The old key vouches for the new card. A neighbour that has taken it says so in each lane, behind the
last letter it sealed for the old key. When all have answered the node signs with the new key; when
all have answered in every lane, nothing for the old key is on the road, and it is destroyed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.sim.world import World
from zhengtong.wire.envelope import Content
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.memory import MemoryStore, Table
from zhengtong.wire.standing import LANES
from zhengtong.wire.vouching import Cause, read_voucher, vouch

CHANGED, ACCEPTED = "sim.keys_changed", "sim.keys_accepted"
Post = Callable[[str, int, str, bytes], None]


@dataclass(frozen=True)
class Ring:
    """A node's keys, and those it is about to use; `answers`: who seals for them in which lane."""

    keys: NodeKeys
    coming: NodeKeys | None = None
    answers: frozenset[tuple[str, int]] = frozenset()


class KeyChange:
    """The keys of one node, durable like all else. `post` puts a letter into its outbox."""

    def __init__(self, world: World, store: MemoryStore, keys: NodeKeys, post: Post) -> None:
        self.world, self.store, self.post = world, store, post
        self.rings = Table[str, Ring](store.disk)
        with store.transaction():
            self.rings["own"] = Ring(keys)

    @property
    def keys(self) -> NodeKeys:
        return self.rings["own"].keys

    @property
    def under_way(self) -> bool:
        return bool(self.keys.spare)

    def begin(self) -> None:
        """Make new keys and announce them, unless a change is under way."""
        if self.under_way:
            return
        old = self.keys
        coming = NodeKeys.generate(old.node, old.suite.name, self.world.chance.randbytes)
        voucher = vouch(old, card_of(coming, self.world), Cause.ROTATION, self.world.moment())
        with self.store.transaction():
            opening = replace(old, spare=(coming.agreement,))
            self.rings["own"] = Ring(opening, coming)
            for peer in self.store.peers:
                self.post(peer, 2, CHANGED, voucher.signed)
        self.world.note("keys changed", old.node)

    def heard(self, peer: str, content: Content) -> None:
        """A letter about keys has come; inside the transaction that takes it in."""
        if content.kind == CHANGED:
            known = self.store.peers[peer]
            card = read_voucher(content.body, known.card, None).card
            former = (*known.former, known.card)
            self.store.peers[peer] = replace(known, card=card, former=former)
            for lane in range(LANES):
                self.post(peer, lane, ACCEPTED, card.signing_kid)
        else:
            ring = self.rings["own"]
            if ring.coming and ring.coming.signing_kid == content.body:
                answers = ring.answers | {(peer, content.lane)}
                self._go_on(replace(ring, answers=answers))

    def _go_on(self, ring: Ring) -> None:
        assert ring.coming
        peers = set(self.store.peers)
        if peers <= {peer for peer, _ in ring.answers} and ring.keys.signing != ring.coming.signing:
            ring = replace(ring, keys=replace(ring.coming, spare=(ring.keys.agreement,)))
        if {(peer, lane) for peer in peers for lane in range(LANES)} <= ring.answers:
            ring = Ring(replace(ring.keys, spare=()))
            self.world.note("old keys destroyed", ring.keys.node)
        self.rings["own"] = ring


def card_of(keys: NodeKeys, world: World) -> NodeCard:
    return NodeCard.issue(
        keys, title=keys.node, zone="private", ceiling=2, url="", issued_at=world.moment()
    )
