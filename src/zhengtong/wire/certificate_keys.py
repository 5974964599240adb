"""The two kinds of key a node's certificate may hold, and how each signs.

ECDSA over P-256 with SHA-256 (suite intl) and SM2 with SM3 (suite gm, GB/T 32918.2 and the
identifiers of GM/T 0006). Ed25519 is left out: browsers refuse such certificates, and a node may
put its own before its pages. Keys and signatures draw on their library's own randomness.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import gmssl_pyx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from zhengtong.wire import der
from zhengtong.wire.errors import Refusal, WireError

_EC = der.oid("1.2.840.10045.2.1")


class PrivateKey(Protocol):
    """A certificate's private key. `public` is its SubjectPublicKeyInfo in DER."""

    @property
    def public(self) -> bytes: ...

    def private(self) -> bytes:
        """The key itself: PKCS #8 in DER, not encrypted."""

    def sign(self, message: bytes) -> bytes: ...


class Kind(Protocol):
    """A kind of key: the suite it belongs to and the DER that names it."""

    suite: str
    key_algorithm: bytes
    signature_algorithm: bytes

    def generate(self) -> PrivateKey: ...

    def load(self, private: bytes) -> PrivateKey:
        """The inverse of `PrivateKey.private`. Raises ValueError."""

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Whether the key in a SubjectPublicKeyInfo made this signature."""


@dataclass(frozen=True)
class _P256Key:
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        key = self.key.public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def private(self) -> bytes:
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


class _P256:
    suite = "intl"
    key_algorithm = der.sequence(_EC, der.oid("1.2.840.10045.3.1.7"))
    signature_algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"))

    def generate(self) -> PrivateKey:
        return _P256Key(ec.generate_private_key(ec.SECP256R1()))

    def load(self, private: bytes) -> PrivateKey:
        key = load_der_private_key(private, None)
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
    point: bytes
    number: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        return der.sequence(SM2.key_algorithm, der.bits(b"\x04" + self.point))

    def private(self) -> bytes:
        """PKCS #8 around the ECPrivateKey of RFC 5915, which carries the public point too."""
        point = der.write(0xA1, der.bits(b"\x04" + self.point))
        inner = der.sequence(der.integer(1), der.write(der.OCTETS, self.number), point)
        return der.sequence(der.integer(0), SM2.key_algorithm, der.write(der.OCTETS, inner))

    def sign(self, message: bytes) -> bytes:
        signature: bytes = gmssl_pyx.sm2_sign(
            self.number, self.point, message, gmssl_pyx.SM2_DEFAULT_SIGNER_ID
        )
        return signature


class _Sm2:
    suite = "gm"
    key_algorithm = der.sequence(_EC, der.oid("1.2.156.10197.1.301"))
    signature_algorithm = der.sequence(der.oid("1.2.156.10197.1.501"))

    def generate(self) -> PrivateKey:
        return _Sm2Key(*gmssl_pyx.sm2_key_generate())

    def load(self, private: bytes) -> PrivateKey:
        _, _, octets = der.read(private).parts(der.INTEGER, der.SEQUENCE, der.OCTETS)[:3]
        _, number, *others = der.read(octets.body).parts(der.INTEGER, der.OCTETS)
        (point,) = (part.parts(der.BITS)[0] for part in others if part.tag == 0xA1)
        return _Sm2Key(_point(point.whole_bytes()), number.body)

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool:
        try:
            _, point = der.read(public).parts(der.SEQUENCE, der.BITS)
            valid: bool = gmssl_pyx.sm2_verify(
                _point(point.whole_bytes()), message, signature, gmssl_pyx.SM2_DEFAULT_SIGNER_ID
            )
        except (gmssl_pyx.GmsslInnerError, ValueError):
            return False
        return valid


def _point(encoded: bytes) -> bytes:
    """The two coordinates of an uncompressed point."""
    if len(encoded) != 65 or encoded[0] != 4:
        raise ValueError("not an uncompressed point")
    return encoded[1:]


P256, SM2 = _P256(), _Sm2()
KINDS: tuple[Kind, ...] = (P256, SM2)


def kind_of(suite: str) -> Kind:
    """The kind of key that a suite's certificates hold. Raises WireError (malformed)."""
    for kind in KINDS:
        if kind.suite == suite:
            return kind
    raise WireError(Refusal.MALFORMED, f"unknown suite {suite!r}")


def kind_of_key(key: bytes) -> Kind:
    """The kind of a private (PKCS #8) or public key in DER. Raises ValueError."""
    parts = der.read(key).parts()
    for kind in KINDS:
        if any(part.whole == kind.key_algorithm for part in parts[:2]):
            return kind
    raise ValueError("neither a P-256 nor an SM2 key")
