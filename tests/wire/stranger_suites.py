"""The two suites as the stranger has them (docs/protocol.md §3), importing nothing of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
Point = tuple[int, int] | None


@dataclass(frozen=True)
class Suite:
    """Names and numbers, hash, and a check that raises unless a signature holds."""

    name: str
    signature: int
    tree_signature: int
    hash_number: int
    vds: int
    note: bytes
    cosignature: bytes
    hash: Callable[[bytes], bytes]
    holds: Callable[[bytes, bytes, bytes], None]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def sm3(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % P == 0:
        return None
    rise, run = (other[1] - one[1], other[0] - one[0])
    if one == other:
        rise, run = 3 * one[0] ** 2 - 3, 2 * one[1]
    slope = rise * pow(run, -1, P)
    x = (slope**2 - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(scalar: int, point: Point) -> Point:
    if not scalar:
        return None
    half = times(scalar // 2, point)
    return add(add(half, half), point if scalar & 1 else None)


def sm2(public: bytes, signature: bytes, message: bytes) -> None:
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    if len(public) != 65 or public[0] != 4 or (y * y - x**3 + 3 * x - B) % P:
        raise ValueError("no public key")
    identity = b"1234567812345678"
    known = b"".join(number.to_bytes(32, "big") for number in (P - 3, B, *G, x, y))
    digest = sm3(sm3(b"\x00\x80" + identity + known) + message)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    point = add(times(s, G), times((r + s) % N, (x, y)))
    if not (0 < r < N and 0 < s < N and point):
        raise ValueError("no signature")
    if (int.from_bytes(digest, "big") + point[0]) % N != r:
        raise ValueError("another's signature")


SUITES = {
    "intl": Suite("intl", -19, -66001, -16, 1, b"\x01", b"\x04", sha256, ed25519),
    "gm": Suite("gm", -66101, -66106, -66104, -66107, b"\xff", b"\xff", sm3, sm2),
}
