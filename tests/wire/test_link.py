"""The link's rules: once, in order, and patient."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.link import LONGEST_DELAY, Arrival, Inbound, retry_after


@given(st.lists(st.integers(1, 12), max_size=60))
@settings(deadline=None)
def test_whatever_the_road_does_each_letter_is_taken_once_and_in_order(road: list[int]) -> None:
    """The road repeats, drops and reorders; afterwards the sender goes on from the high mark."""
    link, stored = Inbound(), dict[int, bytes]()
    taken = []
    for sequence in [*road, *range(1, 13)]:
        envelope_hash = bytes([sequence])
        try:
            link, arrival = link.accept(sequence, envelope_hash, stored.get)
        except WireError as refused:
            assert refused.code is Refusal.OUT_OF_ORDER
            assert sequence > link.high + 1
            continue
        if arrival is Arrival.ACCEPT:
            stored[sequence] = envelope_hash
            taken.append(sequence)
    assert taken == list(range(1, 13))
    assert link.high == 12


@pytest.mark.parametrize("sequence", [1, 2, 0, -1])
def test_another_envelope_under_a_used_sequence_is_a_replay(sequence: int) -> None:
    with pytest.raises(WireError) as refused:
        Inbound(2).accept(sequence, b"other", {1: b"one", 2: b"two"}.get)
    assert refused.value.code is Refusal.REPLAYED


def test_a_gap_names_what_is_missing() -> None:
    with pytest.raises(WireError, match="expected 8"):
        Inbound(7).accept(10, b"x", lambda _: None)


@given(st.integers(1, 10_000), st.integers(0))
def test_the_wait_grows_to_five_minutes_and_no_further(attempt: int, seed: int) -> None:
    wait = retry_after(attempt, random.Random(seed).random)
    full = min(timedelta(seconds=2 ** min(attempt - 1, 20)), LONGEST_DELAY)
    assert full / 2 <= wait <= full <= timedelta(minutes=5)


def test_after_a_success_there_is_no_wait() -> None:
    assert retry_after(0, random.Random(1).random) == timedelta(0)


def test_neighbours_do_not_return_in_step() -> None:
    source = random.Random(2)
    assert len({retry_after(9, source.random) for _ in range(20)}) == 20
