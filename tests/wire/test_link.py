"""The link's rules: once, in order, and patient."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.link import LONGEST_DELAY, Mark, extended, require_next, retry_after
from zhengtong.wire.merkle import sha256
from zhengtong.wire.standing import NO_LETTER, Head


@given(st.lists(st.integers(1, 12), max_size=60))
@settings(deadline=None)
def test_whatever_the_road_does_each_letter_is_taken_once_and_in_order(road: list[int]) -> None:
    """The road repeats, drops and reorders; afterwards the sender goes on from the high mark."""
    head, stored, taken = NO_LETTER, dict[int, Mark](), []
    for sequence in [*road, *range(1, 13)]:
        digest = bytes([sequence])
        try:
            new = require_next(head.number, sequence, digest, stored.get(sequence))
        except WireError as refused:
            assert refused.code is Refusal.OUT_OF_ORDER
            assert sequence > head.number + 1
            continue
        if new:
            head = extended(head, digest, sha256)
            stored[sequence] = Mark(digest, head.chain)
            taken.append(sequence)
    assert taken == list(range(1, 13))
    assert head.number == 12


@pytest.mark.parametrize("sequence", [1, 2, 0, -1])
def test_another_envelope_under_a_used_number_is_a_contradiction(sequence: int) -> None:
    known = {1: Mark(b"one", b""), 2: Mark(b"two", b"")}
    with pytest.raises(WireError) as refused:
        require_next(2, sequence, b"other", known.get(sequence))
    assert refused.value.code is Refusal.SEQUENCE_MISMATCH


def test_a_gap_names_what_is_missing() -> None:
    with pytest.raises(WireError, match="expected 8"):
        require_next(7, 10, b"x", None)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=9), st.data())
@settings(deadline=None)
def test_the_chain_tells_any_other_sequence_apart(
    letters: list[bytes], data: st.DataObject
) -> None:
    """Left out, replaced or in another order: the chain at the end differs."""
    other = list(letters)
    match data.draw(st.sampled_from(["left out", "replaced", "swapped"])):
        case "left out":
            del other[data.draw(st.integers(0, len(other) - 1))]
        case "replaced":
            other[data.draw(st.integers(0, len(other) - 1))] = bytes(31) + b"?"
        case _:
            other.reverse()
    if other != letters:
        assert _chained(other) != _chained(letters)
    assert _chained(letters) == _chained(list(letters))


def _chained(letters: list[bytes]) -> Head:
    head = NO_LETTER
    for digest in letters:
        head = extended(head, digest, sha256)
    return head


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
