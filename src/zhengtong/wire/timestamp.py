"""Time stamps (RFC 3161) on checkpoints: an authority's word that a log had a root at a time.

What is stamped is the text of a checkpoint, so one stamp dates every entry that the log held then.
Requests and answers are bytes; who carries them is somebody else's business. A token is judged
offline and without any library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from zhengtong.wire import asn1, authority
from zhengtong.wire.authority import HASHES, Certificate
from zhengtong.wire.errors import Refusal, WireError

MAX_TOKEN = 64 * 1024
_SHA256 = "2.16.840.1.101.3.4.2.1"
_SIGNED_DATA, _STAMP = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE, _DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_CERTIFICATE, _CERTIFICATE_2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
_GRANTED = (0, 1)


@dataclass(frozen=True)
class Stamp:
    """A token whose signature holds: what it stamps existed before `at`, says `authority`.

    `anchored`: the authority's certificate leads to one that the judge trusts.
    """

    at: datetime
    authority: str
    serial: int
    nonce: int | None
    anchored: bool


def request(message: bytes, nonce: int) -> bytes:
    """A TimeStampReq for the SHA-256 of a message (§2.4.1); asks for the certificate too."""
    return asn1.write(
        asn1.SEQUENCE,
        asn1.write_integer(1),
        _imprint(message),
        asn1.write_integer(nonce),
        asn1.write(asn1.BOOLEAN, b"\xff"),
    )


def token_in(response: bytes, message: bytes, nonce: int) -> tuple[bytes, Stamp]:
    """The token in a TimeStampResp (§2.4.2), and what it says.

    Raises WireError: the authority refused, or the token is not about this very request.
    """
    parts = asn1.read(response).inside()
    status, token = parts.next().inside(), parts.rest()
    code = status.next().integer()
    if code not in _GRANTED or not token:
        raise WireError(Refusal.UNSIGNED, f"the authority refused, status {code}")
    stamp = verify(token[0].raw, message)
    if stamp.nonce != nonce:
        raise WireError(Refusal.REPLAYED, "the stamp answers another request")
    return token[0].raw, stamp


def verify(token: bytes, message: bytes, trusted: Sequence[Certificate] = ()) -> Stamp:
    """Check a token over a message, offline. Raises WireError."""
    if len(token) > MAX_TOKEN:
        raise WireError(Refusal.OVERSIZED, f"time stamp of {len(token)} bytes")
    outer = asn1.read(token).inside()
    if outer.next().oid() != _SIGNED_DATA:
        raise _malformed("no signed data")
    signed = asn1.read(outer.next().of(asn1.explicit(0))).inside()
    signed.next(), signed.next()  # version, digest algorithms
    held = signed.next().inside()
    if held.next().oid() != _STAMP:
        raise _malformed("no time stamp")
    content = asn1.read(held.next().of(asn1.explicit(0))).of(asn1.OCTETS)
    enclosed = signed.optional(asn1.explicit(0))
    certificates = (
        [authority.read(item.raw) for item in asn1.items(enclosed.content)] if enclosed else []
    )
    signed.optional(asn1.explicit(1))  # revocation lists
    (signer,) = _exactly_one(signed.next().inside(asn1.SET).rest())
    certificate = _check_signer(signer, content, [*certificates, *trusted])
    return _read_content(content, message, certificate, certificates, trusted)


def _read_content(
    content: bytes,
    message: bytes,
    certificate: Certificate,
    others: Sequence[Certificate],
    trusted: Sequence[Certificate],
) -> Stamp:
    """TSTInfo (§2.4.2): is it about this message?"""
    info = asn1.read(content).inside()
    info.next(), info.next()  # version, policy
    imprint = info.next().inside()
    algorithm, digest = imprint.next().inside().next().oid(), imprint.next().of(asn1.OCTETS)
    if algorithm not in HASHES or hashlib.new(HASHES[algorithm], message).digest() != digest:
        raise WireError(Refusal.BAD_SIGNATURE, "the time stamp is for something else")
    serial, at = info.next().integer(), info.next().moment()
    info.optional(asn1.SEQUENCE), info.optional(asn1.BOOLEAN)  # accuracy, ordering
    nonce = info.optional(asn1.INTEGER)
    if not certificate.stamps_only or not certificate.valid_at(at):
        raise WireError(Refusal.BAD_SIGNATURE, f"{certificate.name} may not stamp at that time")
    return Stamp(
        at=at,
        authority=certificate.name,
        serial=serial,
        nonce=nonce.integer() if nonce else None,
        anchored=authority.anchored(certificate, others, trusted, at),
    )


def _check_signer(
    signer: asn1.Item, content: bytes, certificates: Sequence[Certificate]
) -> Certificate:
    """Who signed the content (RFC 5652 §5.4). Raises WireError unless the signature holds."""
    parts = signer.inside()
    parts.next(), parts.next()  # version, signer's identifier: the signed hash below says more
    hash_name = HASHES.get(parts.next().inside().next().oid())
    attributes = parts.optional(asn1.explicit(0))
    if hash_name is None or attributes is None:
        raise _malformed("no signed attributes, or a hash that is not known here")
    named = _attributes(attributes)
    algorithm, signature = parts.next().inside().next().oid(), parts.next().of(asn1.OCTETS)
    digest = hashlib.new(hash_name, content).digest()
    if named.get(_DIGEST) != asn1.write(asn1.OCTETS, digest):
        raise WireError(Refusal.BAD_SIGNATURE, "the time stamp was altered")
    if named.get(_CONTENT_TYPE) != asn1.write_oid(_STAMP):
        raise _malformed("content type")
    certificate = _named(named, certificates)
    text = asn1.write(asn1.SET, attributes.content)
    if not authority.holds(certificate.key, algorithm, hash_name, signature, text):
        raise WireError(Refusal.BAD_SIGNATURE, f"time stamp of {certificate.name}")
    return certificate


def _attributes(attributes: asn1.Item) -> dict[str, bytes]:
    """The one value of each attribute, encoded."""
    found = dict[str, bytes]()
    for attribute in asn1.items(attributes.content):
        parts = attribute.inside()
        oid = parts.next().oid()
        (value,) = _exactly_one(parts.next().inside(asn1.SET).rest())
        if oid in found:
            raise _malformed("an attribute twice")
        found[oid] = value.raw
    return found


def _named(attributes: dict[str, bytes], certificates: Sequence[Certificate]) -> Certificate:
    """The certificate whose hash the authority signed (RFC 5035, RFC 2634 §5.4)."""
    if _CERTIFICATE_2 in attributes:
        first = asn1.read(attributes[_CERTIFICATE_2]).inside().next().inside().next().inside()
        algorithm = first.optional(asn1.SEQUENCE)
        name = HASHES.get(algorithm.inside().next().oid() if algorithm else _SHA256, "")
    elif _CERTIFICATE in attributes:
        first = asn1.read(attributes[_CERTIFICATE]).inside().next().inside().next().inside()
        name = "sha1"  # the older form knows no other; it names the certificate and signs nothing
    else:
        name = ""
    if not name:
        raise _malformed("the signer's certificate is not named")
    digest = first.next().of(asn1.OCTETS)
    for certificate in certificates:
        if hashlib.new(name, certificate.raw).digest() == digest:
            return certificate
    raise WireError(Refusal.UNKNOWN_SENDER, "the authority's certificate is not enclosed")


def _imprint(message: bytes) -> bytes:
    algorithm = asn1.write(asn1.SEQUENCE, asn1.write_oid(_SHA256), asn1.write(asn1.NULL))
    digest = hashlib.sha256(message).digest()
    return asn1.write(asn1.SEQUENCE, algorithm, asn1.write(asn1.OCTETS, digest))


def _exactly_one(found: list[asn1.Item]) -> list[asn1.Item]:
    if len(found) != 1:
        raise _malformed(f"{len(found)} where one belongs")
    return found


def _malformed(what: str) -> WireError:
    return WireError(Refusal.MALFORMED, f"time stamp: {what}")
