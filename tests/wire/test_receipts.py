"""Receipts are the receiver's own signed word, proven by its log."""

from __future__ import annotations

import cbor2
import gmssl_pyx
import pytest
from cwt import COSEKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.builders import FUGOU, FUGOU_CARD, NOW, SHENQIU, entry, find_card, log_of, receipts
from zhengtong.wire import merkle
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.receipts import (
    Entry,
    Event,
    Receipts,
    issue,
    log_name,
    single,
    verify,
    verify_single,
)
from zhengtong.wire.sm2 import signature_to_der

pytestmark = pytest.mark.usefixtures("suite")

entries = st.builds(
    entry,
    st.integers(0, 2**53 - 1),
    st.sampled_from(Event),
    st.binary(min_size=32, max_size=32),
    lane=st.integers(0, 3),
    at=st.just(NOW),
    salt=st.binary(min_size=16, max_size=16),
)


@given(st.lists(entries, min_size=1, max_size=20), st.integers(0, 300))
@settings(deadline=None, max_examples=40)
def test_receipts_are_read_as_they_were_signed(said: list[Entry], before: int) -> None:
    card, read = verify(receipts(*said, before=before).encode(), find_card)
    assert (card, read) == (FUGOU_CARD, tuple(said))


@given(st.lists(entries, min_size=1, max_size=9), st.integers(0, 300), st.data())
@settings(deadline=None, max_examples=40)
def test_every_one_has_a_receipt_of_its_own_in_the_standard_form(
    said: list[Entry], before: int, data: st.DataObject
) -> None:
    """RFC 9942: the root that the inclusion proof leads to is the detached payload."""
    run = receipts(*said, before=before)
    number = data.draw(st.integers(0, len(said) - 1))
    receipt = single(run, number, FUGOU_CARD.crypto)
    assert verify_single(run.entries[number], receipt, find_card) == (FUGOU_CARD, said[number])

    tagged = cbor2.loads(receipt)
    assert tagged.tag == 18
    protected, unprotected, payload, _ = tagged.value
    assert cbor2.loads(protected)[395] == {"intl": 1, "gm": -66107}[FUGOU_CARD.suite]
    assert payload is None
    (proof,) = unprotected[396][-1]
    size, index, path = cbor2.loads(proof)
    leaf = merkle.leaf_hash(run.entries[number], FUGOU.suite.hash)
    root = merkle.root_of(leaf, index, size, path, FUGOU.suite.hash)
    assert root is not None
    _oracle(receipt, root)


def _oracle(receipt: bytes, root: bytes) -> None:
    """Another implementation of the signature takes it over the root."""
    protected, _, _, signature = cbor2.loads(receipt).value
    signed = cbor2.dumps(["Signature1", protected, b"", root])
    if FUGOU_CARD.suite == "gm":
        der = signature_to_der(signature)
        assert gmssl_pyx.sm2_verify(FUGOU.signing_public[1:], signed, der)
    else:
        COSEKey.new({1: 1, -1: 6, 3: -8, -2: FUGOU.signing_public}).verify(signed, signature)


def test_nobody_receipts_for_another() -> None:
    """shenqiu signs a log that holds an entry in the name of fugou."""
    forged = receipts(entry(), keys=SHENQIU)
    with pytest.raises(WireError) as refused:
        verify(forged.encode(), find_card)
    assert refused.value.code is Refusal.BAD_SIGNATURE
    with pytest.raises(WireError) as refused:
        verify_single(forged.entries[0], single(forged, 0, FUGOU_CARD.crypto), find_card)
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_a_log_of_another_node_is_refused() -> None:
    run = issue(log_of(entry()), log_name("zhoukou"), 0, 1, FUGOU)
    with pytest.raises(WireError) as refused:
        verify(run.encode(), find_card)
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_every_changed_byte_is_refused() -> None:
    run = receipts(entry(), entry(2), before=3)
    data, alone = run.encode(), single(run, 1, FUGOU_CARD.crypto)
    for position in range(len(data)):
        with pytest.raises(WireError):
            verify(_changed(data, position), find_card)
    for position in range(len(alone)):
        with pytest.raises(WireError):
            verify_single(run.entries[1], _changed(alone, position), find_card)
    with pytest.raises(WireError):
        verify_single(run.entries[0], alone, find_card)


def test_receipts_without_an_entry_are_refused() -> None:
    run = receipts(entry())
    empty = Receipts(run.origin, 0, (), (), run.protected, run.signature)
    with pytest.raises(WireError) as refused:
        verify(empty.encode(), find_card)
    assert refused.value.code is Refusal.MALFORMED


def _changed(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0x02
    return bytes(changed)
