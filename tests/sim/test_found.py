"""What the simulation has found, each as small as it can be. Restores: see test_found_restores."""

from __future__ import annotations

import pytest

from tests.sim.culprit import corrupt
from tests.sim.node import Node
from tests.sim.pair import dial, names, pair, tell
from tests.sim.world import World
from zhengtong.wire.attest import prove
from zhengtong.wire.batch import Batch, encode_batch
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.standing import MAX_EPOCH, Standing, Witnessed


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
    """A neighbour that says it knows our log of the year 19095 is alarmed about, not believed."""
    child, parent = pair()
    liar = Standing("parent", "child", 2, child.exchange.now(), 2**52, seen=Witnessed(MAX_EPOCH))
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


def test_the_proof_that_opens_the_doorbell_is_no_word_about_a_lane() -> None:
    """Whoever has seen it pass could say with it that the child had lost all it held."""
    child, parent = pair()
    tell(parent, child, 0, "first")
    for _ in range(2):
        dial(child, parent, 0)
    receipted = parent.store.lane("child", 0).receipted
    parent.exchange.accept(prove(child.keys, "parent", child.exchange.now()))
    assert parent.store.lane("child", 0).receipted == receipted == 1
