"""The commercial-cryptography suite (商用密码): SM2, SM3, SM4-GCM.

COSE has no numbers for these algorithms, so they take these from its private-use range:

    -66101  SM2 signature  GB/T 32918.2 with SM3 and the signer's id 1234567812345678: r‖s, 64 bytes
    -66102  SM2 key wrap   a wrap key of 16 bytes, encrypted with SM2 (GB/T 32918.4) and carried in
                           the header parameter -66105 as C1‖C3‖C2 with C1 uncompressed; under it
                           the content key in SM4-GCM: nonce 12 bytes, ciphertext, tag 16. The
                           recipient's protected header is the additional data
    -66103  SM4-GCM        GB/T 32907, RFC 8998: key 16, nonce 12, tag 16 bytes
    -66104  SM3            GB/T 32905: 32 bytes
    -66106  SM2 tree       one SM2 signature for many messages: see `tree_signature`
    -66107  SM3 tree       RFC 9162 with SM3, the verifiable data structure of receipts (RFC 9942)

A public key is 04‖x‖y, 65 bytes, on the curve of GB/T 32918.5. In a signed note (C2SP) an SM2
signature has type ff, the one for kinds without a number.

Randomness: secrets, wrap keys and nonces come from `rng`. The one-time numbers inside SM2 are drawn
by the library, which lets nobody choose them: two signatures of one text differ. The libraries are
tried in turn, OpenSSL 3 (`sm2_libcrypto`), then GmSSL (`sm2_gmssl`); one that does not reproduce
the examples of the standard is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from zhengtong.wire import sm2, sm2_pem
from zhengtong.wire.sm2 import Engine, PrivateKey
from zhengtong.wire.suite import Handle, Rng, register

ENGINES = ("zhengtong.wire.sm2_libcrypto", "zhengtong.wire.sm2_gmssl")
_WRAP_KEY = -66105
_KEY, _NONCE, _TAG = 16, 12, 16


@dataclass(frozen=True)
class _Agreed:
    """A wrap key that the other side can read, and where the nonces under it come from."""

    wrap_key: bytes = field(repr=False)
    rng: Rng


class GmSuite:
    name = "gm"
    signature_algorithm = -66101
    wrap_algorithm = -66102
    content_algorithm = -66103
    hash_algorithm = -66104
    tree_signature_algorithm = -66106
    tree_algorithm = -66107
    note_algorithm = 255
    key_length = _KEY
    nonce_length = _NONCE

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # The letters of one batch share a wrap key, so it is decrypted once.
        self._wrap_key = lru_cache(maxsize=64)(self._decrypt)

    def hash(self, data: bytes) -> bytes:
        return _sm3(data)

    def hash_stream(self, blocks: Iterable[bytes]) -> bytes:
        return _sm3_of(blocks)

    def generate(self, rng: Rng) -> tuple[Handle, Handle]:
        return _drawn(rng), _drawn(rng)

    def public(self, handle: Handle) -> bytes:
        public: bytes = handle.public
        return public

    def save(self, handle: Handle, passphrase: bytes | None) -> bytes:
        return sm2_pem.save(handle, passphrase)

    def load(self, pem: bytes, passphrase: bytes | None) -> Handle:
        return sm2_pem.load(pem, passphrase)

    def check_public(self, signing: bytes, agreement: bytes) -> None:
        sm2.check_public(signing)
        sm2.check_public(agreement)

    def sign(self, handle: Handle, message: bytes) -> bytes:
        digest = _sm3(_identity_hash(handle.public), message)
        return sm2.signature_from_der(self.engine.sign(handle, digest))

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        try:
            digest = _sm3(_identity_hash(public), message)
            return self.engine.verify(public, digest, sm2.signature_to_der(signature))
        except ValueError:
            return False

    def agree(self, public: bytes, rng: Rng) -> tuple[dict[int, Any], Handle]:
        sm2.check_public(public)
        agreed = _Agreed(rng(_KEY), rng)
        encrypted = self.engine.encrypt(public, agreed.wrap_key)
        return {_WRAP_KEY: sm2.ciphertext_from_der(encrypted)}, agreed

    def wrap(self, secret: Handle, content_key: bytes, protected: bytes) -> bytes:
        nonce: bytes = secret.rng(_NONCE)
        return nonce + self.seal(secret.wrap_key, nonce, content_key, protected)

    def unwrap(
        self, handle: Handle, header: dict[int, Any], wrapped: bytes, protected: bytes
    ) -> bytes:
        encrypted = header.get(_WRAP_KEY)
        if type(encrypted) is not bytes or len(encrypted) != sm2.OVERHEAD + _KEY:
            raise ValueError("no wrap key")
        key = self._wrap_key(handle, encrypted)
        return self.open(key, wrapped[:_NONCE], wrapped[_NONCE:], protected)

    def _decrypt(self, handle: PrivateKey, encrypted: bytes) -> bytes:
        ciphertext = sm2.ciphertext_to_der(encrypted)
        try:
            return self.engine.decrypt(handle, ciphertext)
        except ValueError:
            raise ValueError("the key is wrapped for somebody else") from None

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:
        encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(bound)
        return b"".join((encryptor.update(plaintext), encryptor.finalize(), encryptor.tag))

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        hidden, tag = ciphertext[:-_TAG], ciphertext[-_TAG:]
        decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(bound)
        try:
            return decryptor.update(hidden) + decryptor.finalize()
        except InvalidTag:
            raise ValueError("the body was altered") from None


def _sm3(*parts: bytes) -> bytes:
    return _sm3_of(parts)


def _sm3_of(parts: Iterable[bytes]) -> bytes:
    hasher = hashes.Hash(hashes.SM3())
    for part in parts:
        hasher.update(part)
    return hasher.finalize()


@lru_cache(maxsize=8192)
def _identity_hash(public: bytes) -> bytes:
    """Z of GB/T 32918.2. Raises ValueError for a public key that is none."""
    return _sm3(sm2.identity(public))


def _drawn(rng: Rng) -> PrivateKey:
    """64 bits more than the order has, so that the remainder favours no number noticeably."""
    return PrivateKey.of(1 + int.from_bytes(rng(40), "big") % (sm2.N - 2))


def answers_right(engine: Engine) -> bool:
    """Does the engine reproduce the examples of GB/T 32918.5, annexes A and C?"""
    key = PrivateKey.of(int("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8", 16))
    signature = bytes.fromhex(
        "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
        "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    )
    wrapped = bytes.fromhex(
        "0404ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"
        "e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
        "59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766"
        "21886ca989ca9c7d58087307ca93092d651efa"
    )
    digest = _sm3(_identity_hash(key.public), b"message digest")
    try:
        return (
            engine.verify(key.public, digest, sm2.signature_to_der(signature))
            and engine.decrypt(key, sm2.ciphertext_to_der(wrapped)) == b"encryption standard"
        )
    except ValueError:
        return False


def choose_engine(modules: Iterable[str] = ENGINES) -> Engine:
    """The first library at hand that answers right. Raises ImportError if none does."""
    for module in modules:
        try:
            engine: Engine = import_module(module).load()
        except ImportError:
            continue
        if answers_right(engine):
            return engine
    raise ImportError("SM2 needs OpenSSL 3 (Debian: libssl3) or the package gmssl-pyx")


GM = register(GmSuite(choose_engine()))
