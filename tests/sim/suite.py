"""A suite cheap enough for millions of letters, whose signatures still bind.

A signature is a keyed hash, and only this module knows which secret belongs to which public key,
so whoever lacks a node's handle cannot sign for it, and what was altered no longer verifies.
For simulations only: no node can ever choose it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from zhengtong.wire.suite import Handle, Rng, register

_TAG = 16


class HashSuite:
    name = "sim"
    signature_algorithm = -65701
    wrap_algorithm = -65702
    content_algorithm = -65703
    hash_algorithm = -65704
    tree_signature_algorithm = -65705
    tree_algorithm = -65706
    note_algorithm = 254
    key_length = 16
    nonce_length = 8

    def __init__(self) -> None:
        self._secrets: dict[bytes, bytes] = {}

    def hash_stream(self, blocks: Iterable[bytes]) -> bytes:
        return self.hash(b"".join(blocks))

    def hash(self, data: bytes) -> bytes:
        return blake2b(data, digest_size=32).digest()

    def generate(self, rng: Rng) -> tuple[Handle, Handle]:
        return rng(32), rng(32)

    def public(self, handle: Handle) -> bytes:
        public = self.hash(b"public" + handle)
        self._secrets[public] = handle
        return public

    def save(self, handle: Handle, passphrase: bytes | None) -> bytes:
        raise NotImplementedError("keys of a simulation are not kept")

    def load(self, pem: bytes, passphrase: bytes | None) -> Handle:
        raise NotImplementedError("keys of a simulation are not kept")

    def check_public(self, signing: bytes, agreement: bytes) -> None:
        return None

    def sign(self, handle: Handle, message: bytes) -> bytes:
        return blake2b(message, key=handle, digest_size=_TAG).digest()

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        secret = self._secrets.get(public)
        return secret is not None and self.sign(secret, message) == signature

    def agree(self, public: bytes, rng: Rng) -> tuple[dict[int, Any], Handle]:
        return {}, self._secrets[public]

    def wrap(self, secret: Handle, content_key: bytes, protected: bytes) -> bytes:
        return content_key + self.sign(secret, content_key + protected)

    def unwrap(
        self, handle: Handle, header: dict[int, Any], wrapped: bytes, protected: bytes
    ) -> bytes:
        content_key = wrapped[:-_TAG]
        if self.wrap(handle, content_key, protected) != wrapped:
            raise ValueError("the key is wrapped for somebody else")
        return content_key

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:
        return plaintext + self.sign(key, nonce + bound + plaintext)

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        plaintext = ciphertext[:-_TAG]
        if self.seal(key, nonce, plaintext, bound) != ciphertext:
            raise ValueError("the body was altered")
        return plaintext


SIM = register(HashSuite())
