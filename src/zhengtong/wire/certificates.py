"""Node certificates: an authority issues them, and either end of a TLS connection reads a name.

X.509 v3 (RFC 5280) with a key of the node's suite. A certificate names its node twice: as common
name, for people, and as the URI ``urn:zhengtong:node:NAME``, which is what counts. The authority
stands directly above: there are no intermediate certificates, so one signature is all there is to
verify. It is verified here and not left to TLS, so that both suites are judged by the same rules
and clock and every refusal has its reason.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zhengtong.wire import der
from zhengtong.wire.certificate_faults import BadCertificate, Fault
from zhengtong.wire.certificate_keys import PrivateKey, kind_of, kind_of_key
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import check_node_id

URN = "urn:zhengtong:node:"
CLOCK_ALLOWANCE = timedelta(hours=1)
"""A certificate is valid from this long before it was made: clocks differ."""
MAX_PEM = 64 * 1024

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----")
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
        _extension(x509.BasicConstraints(ca=True, path_length=0), critical=True),
        _extension(_key_usage(signs_certificates=True), critical=True),
        _extension(x509.SubjectKeyIdentifier(_key_id(key.public))),
    ]
    dates = (now - CLOCK_ALLOWANCE, now + timedelta(days=days))
    body = _to_be_signed(subject, key, subject, key.public, dates, extensions)
    return Authority(_signed(body, key, "CERTIFICATE"), to_pem(key.private(), "PRIVATE KEY"))


def create_request(node: str, suite: str) -> tuple[bytes, bytes]:
    """A new key and the request (PKCS #10) for its certificate, both PEM.

    The key never leaves the node; the request is what goes to the authority.
    """
    key = kind_of(suite).generate()
    body = der.sequence(
        der.integer(0), _node_name(node).public_bytes(), key.public, der.write(0xA0)
    )
    return to_pem(key.private(), "PRIVATE KEY"), _signed(body, key, "CERTIFICATE REQUEST")


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
        _extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
        _extension(_key_usage(signs_certificates=False), critical=True),
        _extension(x509.ExtendedKeyUsage(_USES)),
        _extension(_alternative_names(node, hosts)),
        _extension(x509.SubjectKeyIdentifier(_key_id(public))),
        _extension(x509.AuthorityKeyIdentifier(_key_id(key.public), None, None)),
    ]
    dates = (now - CLOCK_ALLOWANCE, min(now + timedelta(days=days), above.not_valid_after_utc))
    body = _to_be_signed(above.subject, key, _node_name(node), public, dates, extensions)
    return _signed(body, key, "CERTIFICATE")


def node_of(certificate: bytes, authority_certificate: bytes, now: datetime) -> str:
    """The node that this certificate (PEM) names, once everything about it holds.

    `authority_certificate` may hold several authorities, one after the other. Raises
    BadCertificate, a WireError, whose `fault` says what is wrong.
    """
    found = _load(certificate)
    authority = _authority_above(found, authority_certificate)
    for what, subject in (("", found), ("authority, ", authority)):
        if now < subject.not_valid_before_utc:
            raise BadCertificate(Fault.NOT_YET_VALID, what + _day(subject.not_valid_before_utc))
        if now > subject.not_valid_after_utc:
            raise BadCertificate(Fault.EXPIRED, what + _day(subject.not_valid_after_utc))
    return _name_in(found)


def expires_at(certificate: bytes) -> datetime:
    """The last moment (UTC) at which the certificate (PEM) is good. Raises BadCertificate."""
    return _load(certificate).not_valid_after_utc


def to_pem(data: bytes, label: str = "CERTIFICATE") -> bytes:
    """DER in PEM: a certificate as TLS hands it over, unless `label` says something else."""
    lines = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def load_key(pem: bytes) -> PrivateKey:
    """The private key in PEM (PKCS #8, unencrypted). Raises WireError (malformed)."""
    try:
        (body,) = _blocks(pem, "PRIVATE KEY")
        return kind_of_key(body).load(body)
    except (ValueError, TypeError):
        raise WireError(Refusal.MALFORMED, "not the private key of a node certificate") from None


def _authority_above(found: x509.Certificate, authorities: bytes) -> x509.Certificate:
    """The one of our authorities whose key signed the certificate. Raises BadCertificate."""
    try:
        body, algorithm, signature = der.read(found.public_bytes(Encoding.DER)).parts()
        for authority in x509.load_pem_x509_certificates(authorities[:MAX_PEM]):
            public = _public_key(authority)
            kind = kind_of_key(public)
            if (
                authority.subject == found.issuer
                and _may_sign(authority)
                and algorithm.whole == body.parts()[2].whole == kind.signature_algorithm
                and kind.verify(public, signature.whole_bytes(), body.whole)
            ):
                return authority
    except ValueError:
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
    return der.read(certificate.tbs_certificate_bytes).parts()[6].whole


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
        (data,) = _blocks(csr_pem, "CERTIFICATE REQUEST")
        body, _, signature = der.read(data).parts(der.SEQUENCE, der.SEQUENCE, der.BITS)
        _, subject, public = body.parts(der.INTEGER, der.SEQUENCE, der.SEQUENCE)[:3]
        valid = kind_of_key(public.whole).verify(public.whole, signature.whole_bytes(), body.whole)
    except ValueError:
        raise WireError(Refusal.MALFORMED, "not a certificate request") from None
    if not valid:
        raise WireError(Refusal.BAD_SIGNATURE, "the request was not signed with its own key")
    if subject.whole != _node_name(node).public_bytes():
        raise WireError(Refusal.MALFORMED, f"the request is not for node {node}")
    return public.whole


def _load(certificate: bytes) -> x509.Certificate:
    if len(certificate) > MAX_PEM:
        raise BadCertificate(Fault.UNREADABLE)
    try:
        return x509.load_pem_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion):
        raise BadCertificate(Fault.UNREADABLE) from None


def _blocks(pem: bytes, label: str) -> list[bytes]:
    """The DER of every PEM block with this label. Raises ValueError."""
    return [
        base64.b64decode(b"".join(body.split()), validate=True)
        for found, body in _PEM.findall(pem[:MAX_PEM])
        if found == label.encode()
    ]


def _node_name(node: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, check_node_id(node))])


