"""What the simulation has found about nodes that were restored from a backup."""

from __future__ import annotations

import pytest

from tests.sim.node import Node
from tests.sim.pair import accused, arrives, dial, forget_life, go_back, names, pair, talk, tell
from tests.sim.world import DAY, MINUTE
from zhengtong.wire.batch import Batch, encode_batch
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.link import NOT_HEARD
from zhengtong.wire.standing import Head, Standing, Witnessed


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
    assert child.store.log()[0] > known
    assert names(parent) == ["first"]
    assert not accused(child, parent)


def twice_restored_while_mail_is_on_the_road(
    child: Node, parent: Node, ahead: float = 0.0
) -> bytes:
    """A letter of the first life after the backup, by a clock that is `ahead`; the second forgets
    that life."""
    backup = child.backup()
    child.skew = ahead
    child.restore(backup, 0)
    for _ in range(2):
        dial(child, parent, 2)
    tell(child, parent, 2, "old")
    on_the_road = child.exchange.compose("parent", 2)
    child.skew = 0
    child.restore(backup, 0)
    child.tell("parent", 2, "new", 1)
    return on_the_road


def test_no_two_lives_of_a_node_bear_one_number() -> None:
    """By the same clock, to the same backup: what a neighbour says to the first life, with a letter
    of that still to come, must not place the second."""
    child, parent = pair()
    on_the_road = twice_restored_while_mail_is_on_the_road(child, parent)
    child.exchange.accept(parent.exchange.compose("child", 2))
    child.seal("parent")
    parent.exchange.accept(on_the_road)
    for _ in range(4):
        dial(child, parent, 2)
        child.seal("parent")
    assert names(parent)[-1] == "new"
    assert not accused(child, parent)


def test_a_restored_node_takes_no_letters_from_one_who_has_not_heard_of_it() -> None:
    """Both ends forget the child's first life, whose number is the later one: its clock went back.

    The letter was written for a life of the parent that is over; else it would bear a number that
    the parent, which knew no better, has agreed to use for another.
    """
    child, parent = pair()
    theirs = parent.backup()
    on_the_road = twice_restored_while_mail_is_on_the_road(child, parent, 5 * MINUTE)
    parent.restore(theirs, 0)
    for _ in range(4):
        dial(child, parent, 2)
        child.seal("parent")
    assert names(parent) == ["new"]
    parent.exchange.accept(on_the_road)
    for _ in range(4):
        dial(child, parent, 2)
    assert names(parent) == ["new"]
    assert not accused(child, parent)


def test_nothing_is_handed_over_to_one_who_has_forgotten_our_life() -> None:
    """As above, but the letter is written when the parent is back, and has forgotten the child's
    first life: it is not said in that life before the parent knows of it again."""
    child, parent = pair()
    ours, theirs = child.backup(), parent.backup()
    go_back(child, ours, ahead=5 * MINUTE)
    for _ in range(2):
        dial(child, parent, 2)
    parent.restore(theirs, 0)
    child.exchange.accept(parent.exchange.compose("child", 2))
    tell(child, parent, 2, "old")
    on_the_road = child.exchange.compose("parent", 2)
    go_back(child, ours)
    child.tell("parent", 2, "new", 1)
    for _ in range(4):
        dial(child, parent, 2)
        child.seal("parent")
    parent.exchange.accept(on_the_road)
    for _ in range(4):
        dial(child, parent, 2)
    assert names(parent) == ["new"]
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


def test_a_backup_of_a_past_that_was_undone_is_noticed_before_anything_goes_wrong() -> None:
    """Nobody should put it back: it holds a letter under a number that another bears by now. The
    link stands still, with an alarm, and neither letter is delivered twice or in the other's place.
    """
    child, parent = pair()
    backup = child.backup()
    tell(child, parent, 2, "old")
    undone = child.backup()
    child.restore(backup, 0)
    child.tell("parent", 2, "new", 1)
    for _ in range(3):
        dial(child, parent, 2)
        child.seal("parent")
    child.restore(undone, 0)
    for _ in range(2):
        with pytest.raises(WireError) as refused:
            dial(child, parent, 2)
            dial(child, parent, 2)
        assert refused.value.code is Refusal.SEQUENCE_MISMATCH
    assert names(parent) == ["new"]
    assert ("parent", "sequence_mismatch") in child.store.alarms
    assert ("child", "log_restarted") in parent.store.alarms


def test_who_was_restored_says_what_it_lacks_to_one_that_was_restored_before() -> None:
    """The child went back to before the parent's restore: its first word in the lane is for a life
    of the parent that is over, and the answer leaves it nothing more to say."""
    child, parent = pair()
    backup = child.backup()
    parent.restore(parent.backup(), 0)
    talk(child, parent)
    tell(parent, child, 0, "first")
    talk(child, parent)
    assert names(child) == ["first"]
    child.restore(backup, 0)
    talk(child, parent)
    assert names(child) == ["first"]
    assert parent.store.lane("child", 0).receipted == 1
    assert not accused(child, parent)


def test_to_a_neighbour_that_was_restored_nothing_is_given_up_that_it_knows() -> None:
    """While a lane waits for its word a lie about our numbers is still a lie."""
    child, parent = pair()
    parent.restore(parent.backup(), 0)
    talk(child, parent)
    child.restore(child.backup(), 0)
    forget_life(child, "parent")
    parent.exchange.accept(child.exchange.compose("parent", 2))
    assert parent.store.lane("child", 2).heard == NOT_HEARD
    epoch, log = parent.store.log()
    liar = Standing(
        "child",
        "parent",
        2,
        child.exchange.now(),
        2**52,
        received=Head(7, bytes(32)),
        seen=Witnessed(epoch, log.size),
        epoch=child.store.log()[0],
    )
    with pytest.raises(WireError) as refused:
        parent.exchange.accept(encode_batch(Batch(liar), child.keys))
    assert refused.value.code is Refusal.SEQUENCE_MISMATCH
    assert parent.store.lane("child", 2).numbered.number == 0


def test_a_parent_that_forgot_an_empty_log_can_still_prove_that_it_was() -> None:
    """The child has had a life by a clock that was ahead, in which nothing was logged. The parent
    forgot that it had cosigned its empty log, and went on naming that life without any proof."""
    child, parent = pair()
    ours, theirs = child.backup(), parent.backup()
    go_back(child, ours, ahead=5 * MINUTE)
    talk(child, parent)
    parent.restore(theirs, 0)
    talk(child, parent)
    go_back(child, ours)
    arrives(child, parent)
