"""The two kinds of key a node's certificate may hold, and how each signs.

ECDSA over P-256 with SHA-256 (suite intl) and SM2 with SM3 (suite gm, GB/T 32918.2 and the
identifiers of GM/T 0006). Ed25519 is left out: browsers and many proxies refuse such certificates.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from zhengtong.wire import asn1
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.sm2 import signature_from_der, signature_to_der
from zhengtong.wire.suite import Handle, Suite, suite_named

_EC = asn1.write_oid("1.2.840.10045.2.1")


class PrivateKey(Protocol):
    """A certificate's private key. `public` is its SubjectPublicKeyInfo in DER."""

    @property
    def public(self) -> bytes: ...

    def to_pem(self) -> bytes:
        """The key itself: PKCS #8, not encrypted."""

    def sign(self, message: bytes) -> bytes: ...


class Kind(Protocol):
    """A kind of key: the suite it belongs to and the DER that names it."""

    suite: str
    key_algorithm: bytes
    signature_algorithm: bytes

    def generate(self) -> PrivateKey: ...

    def load(self, pem: bytes) -> PrivateKey:
        """The inverse of `PrivateKey.to_pem`. Raises ValueError."""

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Whether the key in a SubjectPublicKeyInfo made this signature."""


@dataclass(frozen=True)
class _P256Key:
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        key = self.key.public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def to_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


class _P256:
    suite = "intl"
    key_algorithm = asn1.sequence(_EC, asn1.write_oid("1.2.840.10045.3.1.7"))
    signature_algorithm = asn1.sequence(asn1.write_oid("1.2.840.10045.4.3.2"))

    def generate(self) -> PrivateKey:
        return _P256Key(ec.generate_private_key(ec.SECP256R1()))

    def load(self, pem: bytes) -> PrivateKey:
        key = load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # its algorithm said so
        return _P256Key(key)

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        try:
            key = load_der_public_key(public)
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class _Sm2Key:
    key: Handle = field(repr=False)

    @property
    def public(self) -> bytes:
        return asn1.sequence(SM2.key_algorithm, asn1.write_bits(_gm().public(self.key)))

    def to_pem(self) -> bytes:
        return _gm().save(self.key, None)

    def sign(self, message: bytes) -> bytes:
        return signature_to_der(_gm().sign(self.key, message))


class _Sm2:
    suite = "gm"
    key_algorithm = asn1.sequence(_EC, asn1.write_oid("1.2.156.10197.1.301"))
    signature_algorithm = asn1.sequence(asn1.write_oid("1.2.156.10197.1.501"))

    def generate(self) -> PrivateKey:
        return _Sm2Key(_gm().generate(os.urandom)[0])

    def load(self, pem: bytes) -> PrivateKey:
        return _Sm2Key(_gm().load(pem, None))

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        try:
            return _gm().verify(bits_of(public), signature_from_der(signature), message)
        except (ValueError, WireError, OverflowError):  # a number of more than 32 bytes
            return False


def _gm() -> Suite:
    """The suite itself, loaded only by who meets such a key."""
    return suite_named("gm")


P256, SM2 = _P256(), _Sm2()
KINDS: tuple[Kind, ...] = (P256, SM2)


def kind_of(suite: str) -> Kind:
    """The kind of key that a suite's certificates hold. Raises WireError (malformed)."""
    for kind in KINDS:
        if kind.suite == suite:
            return kind
    raise WireError(Refusal.MALFORMED, f"unknown suite {suite!r}")


def kind_of_key(key: bytes) -> Kind:
    """The kind of a private (PKCS #8) or public key in DER. Raises WireError (malformed)."""
    parts = asn1.read(key).inside().rest()
    for kind in KINDS:
        if any(part.raw == kind.key_algorithm for part in parts[:2]):
            return kind
    raise WireError(Refusal.MALFORMED, "neither a P-256 nor an SM2 key")


def bits_of(public: bytes) -> bytes:
    """The key itself in a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). Raises WireError."""
    parts = asn1.read(public).inside()
    parts.next().of(asn1.SEQUENCE)
    return parts.next().bits()
