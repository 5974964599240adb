"""What the simulation has found, each as small as it can be."""

from __future__ import annotations

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.culprit import corrupt
from tests.sim.node import Node
from tests.sim.world import World
from zhengtong.wire.batch import Batch, Standing, Witnessed, encode_batch
from zhengtong.wire.errors import Refusal, WireError


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


def test_a_restored_node_that_knows_nothing_of_a_log_accuses_nobody_of_forking_it() -> None:
    """The backup is older than the first letter; the neighbour's proof sets out from later."""
    child, parent = pair()
    backup = parent.backup()
    tell(child, parent, 2, "first")
    for _ in range(3):
        dial(child, parent, 2)
    parent.restore(backup, 0)
    tell(child, parent, 2, "second")
    for _ in range(4):
        dial(child, parent, 2)
    assert not parent.store.alarms
    assert parent.store.peers["child"].seen.mark.size == child.store.log()[1].size


def test_one_who_was_never_answered_asks_until_he_is() -> None:
    """On a road without answers the first batch of the other end was lost."""
    world = World(1)
    here, there = Node(world, "here"), Node(world, "there")
    here.befriend(there, patient=True)
    there.befriend(here, patient=True)
    there.exchange.accept(here.exchange.compose("there", 2))
    there.exchange.compose("here", 2)  # never arrives
    assert here.exchange.to_say("there") == (2,)
    there.exchange.accept(here.exchange.compose("there", 2))
    assert there.exchange.to_say("here") == (2,)


def test_nobody_holds_more_than_was_given() -> None:
    """Else one signed lie would use up all the numbers of a lane."""
    child, parent = pair()
    tell(child, parent, 2, "first")
    dial(child, parent, 2)
    victims = corrupt(parent, "states to hold letters never sent")
    with pytest.raises(WireError) as refused:
        dial(child, parent, 2)
    assert refused.value.code is Refusal.SEQUENCE_MISMATCH
    assert victims == ["child"]
    assert ("parent", "sequence_mismatch") in child.store.alarms
    assert child.store.lane("parent", 2).numbered.number == 1


def test_nobody_can_push_the_name_of_our_log_beyond_all_names() -> None:
    """A neighbour that says it knows our log of the year 3871 is alarmed about, not believed."""
    child, parent = pair()
    liar = Standing("parent", "child", 2, child.exchange.now(), 2**52, seen=Witnessed(999_999_999))
    child.exchange.accept(encode_batch(Batch(liar), parent.keys))
    assert child.store.log()[0] == 1
    assert ("parent", "log_rolled_back") in child.store.alarms


def test_letters_that_both_a_gap_and_a_repeat_surround_arrive_once() -> None:
    """Of three batches the second is lost: the third is left, and everything is offered again."""
    child, parent = pair()
    tell(child, parent, 2, "first")
    dial(child, parent, 2)
    tell(child, parent, 2, "second")
    child.exchange.compose("parent", 2)  # lost
    tell(child, parent, 2, "third")
    dial(child, parent, 2)
    assert names(parent) == ["first"]
    dial(child, parent, 2)
    assert names(parent) == ["first", "second", "third"]
