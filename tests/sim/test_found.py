"""What the simulation has found, each as small as it can be."""

from __future__ import annotations

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.culprit import corrupt
from tests.sim.node import Node
from tests.sim.world import DAY, MINUTE, World
from zhengtong.wire.attest import prove
from zhengtong.wire.batch import Batch, encode_batch
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.standing import Standing, Witnessed


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


def restored_while_mail_is_on_the_road() -> tuple[Node, Node, bytes]:
    """The child has forgotten its letter "old", which is still on the road, and writes "new"."""
    child, parent = pair()
    backup = child.backup()
    tell(child, parent, 2, "old")
    on_the_road = child.exchange.compose("parent", 2)
    child.restore(backup, 0)
    child.tell("parent", 2, "new", 1)
    return child, parent, on_the_road


def test_what_a_neighbour_said_before_it_heard_of_a_restore_places_nobody() -> None:
    """It said so with a letter still to come; numbers given on its word would be given twice."""
    child, parent, on_the_road = restored_while_mail_is_on_the_road()
    child.exchange.accept(parent.exchange.compose("child", 2))
    assert not child.seal("parent"), "the child does not know yet which numbers it has used"
    parent.exchange.accept(on_the_road)
    for _ in range(3):
        dial(child, parent, 2)
        child.seal("parent")
    assert names(parent) == ["old", "new"]
    assert not accused(child, parent)


def test_what_was_on_the_road_when_its_node_was_restored_comes_too_late() -> None:
    """Once the restored child has been answered, its number belongs to another letter."""
    child, parent, on_the_road = restored_while_mail_is_on_the_road()
    for _ in range(3):
        dial(child, parent, 2)
        child.seal("parent")
    assert not parent.exchange.accept(on_the_road).moved
    dial(child, parent, 2)
    assert names(parent) == ["new"]
    assert not accused(child, parent)


def test_the_same_holds_in_a_lane_in_which_the_restored_node_was_not_heard_yet() -> None:
    child, parent = pair()
    backup = child.backup()
    tell(child, parent, 0, "old")
    late = child.exchange.compose("parent", 0)
    child.restore(backup, 0)
    dial(child, parent, 2)
    assert not parent.exchange.accept(late).moved
    assert names(parent) == []


def test_a_lane_goes_on_behind_letters_that_both_ends_have_lost() -> None:
    child, parent = pair()
    ours, theirs = child.backup(), parent.backup()
    tell(child, parent, 2, "lost", "lost-too")
    dial(child, parent, 2)
    child.restore(ours, 0)
    for _ in range(2):
        dial(child, parent, 2)
    tell(child, parent, 2, "later")
    dial(child, parent, 2)
    parent.restore(theirs, 0)
    for _ in range(4):
        dial(child, parent, 2)
    assert names(parent) == ["later"]
    told = [(parent, "child"), (child, "parent")]
    lost = {end.store.alarms[other, "letters_lost"].detail for end, other in told}
    assert lost == {"child 2: 1–2"}, "and both ends know of it"
    row = child.store.lane("parent", 2)
    assert row.receipted == row.numbered.number == 3


def test_lost_letters_that_none_follows_are_passed_over_too() -> None:
    child, parent = pair()
    ours, theirs = child.backup(), parent.backup()
    tell(child, parent, 2, "lost")
    dial(child, parent, 2)
    child.restore(ours, 0)
    for _ in range(2):
        dial(child, parent, 2)
    parent.restore(theirs, 0)
    for _ in range(4):
        dial(child, parent, 2)
    assert ("child", "letters_lost") in parent.store.alarms
    assert 2 not in child.exchange.to_say("parent") + parent.exchange.to_say("child")


def test_a_node_restored_by_a_wrong_clock_goes_on_once_it_is_right() -> None:
    """Its new epoch is of next month, and so is all it says until people have seen to the clock."""
    child, parent = pair()
    child.skew = 30 * DAY
    child.restore(child.backup(), 0)
    tell(child, parent, 2, "first")
    with pytest.raises(WireError, match="clock"):
        dial(child, parent, 2)
    child.skew = 0
    for _ in range(3):
        dial(child, parent, 2)
        child.seal("parent")
    assert names(parent) == ["first"]


def test_a_second_restore_to_before_the_first_goes_on_although_the_clock_is_behind() -> None:
    """It begins an epoch that neighbours take for an earlier one, until they show that it is not.

    They show it with the node's own signature; their mere word would move nobody.
    """
    child, parent = pair()
    backup = child.backup()
    child.restore(backup, 0)
    dial(child, parent, 2)
    dial(child, parent, 2)
    known = parent.store.peers["child"].seen.epoch
    child.skew = -5 * MINUTE
    child.restore(backup, 0)
    assert child.store.log()[0] < known
    child.tell("parent", 2, "first", 1)
    for _ in range(4):
        dial(child, parent, 2)
        child.seal("parent")
    assert child.store.log()[0] == known + 1
    assert names(parent) == ["first"]
    assert not accused(child, parent)


def test_a_node_that_was_put_back_without_being_told_begins_anew_by_itself() -> None:
    """A machine went back to a snapshot. Its parent holds its signature under a longer log."""
    child, parent = pair()
    backup = child.backup()
    tell(child, parent, 2, "first")
    for _ in range(3):
        dial(child, parent, 2)
    for name, table in child._tables().items():
        dict.clear(table)
        dict.update(table, backup[name])
    dial(child, parent, 2)
    assert child.store.log()[0] > 1
    child.tell("parent", 2, "second", 1)
    for _ in range(4):
        dial(child, parent, 2)
        child.seal("parent")
    assert names(parent) == ["first", "second"]


def test_the_proof_that_opens_the_doorbell_is_no_word_about_a_lane() -> None:
    """Whoever has seen it pass could say with it that the child had lost all it held."""
    child, parent = pair()
    tell(parent, child, 0, "first")
    for _ in range(2):
        dial(child, parent, 0)
    receipted = parent.store.lane("child", 0).receipted
    parent.exchange.accept(prove(child.keys, "parent", child.exchange.now()))
    assert parent.store.lane("child", 0).receipted == receipted == 1


def accused(*nodes: Node) -> list[str]:
    return [
        code
        for node in nodes
        for _, code in node.store.alarms
        if code in ("sequence_mismatch", "forked_log")
    ]
