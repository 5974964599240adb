"""SM2 (GB/T 32918): the recommended curve, its keys, and the forms that signatures travel in.

The numbers are those of GB/T 32918.5. What touches a secret number in daily use is left to an
`Engine`, a library made for it; the arithmetic here serves only to make or load a key and to check
that a public one lies on the curve.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

P = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
A = P - 3
B = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
N = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
GX = 0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7
GY = 0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0

SIGNER_ID = b"1234567812345678"
"""The signer's id that GM/T 0009 names when two sides have agreed on no other."""

OVERHEAD = 65 + 32
"""Bytes by which an SM2 ciphertext is longer than its plaintext: a point and a hash."""

Point = tuple[int, int] | None
"""Affine coordinates; None is the point at infinity."""


@dataclass(frozen=True, eq=False)
class PrivateKey:
    """A secret number as 32 bytes, and its public point as 04‖x‖y."""

    secret: bytes = field(repr=False)
    public: bytes

    @classmethod
    def of(cls, secret: int) -> PrivateKey:
        """Raises ValueError outside 1 … n-2, the range of GB/T 32918.1."""
        if not 1 <= secret <= N - 2:
            raise ValueError("an SM2 secret lies between 1 and n-2")
        return cls(secret.to_bytes(32, "big"), _encoded(_multiple(secret, (GX, GY))))


class Engine(Protocol):
    """A library that signs and decrypts. Signatures and ciphertexts are DER (GM/T 0009)."""

    name: str

    def sign(self, key: PrivateKey, digest: bytes) -> bytes: ...

    def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        """Raises ValueError for a public key that is none."""

    def encrypt(self, public: bytes, plaintext: bytes) -> bytes:
        """Raises ValueError for a public key that is none."""

    def decrypt(self, key: PrivateKey, ciphertext: bytes) -> bytes:
        """Raises ValueError."""


def check_public(public: bytes) -> None:
    """Raises ValueError unless this is 04‖x‖y of a point on the curve.

    The curve's order is prime, so such a point has no small subgroup to fear.
    """
    if len(public) != 65 or public[0] != 4:
        raise ValueError("an SM2 public key is 65 bytes, the first of them 04")
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    if x >= P or y >= P or (y * y - (x * x * x + A * x + B)) % P:
        raise ValueError("the SM2 public key is no point of the curve")


def identity(public: bytes) -> bytes:
    """What GB/T 32918.2 §5.5 hashes into Z: the signer's id, the curve, and the public key."""
    check_public(public)
    curve = b"".join(number.to_bytes(32, "big") for number in (A, B, GX, GY))
    return (8 * len(SIGNER_ID)).to_bytes(2, "big") + SIGNER_ID + curve + public[1:]


@asn1.sequence
class _Ciphertext:
    x: int
    y: int
    hash: bytes
    hidden: bytes


def signature_from_der(der: bytes) -> bytes:
    """r‖s, 64 bytes: one form only, where DER would need a rule to be unique."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signature_to_der(signature: bytes) -> bytes:
    """The inverse. Raises ValueError for any other length."""
    if len(signature) != 64:
        raise ValueError("an SM2 signature is 64 bytes")
    r, s = signature[:32], signature[32:]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def ciphertext_from_der(der: bytes) -> bytes:
    """C1‖C3‖C2 (GB/T 32918.4 §6.1): the one-time point, the hash, the hidden text."""
    parts = asn1.decode_der(_Ciphertext, der)
    return _encoded((parts.x, parts.y)) + parts.hash + parts.hidden


def ciphertext_to_der(ciphertext: bytes) -> bytes:
    """The inverse. Raises ValueError if it is too short or its point is not on the curve."""
    if len(ciphertext) <= OVERHEAD:
        raise ValueError("an SM2 ciphertext holds a point, a hash and something hidden")
    point, digest, hidden = ciphertext[:65], ciphertext[65:OVERHEAD], ciphertext[OVERHEAD:]
    check_public(point)
    x, y = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    return asn1.encode_der(_Ciphertext(x=x, y=y, hash=digest, hidden=hidden))


def _encoded(point: Point) -> bytes:
    assert point is not None
    return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def _multiple(factor: int, point: Point) -> Point:
    """Montgomery's ladder: the same two steps for every bit, whatever it is."""
    low: Point = None
    high = point
    for place in reversed(range(N.bit_length())):
        if factor >> place & 1:
            low, high = _sum(low, high), _sum(high, high)
        else:
            low, high = _sum(low, low), _sum(low, high)
    return low


def _sum(left: Point, right: Point) -> Point:
    if left is None or right is None:
        return left or right
    (x1, y1), (x2, y2) = left, right
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    if left == right:
        slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P
