"""Node certificates: an authority issues them, and either end of a TLS connection reads a name.

X.509 v3 (RFC 5280) with a key of the node's suite. A certificate names its node twice: as common
name, for people, and as the URI ``urn:zhengtong:node:NAME``, which is what counts. The authority
stands directly above: there are no intermediate certificates, so one signature is all there is to
verify. It is verified here and not left to TLS, so that both suites are judged by the same rules
and clock and every refusal has its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zhengtong.wire import asn1
from zhengtong.wire.certificate_faults import BadCertificate, Fault
from zhengtong.wire.certificate_keys import PrivateKey, kind_of, kind_of_key
from zhengtong.wire.certificate_parts import (
    MAX_PEM,
    URN,
    alternative_names,
    blocks,
    extension,
    key_id,
    key_usage,
    moment,
    node_name,
    signed,
    to_be_signed,
    to_pem,
)
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import check_node_id

CLOCK_ALLOWANCE = timedelta(hours=1)
"""A certificate is valid from this long before it was made: clocks differ."""

_UNDERSTOOD = {
    x509.BasicConstraints.oid,
    x509.KeyUsage.oid,
    x509.ExtendedKeyUsage.oid,
    x509.SubjectAlternativeName.oid,
}
_UNREADABLE_EXTENSIONS = (
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Authority:
    """A node CA: its self-signed certificate and its key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def create_authority(name: str, suite: str, now: datetime, days: int = 3650) -> Authority:
    """A new authority for certificates of one suite ("intl" or "gm")."""
    key = kind_of(suite).generate()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Zhengtong node authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    extensions = [
        extension(x509.BasicConstraints(ca=True, path_length=0), critical=True),
        extension(key_usage(signs_certificates=True), critical=True),
        extension(x509.SubjectKeyIdentifier(key_id(key.public))),
    ]
    dates = (now - CLOCK_ALLOWANCE, now + timedelta(days=days))
    body = to_be_signed(subject, key, subject, key.public, dates, extensions)
    return Authority(signed(body, key, "CERTIFICATE"), key.to_pem())


def create_request(node: str, suite: str) -> tuple[bytes, bytes]:
    """A new key and the request (PKCS #10) for its certificate, both PEM.

    The key never leaves the node; the request is what goes to the authority.
    """
    key = kind_of(suite).generate()
    body = asn1.sequence(
        asn1.write_integer(0),
        node_name(node).public_bytes(),
        key.public,
        asn1.write(asn1.explicit(0)),
    )
    return key.to_pem(), signed(body, key, "CERTIFICATE REQUEST")


def issue(
    authority: Authority,
    csr_pem: bytes,
    node: str,
    hosts: Sequence[str],
    now: datetime,
    days: int = 365,
) -> bytes:
    """The certificate (PEM) for a request of this very node, good for client and server alike.

    `hosts` are the names and IP addresses under which others dial it. The certificate ends with
    the authority's own at the latest. Raises WireError: malformed, or bad_signature when the
    request was not made with the key it names.
    """
    public = _read_request(csr_pem, node)
    above = _load(authority.certificate)
    key = load_key(authority.key)
    if kind_of_key(public) is not kind_of_key(key.public):
        raise WireError(Refusal.MALFORMED, "the request's key is of another suite than ours")
    extensions = [
        extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
        extension(key_usage(signs_certificates=False), critical=True),
        extension(x509.ExtendedKeyUsage(_USES)),
        extension(alternative_names(node, hosts)),
        extension(x509.SubjectKeyIdentifier(key_id(public))),
        extension(x509.AuthorityKeyIdentifier(key_id(key.public), None, None)),
    ]
    dates = (now - CLOCK_ALLOWANCE, min(now + timedelta(days=days), above.not_valid_after_utc))
    body = to_be_signed(above.subject, key, node_name(node), public, dates, extensions)
    return signed(body, key, "CERTIFICATE")


def revoke(
    authority: Authority, certificates: Sequence[bytes], number: int, now: datetime, days: int = 30
) -> bytes:
    """The list (PEM, RFC 5280 §5) of all certificates this authority takes back.

    `number` grows with every list; `days` is when the next one is promised.
    """
    key = load_key(authority.key)
    kind = kind_of_key(key.public)
    taken_back = [
        asn1.sequence(asn1.write_integer(_load(item).serial_number), moment(now))
        for item in certificates
    ]
    body = asn1.sequence(
        asn1.write_integer(1),
        kind.signature_algorithm,
        _load(authority.certificate).subject.public_bytes(),
        moment(now),
        moment(now + timedelta(days=days)),
        *([asn1.sequence(*taken_back)] if taken_back else []),
        asn1.write(
            asn1.explicit(0),
            asn1.sequence(
                extension(x509.AuthorityKeyIdentifier(key_id(key.public), None, None)),
                extension(x509.CRLNumber(number)),
            ),
        ),
    )
    return signed(body, key, "X509 CRL")