def _alternative_names(node: str, hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(URN + node)]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_id(public: bytes) -> bytes:
    """RFC 7093 §2 method 1: the leftmost 160 bits of the SHA-256 of the key."""
    return hashlib.sha256(der.read(public).parts(der.SEQUENCE, der.BITS)[1].whole_bytes()).digest()[
        :20
    ]


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    return der.sequence(
        der.oid(value.oid.dotted_string),
        *([der.write(1, b"\xff")] if critical else []),
        der.write(der.OCTETS, value.public_bytes()),
    )


def _to_be_signed(
    issuer: x509.Name,
    key: PrivateKey,
    subject: x509.Name,
    public: bytes,
    dates: tuple[datetime, datetime],
    extensions: Sequence[bytes],
) -> bytes:
    """TBSCertificate (RFC 5280 §4.1) with a random serial number of 159 bits."""
    return der.sequence(
        der.write(0xA0, der.integer(2)),
        der.integer(x509.random_serial_number()),
        kind_of_key(key.public).signature_algorithm,
        issuer.public_bytes(),
        der.sequence(*map(_time, dates)),
        subject.public_bytes(),
        public,
        der.write(0xA3, der.sequence(*extensions)),
    )


def _time(moment: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5)."""
    utc = moment.astimezone(UTC)
    text = f"{utc:%Y%m%d%H%M%SZ}"
    return der.write(23, text[2:].encode()) if utc.year < 2050 else der.write(24, text.encode())


def _signed(body: bytes, key: PrivateKey, label: str) -> bytes:
    """What was to be signed, with the algorithm and the signature, in PEM."""
    algorithm = kind_of_key(key.public).signature_algorithm
    return to_pem(der.sequence(body, algorithm, der.bits(key.sign(body))), label)
