"""The same wire format with no cryptography: what the exchange would cost bare.

For measuring only. It lives outside the package, so no node can ever choose it: a node must
import and register it first.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from typing import Any

from zhengtong.wire.suite import Handle, Rng, register

_MARK = b"\x00"


class PlainSuite:
    """Every operation hands its input through; the hash is a checksum that tells letters apart."""

    name = "none"
    signature_algorithm = -65537
    wrap_algorithm = -65538
    content_algorithm = -65539
    hash_algorithm = -65540
    tree_signature_algorithm = -65541
    tree_algorithm = -65542
    note_algorithm = 255
    key_length = 0
    nonce_length = 0

    def hash(self, data: bytes) -> bytes:
        checksum = zlib.crc32(data) << 32 | zlib.adler32(data)
        return checksum.to_bytes(8, "big") + len(data).to_bytes(8, "big")

    def hash_stream(self, blocks: Iterable[bytes]) -> bytes:
        return self.hash(b"".join(blocks))

    def generate(self, rng: Rng) -> tuple[Handle, Handle]:
        return rng(32), rng(32)

    def public(self, handle: Handle) -> bytes:
        return bytes(handle)

    def save(self, handle: Handle, passphrase: bytes | None) -> bytes:
        encoded = base64.b64encode(handle)
        return b"-----BEGIN PLAIN KEY-----\n" + encoded + b"\n-----END PLAIN KEY-----\n"

    def load(self, pem: bytes, passphrase: bytes | None) -> Handle:
        return base64.b64decode(pem.splitlines()[1])

    def check_public(self, signing: bytes, agreement: bytes) -> None:
        return None

    def sign(self, handle: Handle, message: bytes) -> bytes:
        return _MARK

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        return signature == _MARK

    def agree(self, public: bytes, rng: Rng) -> tuple[dict[int, Any], Handle]:
        return {}, None

    def wrap(self, secret: Handle, content_key: bytes, protected: bytes) -> bytes:
        return content_key

    def unwrap(
        self, handle: Handle, header: dict[int, Any], wrapped: bytes, protected: bytes
    ) -> bytes:
        return wrapped

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:
        return plaintext

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        return ciphertext


PLAIN = register(PlainSuite())
