"""A dial's batch: limits, order, freshness, and a signature over all of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.builders import CITY, FUGOU, NOW, SHENQIU, batch, find_card
from zhengtong.wire import batch as batches
from zhengtong.wire import cbor, cose
from zhengtong.wire.batch import (
    MAX_BATCH,
    Batch,
    Letter,
    Refused,
    decode_batch,
    encode_batch,
    require_fresh,
    take_what_fits,
)
from zhengtong.wire.errors import Refusal, WireError

pytestmark = pytest.mark.usefixtures("suite")

numbers = st.integers(0, 2**53 - 1)


@st.composite
def some_batches(draw: st.DrawFn) -> Batch:
    first = draw(st.integers(1, 2**40))
    envelopes = draw(st.lists(st.binary(max_size=200), max_size=8))
    return Batch(
        sender="zhoukou",
        receiver="fugou",
        at=NOW + timedelta(microseconds=draw(st.integers(0, 10**15))),
        counter=draw(numbers),
        acknowledged=draw(numbers),
        high=draw(st.integers(first + len(envelopes), 2**53 - 1)),
        letters=tuple(Letter(first + i, envelope) for i, envelope in enumerate(envelopes)),
        receipts=draw(st.none() | st.binary(max_size=200)),
        refusals=tuple(
            draw(
                st.lists(
                    st.builds(Refused, numbers, st.sampled_from(Refusal), st.text(max_size=500)),
                    max_size=5,
                )
            )
        ),
        checkpoint=draw(st.none() | st.binary(max_size=200)),
        wait=draw(st.integers(0, 60)),
    )


def refusal_of(data: bytes, receiver: str = "fugou") -> Refusal:
    with pytest.raises(WireError) as refused:
        decode_batch(data, find_card, receiver=receiver)
    return refused.value.code


@given(some_batches())
@settings(deadline=None, max_examples=60)
def test_a_batch_arrives_as_it_was_sent(sent: Batch) -> None:
    assert decode_batch(encode_batch(sent, CITY), find_card, receiver="fugou") == sent


def test_the_next_expected_sequence_follows_the_acknowledged() -> None:
    assert batch(acknowledged=41).expected == 42


def test_a_batch_for_another_node_is_refused() -> None:
    assert refusal_of(encode_batch(batch(), CITY), "shenqiu") is Refusal.WRONG_RECIPIENT


def test_a_batch_in_anothers_name_is_refused() -> None:
    payload = cose.parse(encode_batch(batch(), CITY), cose.BATCH, 10_000).payload
    assert refusal_of(SHENQIU.state(cose.BATCH, payload)) is Refusal.BAD_SIGNATURE
    with pytest.raises(WireError):
        encode_batch(batch(), FUGOU)


def test_every_changed_byte_and_every_truncation_is_refused() -> None:
    data = encode_batch(batch(), CITY)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x04
        refusal_of(bytes(changed))
        refusal_of(data[:position])


def test_too_many_letters_are_refused_on_both_sides() -> None:
    many = tuple(Letter(number, b"") for number in range(1, 102))
    with pytest.raises(WireError) as refused:
        encode_batch(batch(letters=many, high=200), CITY)
    assert refused.value.code is Refusal.OVERSIZED
    payload = cbor.decode(cose.parse(encode_batch(batch(), CITY), cose.BATCH, 10_000).payload)
    payload["letters"] = [[letter.sequence, letter.envelope] for letter in many]
    assert refusal_of(CITY.state(cose.BATCH, cbor.encode(payload))) is Refusal.OVERSIZED


def test_a_batch_that_is_too_large_is_refused_before_it_is_read() -> None:
    assert refusal_of(bytes(MAX_BATCH + 1)) is Refusal.OVERSIZED
    with pytest.raises(WireError) as refused:
        encode_batch(batch(receipts=bytes(MAX_BATCH)), CITY)
    assert refused.value.code is Refusal.OVERSIZED


@pytest.mark.parametrize(
    "sequences", [(1, 3), (2, 1), (5, 5), (0, 1), (12, 13)], ids=lambda pair: f"{pair}"
)
def test_letters_stand_in_gap_free_order_up_to_the_high_mark(sequences: tuple[int, int]) -> None:
    letters = [[number, b""] for number in sequences]
    payload = cbor.decode(cose.parse(encode_batch(batch(), CITY), cose.BATCH, 10_000).payload)
    payload["letters"] = letters
    assert refusal_of(CITY.state(cose.BATCH, cbor.encode(payload))) is Refusal.MALFORMED


def test_what_fits_makes_a_batch_that_the_receiver_takes() -> None:
    small = [Letter(number, bytes(10)) for number in range(1, 300)]
    assert len(take_what_fits(small)) == batches.MAX_LETTERS
    large = [Letter(number, bytes(1_000_000)) for number in range(1, 20)]
    taken = take_what_fits(large)
    assert 1 < len(taken) < 9
    decode_batch(encode_batch(batch(letters=taken, high=20), CITY), find_card, receiver="fugou")


def test_a_repeated_batch_is_called_a_replay() -> None:
    require_fresh(batch(counter=6), 5, NOW)
    with pytest.raises(WireError) as refused:
        require_fresh(batch(counter=5), 5, NOW)
    assert refused.value.code is Refusal.REPLAYED


@pytest.mark.parametrize("off", [timedelta(minutes=11), timedelta(minutes=-11)])
def test_a_clock_that_is_off_is_named(off: timedelta) -> None:
    with pytest.raises(WireError, match="660 s") as refused:
        require_fresh(batch(), 0, NOW + off)
    assert refused.value.code is Refusal.CLOCK
