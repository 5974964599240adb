"""A dial's batch: limits, order, freshness, and a signature over all of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.builders import CITY, CITY_CARD, FUGOU, NOW, SHENQIU, batch, find_card, standing
from zhengtong.wire import batch as batches
from zhengtong.wire import cbor, cose
from zhengtong.wire.batch import (
    MAX_BATCH,
    Batch,
    Letter,
    Refused,
    decode_batch,
    encode_batch,
    take_what_fits,
)
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.standing import (
    MAX_EPOCH,
    Head,
    Lost,
    Standing,
    Witnessed,
    read_standing,
    require_fresh,
    sign_standing,
)

pytestmark = pytest.mark.usefixtures("suite")

numbers = st.integers(0, 2**53 - 1)
epochs = st.integers(0, MAX_EPOCH)


heads = st.builds(Head, numbers, st.binary(max_size=32))


@st.composite
def some_batches(draw: st.DrawFn) -> Batch:
    first = draw(st.integers(1, 2**40))
    envelopes = draw(st.lists(st.binary(max_size=200), max_size=8))
    sent = draw(st.integers(first + len(envelopes), 2**53 - 1))
    return Batch(
        standing=Standing(
            sender="zhoukou",
            receiver="fugou",
            lane=draw(st.integers(0, 3)),
            at=NOW + timedelta(microseconds=draw(st.integers(0, 10**15))),
            counter=draw(numbers),
            sent=Head(sent, draw(st.binary(max_size=32))),
            high=draw(st.integers(sent, 2**53 - 1)),
            received=draw(heads),
            again=draw(st.booleans()),
            waiting=tuple(draw(st.lists(st.integers(0, 3), max_size=4))),
            seen=Witnessed(draw(epochs), draw(numbers)),
            room=draw(numbers),
            version=draw(st.text(max_size=40)),
            epoch=draw(epochs),
        ),
        letters=tuple(
            Letter(first + i, b"", withheld=draw(st.binary(min_size=32, max_size=32)))
            if draw(st.booleans())
            else Letter(first + i, envelope)
            for i, envelope in enumerate(envelopes)
        ),
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
        base=draw(numbers),
        consistency=tuple(draw(st.lists(st.binary(max_size=32), max_size=5))),
        cosignature=draw(st.none() | st.binary(max_size=200)),
    )


def refusal_of(data: bytes, receiver: str = "fugou") -> Refusal:
    with pytest.raises(WireError) as refused:
        decode_batch(data, find_card, receiver=receiver)
    return refused.value.code


@given(some_batches())
@settings(deadline=None, max_examples=60)
def test_a_batch_arrives_as_it_was_sent(sent: Batch) -> None:
    read = decode_batch(encode_batch(sent, CITY), find_card, receiver="fugou")
    standing = replace(read.standing, body_hash=b"")
    assert replace(read, standing=standing, signed=b"") == sent


def test_what_takes_a_letters_place_is_a_hash_and_nothing_else() -> None:
    said = batch(letters=(Letter(12, b"", withheld=bytes(31)),))
    assert refusal_of(encode_batch(said, CITY)) is Refusal.MALFORMED
    said = batch(letters=(Letter(12, b"", b"beside it", bytes(32)),))
    assert refusal_of(encode_batch(said, CITY)) is Refusal.MALFORMED


def _behind(lost: tuple[int, int], letters: tuple[int, ...], sent: int) -> Batch:
    """A batch that says these numbers are lost, holds these letters and goes on from `sent`."""
    return batch(
        lost=Lost(*lost),
        letters=tuple(Letter(number, b"letter") for number in letters),
        sent=Head(sent, bytes(32)),
        high=20,
    )


@pytest.mark.parametrize(
    ("lost", "letters", "sent"),
    [((9, 12), (), 12), ((9, 12), (13,), 13), ((12, 12), (13,), 13)],
)
def test_behind_lost_numbers_one_letter_stands_or_none(
    lost: tuple[int, int], letters: tuple[int, ...], sent: int
) -> None:
    said = _behind(lost, letters, sent)
    read = decode_batch(encode_batch(said, CITY), find_card, receiver="fugou")
    assert (read.standing.lost, read.letters) == (said.standing.lost, said.letters)


@pytest.mark.parametrize(
    ("lost", "letters", "sent"),
    [
        ((0, 12), (), 12),  # there is no letter 0
        ((12, 9), (), 12),
        ((9, 12), (), 13),  # not the chain from where to go on
        ((9, 12), (12,), 12),  # lost, and yet here
        ((9, 11), (13,), 13),
        ((9, 11), (12, 13), 13),  # the chain at 12 is not said
    ],
)
def test_lost_numbers_from_which_nobody_can_go_on_are_refused(
    lost: tuple[int, int], letters: tuple[int, ...], sent: int
) -> None:
    said = _behind(lost, letters, sent)
    with pytest.raises(WireError) as refused:
        encode_batch(said, CITY)
    assert refused.value.code is Refusal.MALFORMED


def test_the_standing_of_a_batch_is_evidence_by_itself() -> None:
    read = decode_batch(encode_batch(batch(), CITY), find_card, receiver="fugou")
    assert read_standing(read.signed, find_card) == (read.standing, CITY_CARD)
    assert len(read.signed) < 1000


def test_a_batch_for_another_node_is_refused() -> None:
    assert refusal_of(encode_batch(batch(), CITY), "shenqiu") is Refusal.WRONG_RECIPIENT


def test_a_batch_in_anothers_name_is_refused() -> None:
    signed, body = parts(encode_batch(batch(), CITY))
    payload = cose.parse(signed, cose.STANDING, 10_000).payload
    forged = cbor.bstr(SHENQIU.state(cose.STANDING, payload)) + cbor.bstr(body)
    assert refusal_of(forged) is Refusal.BAD_SIGNATURE
    with pytest.raises(WireError):
        encode_batch(batch(), FUGOU)


def test_a_body_under_another_standing_is_refused() -> None:
    signed, _ = parts(encode_batch(batch(), CITY))
    _, body = parts(encode_batch(batch(receipts=b"others"), CITY))
    assert refusal_of(cbor.bstr(signed) + cbor.bstr(body)) is Refusal.BAD_SIGNATURE


def parts(data: bytes) -> tuple[bytes, bytes]:
    """The signed standing of a batch, and its body."""
    signed, at = cbor.read_bstr(data, 0)
    return signed, cbor.read_bstr(data, at)[0]


def with_letters(letters: list[list[object]]) -> bytes:
    """A properly signed batch that holds these letters, whatever they are."""
    body = cbor.decode(parts(encode_batch(batch(), CITY))[1])
    body["letters"] = letters
    encoded = cbor.encode(body)
    signed = sign_standing(batch(high=200).standing, CITY.suite.hash(encoded), CITY)
    return cbor.bstr(signed) + cbor.bstr(encoded)


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
        encode_batch(batch(letters=many, sent=Head(200), high=200), CITY)
    assert refused.value.code is Refusal.OVERSIZED
    letters: list[list[object]] = [[letter.sequence, letter.envelope] for letter in many]
    assert refusal_of(with_letters(letters)) is Refusal.OVERSIZED


def test_a_batch_that_is_too_large_is_refused_before_it_is_read() -> None:
    assert refusal_of(bytes(MAX_BATCH + 1)) is Refusal.OVERSIZED
    with pytest.raises(WireError) as refused:
        encode_batch(batch(receipts=bytes(MAX_BATCH)), CITY)
    assert refused.value.code is Refusal.OVERSIZED


@pytest.mark.parametrize(
    "sequences", [(1, 3), (2, 1), (5, 5), (0, 1), (12, 13)], ids=lambda pair: f"{pair}"
)
def test_letters_stand_in_gap_free_order_up_to_what_was_sent(sequences: tuple[int, int]) -> None:
    assert refusal_of(with_letters([[number, b""] for number in sequences])) is Refusal.MALFORMED


def test_what_fits_makes_a_batch_that_the_receiver_takes() -> None:
    small = [Letter(number, bytes(10)) for number in range(1, 300)]
    assert len(take_what_fits(small)) == batches.MAX_LETTERS
    large = [Letter(number, bytes(1_000_000)) for number in range(1, 20)]
    taken = take_what_fits(large)
    assert 1 < len(taken) < 9
    whole = batch(letters=taken, sent=Head(20), high=20)
    decode_batch(encode_batch(whole, CITY), find_card, receiver="fugou")


def test_on_a_slow_road_a_batch_is_small_but_never_empty() -> None:
    letters = [Letter(number, bytes(100_000)) for number in range(1, 20)]
    assert len(take_what_fits(letters, 1)) == 1


def test_a_repeated_batch_is_called_a_replay() -> None:
    require_fresh(standing(counter=6), 5, NOW)
    with pytest.raises(WireError) as refused:
        require_fresh(standing(counter=5), 5, NOW)
    assert refused.value.code is Refusal.REPLAYED


@pytest.mark.parametrize("off", [timedelta(minutes=11), timedelta(minutes=-11)])
def test_a_clock_that_is_off_is_named(off: timedelta) -> None:
    with pytest.raises(WireError, match="660 s") as refused:
        require_fresh(standing(), 0, NOW + off)
    assert refused.value.code is Refusal.CLOCK


def test_a_road_that_takes_days_excuses_an_old_batch_but_none_from_the_future() -> None:
    require_fresh(standing(), 0, NOW + timedelta(days=30), patient=True)
    with pytest.raises(WireError) as refused:
        require_fresh(standing(), 0, NOW - timedelta(hours=1), patient=True)
    assert refused.value.code is Refusal.CLOCK
