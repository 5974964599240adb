"""Checking signatures with nothing but Python's own integers: Ed25519, ECDSA, RSA, SM2 with SM3.

For the verifier that a person carries to a machine without any library. Only public values pass
through here, so the time it takes may show them. Nothing here can sign.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

# Edwards curve 25519, RFC 8032 §5.1.
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)

Point = tuple[int, int, int, int]
"""Extended coordinates: x = X/Z, y = Y/Z, x·y = T/Z."""


def ed25519_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """RFC 8032 §5.1.7, without the cofactor."""
    key = _decompress(public)
    if key is None or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= _L:
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(hashed, "little") % _L
    x, y, z, t = key
    found = _add(_times(scalar, _BASE), _times(challenge, (-x % _P, y, z, -t % _P)))
    return _compress(found) == signature[:32]


def is_ed25519_point(public: bytes) -> bool:
    return _decompress(public) is not None


def _decompress(encoded: bytes) -> Point | None:
    if len(encoded) != 32:
        return None
    value = int.from_bytes(encoded, "little")
    sign, y = value >> 255, value & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _compress(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


_base = _decompress((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
assert _base is not None
_BASE = _base


@dataclass(frozen=True)
class Curve:
    """y² = x³ - 3x + b over the integers modulo p, with a base point of prime order n."""

    p: int
    b: int
    n: int
    base: tuple[int, int]


P256 = Curve(
    p=0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    n=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    base=(
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
)
P384 = Curve(
    p=2**384 - 2**128 - 2**96 + 2**32 - 1,
    b=0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    n=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    base=(
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    ),
)
"""NIST SP 800-186 §3.2.1."""


def ecdsa_holds(curve: Curve, public: tuple[int, int], r: int, s: int, digest: bytes) -> bool:
    """FIPS 186-5 §6.4.2 for the digest of a message."""
    x, y = public
    on_curve = (
        0 <= x < curve.p and 0 <= y < curve.p and not (y * y - x**3 + 3 * x - curve.b) % curve.p
    )
    if not on_curve or not (0 < r < curve.n and 0 < s < curve.n):
        return False
    excess = max(0, 8 * len(digest) - curve.n.bit_length())
    value = int.from_bytes(digest, "big") >> excess
    inverse = pow(s, -1, curve.n)
    found = _sum(
        curve,
        _multiple(curve, value * inverse % curve.n, curve.base),
        _multiple(curve, r * inverse % curve.n, public),
    )
    return found is not None and found[0] % curve.n == r


def _sum(
    curve: Curve, one: tuple[int, int] | None, other: tuple[int, int] | None
) -> tuple[int, int] | None:
    """None is the point at infinity."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % curve.p == 0:
            return None
        slope = (3 * one[0] ** 2 - 3) * pow(2 * one[1], -1, curve.p)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, curve.p)
    x = (slope * slope - one[0] - other[0]) % curve.p
    return x, (slope * (one[0] - x) - one[1]) % curve.p


def _multiple(curve: Curve, scalar: int, point: tuple[int, int]) -> tuple[int, int] | None:
    result, power = None, point
    for bit in range(scalar.bit_length()):
        if scalar >> bit & 1:
            result = _sum(curve, result, power)
        doubled = _sum(curve, power, power)
        assert doubled is not None  # the order is odd
        power = doubled
    return result


def rsa_holds(modulus: int, exponent: int, signature: bytes, digest_info: bytes) -> bool:
    """RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2); `digest_info` is the DER of algorithm and digest."""
    size = (modulus.bit_length() + 7) // 8
    padding = size - 3 - len(digest_info)
    if not (2048 <= modulus.bit_length() <= 8192 and 3 <= exponent < 1 << 32 and padding >= 8):
        return False
    if len(signature) != size or int.from_bytes(signature, "big") >= modulus:
        return False
    found = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    return found == b"\x00\x01" + b"\xff" * padding + b"\x00" + digest_info


SM2 = Curve(
    p=0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF,
    b=0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93,
    n=0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123,
    base=(
        0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
        0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
    ),
)
"""GB/T 32918.5."""
_SM2_ID = b"1234567812345678"


def sm2_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """GB/T 32918.2 §7 with SM3; the key is 04‖x‖y, the signature r‖s."""
    point = sm2_point(public)
    if point is None or len(signature) != 64:
        return False
    about = (SM2.p - 3, SM2.b, *SM2.base, *point)
    identity = (8 * len(_SM2_ID)).to_bytes(2, "big") + _SM2_ID
    hashed = sm3(sm3(identity + b"".join(n.to_bytes(32, "big") for n in about)) + message)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    both = (r + s) % SM2.n
    if not (0 < r < SM2.n and 0 < s < SM2.n and both):
        return False
    found = _sum(SM2, _multiple(SM2, s, SM2.base), _multiple(SM2, both, point))
    return found is not None and (int.from_bytes(hashed, "big") + found[0]) % SM2.n == r


def sm2_point(public: bytes) -> tuple[int, int] | None:
    """The point of a public key; None if these bytes are none."""
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    if len(public) != 65 or public[0] != 4 or not (x < SM2.p and y < SM2.p):
        return None
    return (x, y) if (y * y - x**3 + 3 * x - SM2.b) % SM2.p == 0 else None


def sm3(data: bytes) -> bytes:
    """GB/T 32905."""
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + (8 * len(data)).to_bytes(8, "big")
    state: tuple[int, ...] = _SM3_START
    for at in range(0, len(padded), 64):
        state = _sm3_block(state, padded[at : at + 64])
    return b"".join(word.to_bytes(4, "big") for word in state)


_SM3_START = (
    *(0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600),
    *(0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E),
)


def _turn(word: int, by: int) -> int:
    return (word << by % 32 | word >> (32 - by % 32)) & 0xFFFFFFFF


def _sm3_block(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    words = [int.from_bytes(block[at : at + 4], "big") for at in range(0, 64, 4)]
    for j in range(16, 68):
        mixed = words[j - 16] ^ words[j - 9] ^ _turn(words[j - 3], 15)
        mixed ^= _turn(mixed, 15) ^ _turn(mixed, 23)
        words.append(mixed ^ _turn(words[j - 13], 7) ^ words[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        first = j < 16
        shifted = _turn(0x79CC4519 if first else 0x7A879D8A, j)
        one = _turn((_turn(a, 12) + e + shifted) & 0xFFFFFFFF, 7)
        two = one ^ _turn(a, 12)
        left = a ^ b ^ c if first else a & b | a & c | b & c
        right = e ^ f ^ g if first else e & f | ~e & g
        left = (left + d + two + (words[j] ^ words[j + 4])) & 0xFFFFFFFF
        right = (right + h + one + words[j]) & 0xFFFFFFFF
        right ^= _turn(right, 9) ^ _turn(right, 17)
        a, b, c, d, e, f, g, h = left, a, _turn(b, 9), c, right, e, _turn(f, 19), g
    return tuple(old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True))