def node_of(
    certificate: bytes, authority_certificate: bytes, now: datetime, revoked: bytes = b""
) -> str:
    """The node that this certificate (PEM) names, once everything about it holds.

    `authority_certificate` may hold several authorities, one after the other, and `revoked` their
    lists. A list counts even when its next one is overdue: a node that was cut off for a while
    must not stand alone for it. Raises BadCertificate, whose `fault` says what is wrong.
    """
    found = _load(certificate)
    authority = _authority_above(found, authority_certificate)
    for what, subject in (("", found), ("authority, ", authority)):
        if now < subject.not_valid_before_utc:
            raise BadCertificate(Fault.NOT_YET_VALID, what + _day(subject.not_valid_before_utc))
        if now > subject.not_valid_after_utc:
            raise BadCertificate(Fault.EXPIRED, what + _day(subject.not_valid_after_utc))
    if found.serial_number in _taken_back(authority, revoked):
        raise BadCertificate(Fault.REVOKED, f"{found.serial_number:x}")
    return _name_in(found)


def expires_at(certificate: bytes) -> datetime:
    """The last moment (UTC) at which the certificate (PEM) is good. Raises BadCertificate."""
    return _load(certificate).not_valid_after_utc


def load_key(pem: bytes) -> PrivateKey:
    """The private key in PEM (PKCS #8, unencrypted). Raises WireError (malformed)."""
    try:
        (body,) = blocks(pem, "PRIVATE KEY")
        return kind_of_key(body).load(to_pem(body, "PRIVATE KEY"))
    except (ValueError, TypeError, WireError):
        raise WireError(Refusal.MALFORMED, "not the private key of a node certificate") from None


def _taken_back(authority: x509.Certificate, lists: bytes) -> set[int]:
    """The serial numbers on the lists that this authority has signed. Raises BadCertificate."""
    public, numbers = _public_key(authority), set()
    try:
        for data in blocks(lists, "X509 CRL"):
            found = x509.load_der_x509_crl(data)
            body, _, signature = asn1.signed_parts(data)
            if found.issuer == authority.subject and kind_of_key(public).verify(
                public, signature, body.raw
            ):
                numbers |= {item.serial_number for item in found}
    except (ValueError, WireError, x509.InvalidVersion):
        raise BadCertificate(Fault.UNREADABLE, "revoked.pem") from None
    return numbers


def _authority_above(found: x509.Certificate, authorities: bytes) -> x509.Certificate:
    """The one of our authorities whose key signed the certificate. Raises BadCertificate."""
    try:
        body, algorithm, signature = asn1.signed_parts(found.public_bytes(Encoding.DER))
        for authority in x509.load_pem_x509_certificates(authorities[:MAX_PEM]):
            public = _public_key(authority)
            kind = kind_of_key(public)
            if (
                authority.subject == found.issuer
                and _may_sign(authority)
                and algorithm.raw == body.inside().rest()[2].raw == kind.signature_algorithm
                and kind.verify(public, signature, body.raw)
            ):
                return authority
    except (ValueError, WireError):
        raise BadCertificate(Fault.UNREADABLE) from None
    raise BadCertificate(Fault.UNKNOWN_AUTHORITY, found.issuer.rfc4514_string()[:80])


def _may_sign(authority: x509.Certificate) -> bool:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    except _UNREADABLE_EXTENSIONS:
        return False
    return constraints.ca and usage.key_cert_sign


def _public_key(certificate: x509.Certificate) -> bytes:
    """SubjectPublicKeyInfo: `cryptography` itself does not read SM2 keys."""
    return asn1.read(certificate.tbs_certificate_bytes).inside().rest()[6].raw


def _name_in(found: x509.Certificate) -> str:
    """The node a certificate is for: exactly one, for both ends of a connection."""
    try:
        extensions = found.extensions
        uses = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        urns = names.get_values_for_type(x509.UniformResourceIdentifier)
        (node,) = (urn.removeprefix(URN) for urn in urns if urn.startswith(URN))
        check_node_id(node)
    except (*_UNREADABLE_EXTENSIONS, ValueError, WireError):
        raise BadCertificate(Fault.NOT_A_NODE) from None
    unread = {item.oid for item in extensions if item.critical} - _UNDERSTOOD
    if constraints.ca or unread or not set(_USES) <= set(uses):
        raise BadCertificate(Fault.NOT_A_NODE)
    return node


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _read_request(csr_pem: bytes, node: str) -> bytes:
    """The public key in a request that is this node's and was signed with that very key."""
    try:
        (data,) = blocks(csr_pem, "CERTIFICATE REQUEST")
        body, _, signature = asn1.signed_parts(data)
        parts = body.inside()
        parts.next()  # version
        subject, public = parts.next(), parts.next()
        valid = kind_of_key(public.raw).verify(public.raw, signature, body.raw)
    except (ValueError, WireError):
        raise WireError(Refusal.MALFORMED, "not a certificate request") from None
    if not valid:
        raise WireError(Refusal.BAD_SIGNATURE, "the request was not signed with its own key")
    if subject.raw != node_name(node).public_bytes():
        raise WireError(Refusal.MALFORMED, f"the request is not for node {node}")
    return public.raw


def _load(certificate: bytes) -> x509.Certificate:
    if len(certificate) > MAX_PEM:
        raise BadCertificate(Fault.UNREADABLE)
    try:
        return x509.load_pem_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion):
        raise BadCertificate(Fault.UNREADABLE) from None
