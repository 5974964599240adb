"""What people do when a restore has set a node back behind a change of keys.

Neither node can help itself then: the keys for which the neighbour seals are lost, or the neighbour
cannot read who signs. People see letters that cannot be opened, or a neighbour refused as unknown.
"""

from __future__ import annotations

from contextlib import suppress

from tests.sim.node import DiskFull, Down, Node
from tests.sim.rotation import card_of
from tests.sim.world import HOUR, World


def look_after(world: World, nodes: list[Node]) -> None:
    """Every hour, for as long as the world goes on. What a worker does by itself at once is done
    here, too: letters that came back because keys had changed are sealed anew."""
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        for peer in node.store.peers:
            with suppress(Down, DiskFull):
                _compare(node, by_name[peer])
        with suppress(Down, DiskFull):
            if node.seal_anew():
                for ring in node.on_mail.values():
                    ring()
    world.at(HOUR, look_after, world, nodes)


def _compare(node: Node, other: Node) -> None:
    """Is the card by which `other` knows this node one of which it has the keys?"""
    change, known = node.change, other.store.peers[node.name]
    coming = change.ring.coming
    ours = known.card == change.card or (coming and known.card == coming[1])
    if ours and change.card in (known.card, *known.former):
        return
    if known.card.issued_at > change.card.issued_at:  # of a life that was undone
        node.do(change.replace_lost)
    recovery = card_of(change.recovery, node.world)
    other.do(other.change.take_by_hand, change.statement(), recovery)
