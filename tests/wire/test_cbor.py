"""The strict encoding: one byte string per value, everything else refused."""

from __future__ import annotations

import tracemalloc

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.wire import cbor
from zhengtong.wire.errors import Refusal, WireError

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=300)
    | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.integers(-24, 30) | st.integers(-(2**64), 2**64 - 1) | st.text(max_size=30),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)

# RFC 8949 appendix A, the rows inside the profile.
EXAMPLES = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1000000),
    ("1b000000e8d4a51000", 1000000000000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("20", -1),
    ("3863", -100),
    ("3903e7", -1000),
    ("3bffffffffffffffff", -18446744073709551616),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("40", b""),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("60", ""),
    ("6449455446", "IETF"),
    ("63e6b0b4", "水"),
    ("80", []),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
]


@pytest.mark.parametrize(("encoded", "value"), EXAMPLES)
def test_rfc_8949_examples(encoded: str, value: object) -> None:
    assert cbor.decode(bytes.fromhex(encoded)) == value
    assert cbor.encode(value).hex() == encoded


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("1817", Refusal.MALFORMED),  # 23 in two bytes
        ("190017", Refusal.MALFORMED),
        ("5800", Refusal.MALFORMED),  # a longer length than needed
        ("1b00000000ffffffff", Refusal.MALFORMED),
        ("9fff", Refusal.MALFORMED),  # indefinite length
        ("5f4100ff", Refusal.MALFORMED),
        ("a203040102", Refusal.MALFORMED),  # keys out of order
        ("a201020103", Refusal.MALFORMED),  # a key twice
        ("a1410001", Refusal.MALFORMED),  # a byte string as key
        ("c11a514b67b0", Refusal.MALFORMED),  # a tag
        ("f97e00", Refusal.MALFORMED),  # a float
        ("f7", Refusal.MALFORMED),  # undefined
        ("62c328", Refusal.MALFORMED),  # not UTF-8
        ("0000", Refusal.MALFORMED),  # something after the end
        ("", Refusal.TRUNCATED),
        ("19ff", Refusal.TRUNCATED),
        ("43ffff", Refusal.TRUNCATED),
        ("8201", Refusal.TRUNCATED),
        ("5bffffffffffffffff", Refusal.TRUNCATED),
        ("9bffffffffffffffff", Refusal.TRUNCATED),
        ("bbffffffffffffffff", Refusal.TRUNCATED),
        ("81" * 5000 + "00", Refusal.MALFORMED),  # nested too deep
    ],
)
def test_what_is_not_deterministic_is_refused(encoded: str, code: Refusal) -> None:
    with pytest.raises(WireError) as refused:
        cbor.decode(bytes.fromhex(encoded))
    assert refused.value.code is code


@given(values)
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read_back(value: object) -> None:
    assert cbor.decode(cbor.encode(value)) == value
    assert cbor.encode_plainly(value) == cbor.encode(value)


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=500)
def test_what_is_read_means_the_same_to_another_library(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except WireError:
        return
    assert cbor2.loads(data) == value
    assert cbor.encode(value) == data


def test_a_claimed_length_allocates_nothing() -> None:
    tracemalloc.start()
    for head in ("5b", "7b", "9b", "bb"):
        with pytest.raises(WireError):
            cbor.decode(bytes.fromhex(head + "000000ffffffffff"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
