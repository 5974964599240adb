"""Signatures checked by Python's integers alone, against RFC 8032 and against `cryptography`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.wire import bare
from zhengtong.wire.bare_suite import READING, READING_GM
from zhengtong.wire.gm import GM
from zhengtong.wire.intl import INTL
from zhengtong.wire.suite import Suite

# RFC 8032 §7.1: public key, message, signature.
EXAMPLES = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
        "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e"
        "458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290"
        "ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), EXAMPLES)
def test_the_examples_of_rfc_8032_hold(public: str, message: str, signature: str) -> None:
    key, text, signed = map(bytes.fromhex, (public, message, signature))
    assert bare.ed25519_holds(key, signed, text)
    assert not bare.ed25519_holds(key, signed, text + b"!")
    for position in range(64):
        changed = bytearray(signed)
        changed[position] ^= 1
        assert not bare.ed25519_holds(key, bytes(changed), text)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
@settings(deadline=None, max_examples=40)
def test_ed25519_is_judged_as_by_the_library(seed: bytes, message: bytes, bit: int) -> None:
    handle, _ = INTL.generate(lambda length: seed)
    public, signature = INTL.public(handle), bytearray(INTL.sign(handle, message))
    assert READING.verify(public, bytes(signature), message)
    signature[bit // 8] ^= 1 << bit % 8
    assert not READING.verify(public, bytes(signature), message)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
@settings(deadline=None, max_examples=60)
def test_what_is_no_key_or_no_signature_is_judged_as_by_the_library(
    public: bytes, signature: bytes
) -> None:
    assert READING.verify(public, signature, b"") == INTL.verify(public, signature, b"")


def test_a_scalar_above_the_order_is_refused() -> None:
    """RFC 8032 §5.1.7: else one signature could be turned into another."""
    order = 2**252 + 27742317777372353535851937790883648493
    public, _, signature = (bytes.fromhex(part) for part in EXAMPLES[0])
    greater = int.from_bytes(signature[32:], "little") + order
    forged = signature[:32] + greater.to_bytes(32, "little")
    assert not bare.ed25519_holds(public, forged, b"")


@pytest.mark.parametrize(
    ("curve", "ours"), [(ec.SECP256R1(), bare.P256), (ec.SECP384R1(), bare.P384)]
)
@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_ecdsa_of_the_library_holds(
    curve: ec.EllipticCurve, ours: bare.Curve, algorithm: hashes.HashAlgorithm
) -> None:
    key = ec.generate_private_key(curve)
    r, s = decode_dss_signature(key.sign(b"text", ec.ECDSA(algorithm)))
    numbers = key.public_key().public_numbers()
    digest = hashlib.new(algorithm.name, b"text").digest()

    def holds(r: int, s: int, digest: bytes, x: int = numbers.x) -> bool:
        return bare.ecdsa_holds(ours, (x, numbers.y), r, s, digest)

    assert holds(r, s, digest)
    assert not holds(r, s, digest[::-1])
    assert not holds(r ^ 1, s, digest)
    assert not holds(r, 0, digest)
    assert not holds(r + ours.n, s, digest)
    assert not holds(r, s, digest, numbers.x ^ 1)


def test_rsa_of_the_library_holds() -> None:
    key = rsa.generate_private_key(65537, 2048)
    signature = key.sign(b"text", padding.PKCS1v15(), hashes.SHA256())
    modulus = key.public_key().public_numbers().n
    info = bytes.fromhex("3031300d060960864801650304020105000420")

    def holds(signature: bytes, text: bytes = b"text", modulus: int = modulus) -> bool:
        return bare.rsa_holds(modulus, 65537, signature, info + hashlib.sha256(text).digest())

    assert holds(signature)
    assert not holds(signature, b"other")
    assert not holds(signature[:-1] + bytes((signature[-1] ^ 1,)))
    assert not holds(b"\x00" + signature)
    assert not holds(signature, modulus=modulus >> 1024)


def test_sm2_and_sm3_are_judged_as_by_the_libraries() -> None:
    """The libraries themselves are held against the annexes of GB/T 32905 and 32918."""
    assert bare.sm3(b"abc").hex() == (
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    )
    for length in (0, 1, 55, 56, 63, 64, 65, 200):
        assert bare.sm3(bytes(length)) == GM.hash(bytes(length))
    handle, _ = GM.generate(lambda length: bytes(range(length)))
    public, signature = GM.public(handle), GM.sign(handle, b"text")
    assert READING_GM.verify(public, signature, b"text")
    assert not READING_GM.verify(public, signature, b"other")
    for position in range(0, 64, 5):
        changed = bytearray(signature)
        changed[position] ^= 1
        assert not READING_GM.verify(public, bytes(changed), b"text")
    assert not READING_GM.verify(public[:-1] + bytes((public[-1] ^ 1,)), signature, b"text")


@pytest.mark.parametrize(("ours", "theirs"), [(READING, INTL), (READING_GM, GM)])
def test_both_suites_go_by_the_same_numbers(ours: Suite, theirs: Suite) -> None:
    for name in Suite.__annotations__:
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize(
    "act",
    [
        lambda: READING.generate(bytes),
        lambda: READING.sign(None, b""),
        lambda: READING.open(b"", b"", b"", b""),
    ],
)
def test_what_needs_a_secret_is_refused_with_the_remedy(act: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="needs the package `cryptography`"):
        act()
