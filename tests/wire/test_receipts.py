"""Receipts are the receiver's own signed word."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.builders import FUGOU, NOW, SHENQIU, find_card
from zhengtong.wire import cose
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.receipts import Event, Receipt, ReceiptItem, encode_receipt, verify_receipt

pytestmark = pytest.mark.usefixtures("suite")

items = st.builds(
    ReceiptItem,
    st.integers(0, 2**53 - 1),
    st.binary(min_size=32, max_size=32),
    st.sampled_from(Event),
    st.just(NOW),
)


def receipt(*events: ReceiptItem) -> Receipt:
    return Receipt("zhoukou", "fugou", events or (ReceiptItem(1, bytes(32), Event.READ, NOW),))


@given(st.lists(items, max_size=20))
@settings(deadline=None, max_examples=40)
def test_a_receipt_is_read_as_it_was_signed(said: list[ReceiptItem]) -> None:
    signed = Receipt("zhoukou", "fugou", tuple(said))
    assert verify_receipt(encode_receipt(signed, FUGOU), find_card) == signed


def test_nobody_signs_for_another() -> None:
    with pytest.raises(WireError):
        encode_receipt(receipt(), SHENQIU)
    payload = cose.parse(encode_receipt(receipt(), FUGOU), cose.RECEIPTS, 10_000).payload
    with pytest.raises(WireError) as refused:
        verify_receipt(SHENQIU.state(cose.RECEIPTS, payload), find_card)
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_every_changed_byte_is_refused() -> None:
    data = encode_receipt(receipt(), FUGOU)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x02
        with pytest.raises(WireError):
            verify_receipt(bytes(changed), find_card)
