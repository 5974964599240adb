"""What the simulation has found, each as small as it can be."""

from __future__ import annotations

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.node import Node
from tests.sim.world import World


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


def names(node: Node) -> list[str]:
    return [entered.name for entered in node.inbox.values()]


def test_a_restored_parent_tells_its_child_what_it_lacks() -> None:
    """It held letter 1 and was put back; the child, which knows nothing of that, sends letter 2."""
    child, parent = pair()
    backup = parent.backup()
    tell(child, parent, 2, "first")
    dial(child, parent, 2)
    dial(child, parent, 2)
    parent.restore(backup, 0)
    tell(child, parent, 2, "second")
    for _ in range(4):
        dial(child, parent, 2)
    assert names(parent) == ["first", "second"]


def test_a_restored_node_gives_no_number_twice_in_any_lane() -> None:
    """The backup knew nothing of the emergency lane; only the normal lane was heard since."""
    child, parent = pair()
    backup = child.backup()
    tell(child, parent, 0, "first")
    dial(child, parent, 0)
    child.restore(backup, 0)
    dial(child, parent, 2)
    tell(child, parent, 0, "second")
    dial(child, parent, 0)
    child.seal("parent")
    dial(child, parent, 0)
    assert names(parent) == ["first", "second"]
    assert not any(code == "sequence_mismatch" for _, code in parent.store.alarms)
