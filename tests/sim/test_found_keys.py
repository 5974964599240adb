"""What the simulation has found where restores and changes of keys meet."""

from __future__ import annotations

from tests.sim.pair import (
    accused,
    arrives,
    dial,
    forget_life,
    go_back,
    names,
    pair,
    replace_lost_keys,
    talk,
    tell,
)
from tests.sim.world import MINUTE


def test_receipts_of_a_life_that_was_undone_count_no_more() -> None:
    """The parent held both letters; restored, it is given one. What becomes of the other now is not
    what it said before: it may be refused, if its sender has changed keys meanwhile."""
    child, parent = pair()
    backup = parent.backup()
    tell(child, parent, 2, "first", "second")
    for _ in range(2):
        dial(child, parent, 2)
    parent.restore(backup, 0)
    dial(child, parent, 2)
    parent.exchange.accept(child.exchange.compose("parent", 2, room=1))
    child.exchange.accept(parent.exchange.compose("child", 2))
    assert names(parent) == ["first"]
    assert child.store.lane("parent", 2).receipted == 1


def test_new_keys_on_the_word_of_the_recovery_key_begin_a_new_order_of_lives() -> None:
    """The neighbour knows a later life, by the signature of a key that went with it: the node that
    forgot both can verify nothing, and was deaf to its neighbour until its clock had caught up."""
    child, parent = pair()
    backup = child.backup()
    go_back(child, backup, ahead=5 * MINUTE)
    dial(child, parent, 2)
    replace_lost_keys(child, parent)
    for _ in range(3):
        dial(child, parent, 2)
    go_back(child, backup)
    replace_lost_keys(child, parent)
    arrives(child, parent)


def test_a_node_that_has_replaced_lost_keys_cosigns_with_the_new_ones() -> None:
    """The batch with its line under a log that grows no more was lost, and then the key."""
    child, parent = pair()
    tell(parent, child, 2, "first")
    dial(child, parent, 2)
    child.exchange.compose("parent", 2)  # lost, and with it the newest cosignature
    replace_lost_keys(child, parent)
    dial(child, parent, 2)
    assert parent.store.peers["child"].witnessed.size == parent.store.log()[1].size == 1


def test_receipts_come_once_more_to_one_who_may_hold_those_of_a_life_that_was_undone() -> None:
    """The parent held the letter, was restored, and refused it then: the child had lost its keys.
    The child's backup is from before, and says that the letter was taken."""
    child, parent = pair()
    theirs = parent.backup()
    tell(child, parent, 2, "first")
    for _ in range(2):
        dial(child, parent, 2)
    replace_lost_keys(child, parent)
    ours = child.backup()
    parent.restore(theirs, 0)
    replace_lost_keys(child, parent)
    for _ in range(3):
        dial(child, parent, 2)
    assert child.store.outgoing["parent", 2, 1].dead
    child.restore(ours, 0)
    replace_lost_keys(child, parent)
    for _ in range(3):
        dial(child, parent, 2)
    assert child.store.outgoing["parent", 2, 1].dead


def test_a_life_that_went_on_to_the_next_keys_is_known_by_their_signature() -> None:
    """The backup is from the midst of a change of keys. The life that was lost brought it to its
    end, by a clock that was ahead, and the neighbour knows that life by the next keys alone."""
    child, parent = pair()
    child.change_keys()
    tell(child, parent, 2)
    backup = child.backup()
    go_back(child, backup, ahead=5 * MINUTE)
    talk(child, parent)
    assert not child.change.under_way
    go_back(child, backup)
    arrives(child, parent)


def test_what_a_road_has_lost_is_asked_for_once_even_of_an_earlier_life() -> None:
    """When people bring a card, the child forgets which life of the parent it knew. Its one word
    that asked for everything again was for none."""
    child, parent = pair()
    parent.restore(parent.backup(), 0)
    talk(child, parent)
    tell(parent, child, 0, "first")
    parent.exchange.compose("child", 0)  # lost
    forget_life(child, "parent")
    child.exchange.rewind("parent")
    talk(child, parent)
    assert names(child) == ["first"]
    assert not accused(child, parent)
