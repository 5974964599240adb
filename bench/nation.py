"""A broadcast down the tree of the whole country, simulated on one machine.

The nodes run the exchange's own state machine over a simulated network: a tenth of them are down
for some minutes and a tenth of what is sent is lost and repeated by the line. Every node hands on
to its children what it receives. Cryptography is replaced by hashing, so that the figures are
those of the protocol; simulated seconds do not depend on this machine.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.parts import Row, apart, row
from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.node import Document, Node
from tests.sim.roads import HttpsRoad
from tests.sim.world import Wire, World
from zhengtong.wire.errors import WireError
from zhengtong.wire.link import Incoming

DOCUMENTS, SIZE, FILLING, LARGE = 10, 1024, 8, 8000
DOWN, LOSS, RESEND = 0.1, 0.1, 0.25
BANDWIDTH, NARROW = 500e3, 16e3
"""Bytes per second; on the narrow line the bulk mail of one link takes four seconds."""
MEETING, LISTENING = 60.0, 600.0
EMERGENCY, NORMAL, BULK = 0, 2, 3
TREES: dict[int, tuple[int, ...]] = {19: (18,), 177: (16, 160), 3208: (31, 333, 2843)}
"""How many nodes stand on each level below the centre."""


class Relay(Node):
    """A node that hands on to its children whatever comes."""

    def _deliver(self, peer: str, letters: Sequence[Incoming]) -> Mapping[int, WireError]:
        known = set(self.inbox)
        errors = super()._deliver(peer, letters)
        for incoming in letters:
            assert incoming.opened is not None
            content = incoming.opened.content
            if content.message_id not in known:
                name, version = content.body.split()[:2]
                self.hand_on(peer, content.lane, name.decode(), int(version), len(content.body))
        return errors

    def hand_on(self, source: str, lane: int, name: str, version: int, size: int) -> None:
        """In the transaction that is open; the road takes it up once that has ended."""
        for child, notice in self.on_mail.items():
            if child != source:
                message = self._message()
                document = Document(
                    message, self.name, child, lane, name, version, self.world.now, size
                )
                self._serial += 1
                self.outbox[self._serial] = document
                self.world.at(0, notice)


@dataclass
class Figures:
    """What one tree gave: waits in simulated seconds, bytes per document and node."""

    bulk: list[float]
    emergency: list[float]
    bytes_each: float
    reached: int


def broadcast(levels: Sequence[int], seed: int = 1) -> Figures:
    """Ten documents to all; then one in the emergency lane while bulk mail fills the links."""
    world = World(seed)
    world.most = 10**8
    centre = Relay(world, "centre")
    nodes, above, parents, wires = [centre], [centre], dict[str, Relay](), list[Wire]()
    for level, count in enumerate(levels):
        below = list[Relay]()
        for place in range(count):
            child, parent = Relay(world, f"n{level}-{place}"), above[place % len(above)]
            child.befriend(parent, patient=False)
            parent.befriend(child, patient=False)
            wire = Wire(world, bandwidth=BANDWIDTH)
            wires.append(wire)
            HttpsRoad(world, wire, child, parent, poll=LISTENING)
            parents[child.name] = parent
            below.append(child)
        nodes, above = nodes + below, below
    world.run(MEETING)
    before = sum(wire.carried for wire in wires)
    for wire in wires:
        wire.loss, wire.resend_after = LOSS, RESEND
    for node in nodes[1:]:
        if world.happens(DOWN):
            node.fall(downtime=world.chance.uniform(30, 300))
    reached = [node for node in nodes[1:] if _reachable(node, parents)]
    _tell(centre, NORMAL, "document", DOCUMENTS, SIZE)
    world.run(MEETING + LISTENING)
    carried = sum(wire.carried for wire in wires) - before
    bulk = _waits(reached, "document", MEETING)

    began = world.now
    for wire in wires:
        wire.bandwidth = NARROW
    _tell(centre, BULK, "large", FILLING, LARGE)
    world.run(began + 1)
    _tell(centre, EMERGENCY, "emergency", 1, SIZE)
    world.run(began + LISTENING)
    emergency = _waits(reached, "emergency", began + 1)
    assert len(bulk) == DOCUMENTS * len(reached), "every document came, once"
    assert len(emergency) == len(reached)
    return Figures(bulk, emergency, carried / DOCUMENTS / len(nodes), len(reached))


def rows(short: bool) -> list[Row]:
    return apart(_rows, short)


def _rows(short: bool) -> list[Row]:
    began = time.monotonic()
    found = {size: broadcast(TREES[size]) for size in TREES if not short or size < 1000}
    whole = found[max(found)]
    each = {str(size): figures.bytes_each for size, figures in found.items()}
    bulk, emergency = sorted(whole.bulk), sorted(whole.emergency)
    p99_bulk, p99_emergency = _share(bulk, 0.99), _share(emergency, 0.99)
    return [
        row(
            "nation",
            p99_bulk,
            None,
            None,
            "simulated s",
            p50_bulk=_share(bulk, 0.5),
            p99_bulk=p99_bulk,
            p50_emergency=_share(emergency, 0.5),
            p99_emergency=p99_emergency,
            nodes=max(found),
            reachable=whole.reached,
            bytes_per_message_and_node={size: round(number) for size, number in each.items()},
            spread=max(each.values()) / min(each.values()),
            wall_s=time.monotonic() - began,
            peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    ]


def _tell(node: Relay, lane: int, name: str, count: int, size: int) -> None:
    with node.store.transaction():
        for place in range(count):
            node.hand_on("", lane, f"{name}{place}", 1, size)


def _reachable(node: Node, parents: Mapping[str, Relay]) -> bool:
    """Whether it and everything above it is up."""
    while node.up and node.name in parents:
        node = parents[node.name]
    return node.up


def _waits(nodes: Sequence[Node], name: str, since: float) -> list[float]:
    entries = (entry for node in nodes for entry in node.inbox.values())
    return [entry.at - since for entry in entries if entry.name.startswith(name)]


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
