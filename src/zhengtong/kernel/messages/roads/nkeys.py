"""NATS nkeys: Ed25519 keys in the text form that nats-server reads.

A leaf server proves itself to the server above with such a key: the secret never crosses the line
and only the public half is handed over. Form: base32 of prefix, key and CRC-16/XMODEM, as in
NATS ADR-14.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_SEED, _USER = 18 << 3, 20 << 3
_PUBLIC = re.compile("U[A-Z2-7]{55}")


def make_seed(rng: Callable[[int], bytes]) -> str:
    """A new secret, beginning with SU; `rng(n)` gives n random octets."""
    return _encode(bytes([_SEED | _USER >> 5, (_USER & 0x1F) << 3]) + rng(32))


def public_of(seed: str) -> str:
    """The public key of a seed, 56 signs beginning with U. Raises ValueError for another text."""
    raw = _decode(seed)
    if len(raw) != 34 or raw[:2] != bytes([_SEED | _USER >> 5, (_USER & 0x1F) << 3]):
        raise ValueError("not a user's nkey seed")
    key = Ed25519PrivateKey.from_private_bytes(raw[2:]).public_key()
    return _encode(bytes([_USER]) + key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def is_public(text: str) -> bool:
    """Whether this is the public key of a user, its checksum included."""
    if not _PUBLIC.fullmatch(text):
        return False
    try:
        return _decode(text)[:1] == bytes([_USER])
    except ValueError:
        return False


def _encode(raw: bytes) -> str:
    checked = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        checked = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error as error:
        raise ValueError("not base32") from error
    raw, check = checked[:-2], checked[-2:]
    if binascii.crc_hqx(raw, 0).to_bytes(2, "little") != check:
        raise ValueError("the checksum is wrong")
    return raw
