"""Both suites on a Python without any library: they read, and can keep no secret.

The one-file verifier falls back on it. What would need a private key or a cipher is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NoReturn

from zhengtong.wire import bare
from zhengtong.wire.suite import Handle, Rng


class ReadingSuite:
    """The part of `intl` (intl.py) that checks what others have signed."""

    name = "intl"
    signature_algorithm = -19
    wrap_algorithm = -31
    content_algorithm = 3
    hash_algorithm = -16
    tree_signature_algorithm = -66001
    tree_algorithm = 1
    note_algorithm = 1
    key_length = 32
    nonce_length = 12

    def hash_stream(self, blocks: Iterable[bytes]) -> bytes:
        return self.hash(b"".join(blocks))

    def hash(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def check_public(self, signing: bytes, agreement: bytes) -> None:
        if not bare.is_ed25519_point(signing) or len(agreement) != 32:
            raise ValueError("no public key")

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        return bare.ed25519_holds(public, signature, message)

    def generate(self, rng: Rng) -> tuple[Handle, Handle]:
        self._refuse()

    def public(self, handle: Handle) -> bytes:
        self._refuse()

    def save(self, handle: Handle, passphrase: bytes | None) -> bytes:
        self._refuse()

    def load(self, pem: bytes, passphrase: bytes | None) -> Handle:
        self._refuse()

    def sign(self, handle: Handle, message: bytes) -> bytes:
        self._refuse()

    def agree(self, public: bytes, rng: Rng) -> tuple[dict[int, Any], Handle]:
        self._refuse()

    def wrap(self, secret: Handle, content_key: bytes, protected: bytes) -> bytes:
        self._refuse()

    def unwrap(
        self, handle: Handle, header: dict[int, Any], wrapped: bytes, protected: bytes
    ) -> bytes:
        self._refuse()

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:
        self._refuse()

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError(
            "this needs the package `cryptography`; without it nodes are only verified"
        )


class ReadingGmSuite(ReadingSuite):
    """The same part of `gm` (gm.py)."""

    name = "gm"
    signature_algorithm = -66101
    wrap_algorithm = -66102
    content_algorithm = -66103
    hash_algorithm = -66104
    tree_signature_algorithm = -66106
    tree_algorithm = -66107
    note_algorithm = 255
    key_length = 16

    def hash(self, data: bytes) -> bytes:
        return bare.sm3(data)

    def check_public(self, signing: bytes, agreement: bytes) -> None:
        if bare.sm2_point(signing) is None or bare.sm2_point(agreement) is None:
            raise ValueError("no public key")

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        return bare.sm2_holds(public, signature, message)


READING = ReadingSuite()
READING_GM = ReadingGmSuite()
