"""Two neighbours, and what a test lets them do by hand."""

from __future__ import annotations

from dataclasses import replace

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.node import Backup, Node
from tests.sim.rotation import card_of
from tests.sim.world import World
from zhengtong.wire.link import NO_LOG


def pair() -> tuple[Node, Node]:
    """Two neighbours that have met in the normal lane."""
    world = World(1)
    child, parent = Node(world, "child"), Node(world, "parent")
    child.befriend(parent, patient=False)
    parent.befriend(child, patient=False)
    dial(child, parent, 2)
    return child, parent


def tell(end: Node, other: Node, lane: int, *names: str) -> None:
    for name in names:
        end.tell(other.name, lane, name, 1)
    end.seal(other.name)


def dial(child: Node, parent: Node, lane: int) -> None:
    """One turn: the child's batch and the parent's answer in the same lane."""
    for node in (child, parent):
        node.world.now += 0.1
    parent.exchange.accept(child.exchange.compose("parent", lane))
    child.exchange.accept(parent.exchange.compose("child", lane))


def talk(child: Node, parent: Node) -> None:
    """Turns in every lane in which either has something to say, until neither has."""
    for _ in range(40):
        child.seal(parent.name)
        parent.seal(child.name)
        lanes = {*child.exchange.to_say(parent.name), *parent.exchange.to_say(child.name)}
        if not lanes:
            return
        dial(child, parent, min(lanes))
    raise AssertionError("they talk without end")


def arrives(child: Node, parent: Node, name: str = "first") -> None:
    """What the child writes now comes to the parent, and neither accuses the other."""
    child.tell(parent.name, 2, name, 1)
    talk(child, parent)
    assert names(parent) == [name]
    assert not accused(child, parent)


def go_back(node: Node, backup: Backup, *, ahead: float = 0.0) -> None:
    """Put a backup back, by a clock that may be some seconds ahead."""
    node.skew = ahead
    node.restore(backup, 0)


def forget_life(node: Node, of: str) -> None:
    """As when people bring a neighbour's card: which life of it was known counts for nothing."""
    with node.store.transaction():
        node.store.peers[of] = replace(node.store.peers[of], seen=NO_LOG)


def names(node: Node) -> list[str]:
    return [entered.name for entered in node.inbox.values()]


def replace_lost_keys(end: Node, other: Node) -> None:
    """The end has lost its keys; people bring the other what its recovery key says."""
    end.world.now += 1
    end.change.replace_lost()
    recovery = card_of(end.change.recovery, end.world)
    other.change.take_by_hand(end.change.statement(), recovery)


def accused(*nodes: Node) -> list[str]:
    return [
        code
        for node in nodes
        for _, code in node.store.alarms
        if code in ("sequence_mismatch", "forked_log")
    ]
