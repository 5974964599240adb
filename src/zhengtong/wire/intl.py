"""The international suite: Ed25519, X25519 with ECDH-ES+A256KW, AES-256-GCM, SHA-256.

RFC 9053 §6.3 (ECDH-ES+A256KW, -31), §4.1 (A256GCM, 3); RFC 9864 (Ed25519, -19);
RFC 9054 (SHA-256, -16).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from zhengtong.wire import cbor
from zhengtong.wire.suite import Handle, Rng, register

_A256KW = -5
_EPHEMERAL = -1
_OKP, _X25519 = 1, 4
_NO_PARTY = [None, None, None]
_ANY_SCALAR = bytes(range(32))

_signing_public = lru_cache(maxsize=8192)(Ed25519PublicKey.from_public_bytes)
_agreement_public = lru_cache(maxsize=8192)(X25519PublicKey.from_public_bytes)


class InternationalSuite:
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

    def hash(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def hash_stream(self, blocks: Iterable[bytes]) -> bytes:
        hasher = hashlib.sha256()
        for block in blocks:
            hasher.update(block)
        return hasher.digest()

    def generate(self, rng: Rng) -> tuple[Handle, Handle]:
        return (
            Ed25519PrivateKey.from_private_bytes(rng(32)),
            X25519PrivateKey.from_private_bytes(rng(32)),
        )

    def public(self, handle: Handle) -> bytes:
        raw: bytes = handle.public_key().public_bytes_raw()
        return raw

    def save(self, handle: Handle, passphrase: bytes | None) -> bytes:
        encryption: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption()
        )
        pem: bytes = handle.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
        return pem

    def load(self, pem: bytes, passphrase: bytes | None) -> Handle:
        try:
            key = serialization.load_pem_private_key(pem, passphrase)
        # A passphrase for a bare key, or the reverse; a kind of key this suite does not know.
        except (TypeError, UnsupportedAlgorithm) as problem:
            raise ValueError(str(problem)) from None
        if not isinstance(key, Ed25519PrivateKey | X25519PrivateKey):
            raise ValueError("neither an Ed25519 nor an X25519 key")
        return key

    def check_public(self, signing: bytes, agreement: bytes) -> None:
        _signing_public(signing)
        self.check_agreement(agreement)

    def check_agreement(self, point: bytes) -> None:
        """Raises ValueError for the few points that would make every shared secret zero."""
        anybody = X25519PrivateKey.from_private_bytes(_ANY_SCALAR)
        anybody.exchange(X25519PublicKey.from_public_bytes(point))

    def sign(self, handle: Handle, message: bytes) -> bytes:
        signature: bytes = handle.sign(message)
        return signature

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        try:
            _signing_public(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def agree(self, public: bytes, rng: Rng) -> tuple[dict[int, Any], Handle]:
        ephemeral = X25519PrivateKey.from_private_bytes(rng(32))
        shared = ephemeral.exchange(_agreement_public(public))
        cose_key = {1: _OKP, -1: _X25519, -2: ephemeral.public_key().public_bytes_raw()}
        return {_EPHEMERAL: cose_key}, shared

    def wrap(self, secret: Handle, content_key: bytes, protected: bytes) -> bytes:
        return aes_key_wrap(_derive(secret, protected), content_key)

    def unwrap(
        self, handle: Handle, header: dict[int, Any], wrapped: bytes, protected: bytes
    ) -> bytes:
        sender = header.get(_EPHEMERAL)
        if type(sender) is not dict or (sender.get(1), sender.get(-1)) != (_OKP, _X25519):
            raise ValueError("no X25519 ephemeral key")
        point = sender.get(-2)
        if type(point) is not bytes:
            raise ValueError("no ephemeral public key")
        try:
            return aes_key_unwrap(_derive(self.exchange(handle, point), protected), wrapped)
        except InvalidUnwrap:
            raise ValueError("the key is wrapped for somebody else") from None

    def exchange(self, handle: Handle, point: bytes) -> bytes:
        """The secret shared with the owner of an ephemeral public key. Raises ValueError."""
        return _shared(handle, point)

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:
        return AESGCM(key).encrypt(nonce, plaintext, bound)

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, bound)
        except InvalidTag:
            raise ValueError("the body was altered") from None


@lru_cache(maxsize=64)
def _shared(handle: X25519PrivateKey, point: bytes) -> bytes:
    """The letters of one batch share an ephemeral key, so its exchange is done once."""
    return handle.exchange(X25519PublicKey.from_public_bytes(point))


@lru_cache(maxsize=16)
def _kdf_info(protected: bytes) -> bytes:
    """COSE_KDF_Context (RFC 9053 §5.2) for a 256-bit key-wrap key."""
    return cbor.encode([_A256KW, _NO_PARTY, _NO_PARTY, [256, protected]])


def _derive(shared: bytes, protected: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869) without salt, one block."""
    extracted = hmac.digest(bytes(32), shared, "sha256")
    return hmac.digest(extracted, _kdf_info(protected) + b"\x01", "sha256")


INTL = register(InternationalSuite())
