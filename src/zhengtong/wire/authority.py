"""The certificates of time-stamping authorities (X.509, RFC 5280): whose key, until when, by whom.

Only what a time stamp needs: RSA with PKCS #1 v1.5 padding, ECDSA on P-256 and P-384, and Ed25519;
a chain of issuers up to a certificate that the judge trusts. No revocation lists: the file is
judged offline.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from zhengtong.wire import asn1, bare
from zhengtong.wire.errors import Refusal, WireError

HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
"""Hash algorithms by their object identifier (RFC 5754). SHA-1 signs nothing here."""
_RSA, _EC, _ED25519 = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.3.101.112"
_SIGNATURES = {
    _ED25519: (_ED25519, "sha512"),
    "1.2.840.113549.1.1.11": (_RSA, "sha256"),
    "1.2.840.113549.1.1.12": (_RSA, "sha384"),
    "1.2.840.113549.1.1.13": (_RSA, "sha512"),
    "1.2.840.10045.4.3.2": (_EC, "sha256"),
    "1.2.840.10045.4.3.3": (_EC, "sha384"),
    "1.2.840.10045.4.3.4": (_EC, "sha512"),
}
_CURVES = {"1.2.840.10045.3.1.7": bare.P256, "1.3.132.0.34": bare.P384}
_COMMON_NAME, _ORGANISATION = "2.5.4.3", "2.5.4.10"
_CONSTRAINTS, _PURPOSES = "2.5.29.19", "2.5.29.37"
_TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
_LONGEST_CHAIN = 5
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Certificate:
    """What an X.509 certificate says; `signed` and `signature` are for its issuer's key."""

    raw: bytes
    serial: int
    issuer: bytes
    subject: bytes
    name: str
    not_before: datetime
    not_after: datetime
    key: asn1.Item
    is_authority: bool
    stamps_only: bool
    """It may sign time stamps and nothing else (RFC 3161 §2.3)."""
    signed: bytes
    algorithm: str
    signature: bytes

    def valid_at(self, at: datetime) -> bool:
        return self.not_before <= at <= self.not_after

    def issued(self, other: Certificate) -> bool:
        """Whether this certificate's key signed the other."""
        return (
            self.is_authority
            and self.subject == other.issuer
            and holds(self.key, other.algorithm, "", other.signature, other.signed)
        )


def read(data: bytes) -> Certificate:
    """Read a certificate without trusting it. Raises WireError."""
    whole = asn1.read(data).inside()
    body, algorithm, signature = whole.next(), whole.next(), whole.next()
    parts = body.inside()
    parts.optional(asn1.explicit(0))  # version
    serial, _, issuer = parts.next().integer(), parts.next(), parts.next()
    times = parts.next().inside()
    subject, key = parts.next(), parts.next()
    extensions = dict[str, tuple[bool, bytes]]()
    for part in parts.rest():
        if part.tag == asn1.explicit(3):
            extensions = _extensions(asn1.read(part.content))
    return Certificate(
        raw=data,
        serial=serial,
        issuer=issuer.raw,
        subject=subject.raw,
        name=_name(subject),
        not_before=times.next().moment(),
        not_after=times.next().moment(),
        key=key,
        is_authority=_is_authority(extensions),
        stamps_only=_stamps_only(extensions),
        signed=body.raw,
        algorithm=algorithm.inside().next().oid(),
        signature=signature.bits(),
    )


def read_pem(text: bytes) -> list[Certificate]:
    """The certificates in a PEM file (RFC 7468). Raises WireError."""
    try:
        found = [base64.b64decode(block) for block in _PEM.findall(text)]
    except ValueError:
        raise WireError(Refusal.MALFORMED, "PEM: not base64") from None
    return [read(block) for block in found]


def anchored(
    leaf: Certificate, others: Sequence[Certificate], trusted: Sequence[Certificate], at: datetime
) -> bool:
    """Does a chain of certificates valid at that time lead from this one to a trusted one?"""
    current = leaf
    for _ in range(_LONGEST_CHAIN):
        if not current.valid_at(at):
            return False
        if any(known.raw == current.raw for known in trusted):
            return True
        above = [
            found
            for found in (*trusted, *others)
            if found.raw != current.raw and found.issued(current)
        ]
        if not above:
            return False
        current = above[0]
    return False


def holds(key: asn1.Item, algorithm: str, hash_name: str, signature: bytes, message: bytes) -> bool:
    """Is this the key's signature? `hash_name` serves algorithms that do not name their own.

    Raises WireError for an algorithm that is not known here.
    """
    kind, named = _SIGNATURES.get(algorithm, (algorithm, hash_name))
    parts = key.inside()
    about, bits = parts.next().inside(), parts.next().bits()
    owner, parameter = about.next().oid(), about.rest()
    if kind != owner or named not in HASHES.values():
        raise WireError(Refusal.MALFORMED, f"signature algorithm {algorithm} is not known here")
    digest = hashlib.new(named, message).digest()
    if kind == _RSA:
        numbers = asn1.read(bits).inside()
        modulus, exponent = numbers.next().integer(), numbers.next().integer()
        return bare.rsa_holds(modulus, exponent, signature, _digest_info(named, digest))
    if kind == _EC:
        curve = _CURVES.get(parameter[0].oid()) if parameter else None
        if curve is None or bits[:1] != b"\x04":
            raise WireError(Refusal.MALFORMED, "an elliptic curve that is not known here")
        half = len(bits) // 2
        point = int.from_bytes(bits[1 : half + 1], "big"), int.from_bytes(bits[half + 1 :], "big")
        pair = asn1.read(signature).inside()
        return bare.ecdsa_holds(curve, point, pair.next().integer(), pair.next().integer(), digest)
    return bare.ed25519_holds(bits, signature, message)


def _digest_info(name: str, digest: bytes) -> bytes:
    oid = next(dotted for dotted, known in HASHES.items() if known == name)
    algorithm = asn1.write(asn1.SEQUENCE, asn1.write_oid(oid), asn1.write(asn1.NULL))
    return asn1.write(asn1.SEQUENCE, algorithm, asn1.write(asn1.OCTETS, digest))


def _name(subject: asn1.Item) -> str:
    """The common name, else the organisation, for people to read."""
    found = dict[str, str]()
    for group in subject.inside().rest():
        for pair in group.inside(asn1.SET).rest():
            parts = pair.inside()
            oid, value = parts.next().oid(), parts.next().content
            found[oid] = value.decode("utf-8", "replace")
    return found.get(_COMMON_NAME) or found.get(_ORGANISATION) or "?"


def _extensions(extensions: asn1.Item) -> dict[str, tuple[bool, bytes]]:
    found = dict[str, tuple[bool, bytes]]()
    for extension in extensions.inside().rest():
        parts = extension.inside()
        oid, critical = parts.next().oid(), parts.optional(asn1.BOOLEAN)
        flag = critical is not None and critical.content != b"\x00"
        found[oid] = flag, parts.next().of(asn1.OCTETS)
    return found


def _is_authority(extensions: dict[str, tuple[bool, bytes]]) -> bool:
    if _CONSTRAINTS not in extensions:
        return False
    flag = asn1.read(extensions[_CONSTRAINTS][1]).inside().optional(asn1.BOOLEAN)
    return flag is not None and flag.content == b"\xff"


def _stamps_only(extensions: dict[str, tuple[bool, bytes]]) -> bool:
    critical, value = extensions.get(_PURPOSES, (False, b""))
    if not critical:
        return False
    return [item.oid() for item in asn1.read(value).inside().rest()] == [_TIME_STAMPING]
