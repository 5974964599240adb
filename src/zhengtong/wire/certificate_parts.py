"""The parts of which certificates, requests and revocation lists are written (RFC 5280).

Written here because the usual library signs with every key but SM2. Names and the contents of
extensions are that library's.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from zhengtong.wire import asn1
from zhengtong.wire.certificate_keys import PrivateKey, bits_of, kind_of_key
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import check_node_id

URN = "urn:zhengtong:node:"
MAX_PEM = 64 * 1024

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----")


def to_pem(data: bytes, label: str = "CERTIFICATE") -> bytes:
    """DER in PEM: a certificate as TLS hands it over, unless `label` says something else."""
    lines = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def blocks(pem: bytes, label: str) -> list[bytes]:
    """The DER of every PEM block with this label. Raises ValueError."""
    return [
        base64.b64decode(b"".join(body.split()), validate=True)
        for found, body in _PEM.findall(pem[:MAX_PEM])
        if found == label.encode()
    ]


def node_name(node: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, check_node_id(node))])


def alternative_names(node: str, hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(URN + node)]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(_host_name(host))
    return x509.SubjectAlternativeName(names)


def _host_name(host: str) -> x509.DNSName:
    try:
        return x509.DNSName(host)
    except ValueError:
        raise WireError(Refusal.MALFORMED, f"not a host name: {host[:80]!r}") from None


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
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


def key_id(public: bytes) -> bytes:
    """RFC 7093 §2 method 1: the leftmost 160 bits of the SHA-256 of the key."""
    return hashlib.sha256(bits_of(public)).digest()[:20]


def extension(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    return asn1.sequence(
        asn1.write_oid(value.oid.dotted_string),
        *([asn1.write(asn1.BOOLEAN, b"\xff")] if critical else []),
        asn1.write(asn1.OCTETS, value.public_bytes()),
    )


def to_be_signed(
    issuer: x509.Name,
    key: PrivateKey,
    subject: x509.Name,
    public: bytes,
    dates: tuple[datetime, datetime],
    extensions: Sequence[bytes],
) -> bytes:
    """TBSCertificate (RFC 5280 §4.1) with a random serial number of 159 bits."""
    return asn1.sequence(
        asn1.write(asn1.explicit(0), asn1.write_integer(2)),
        asn1.write_integer(x509.random_serial_number()),
        kind_of_key(key.public).signature_algorithm,
        issuer.public_bytes(),
        asn1.sequence(*map(moment, dates)),
        subject.public_bytes(),
        public,
        asn1.write(asn1.explicit(3), asn1.sequence(*extensions)),
    )


def moment(at: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5)."""
    utc = at.astimezone(UTC)
    text = f"{utc:%Y%m%d%H%M%SZ}"
    return (
        asn1.write(asn1.UTC_TIME, text[2:].encode())
        if utc.year < 2050
        else asn1.write(asn1.TIME, text.encode())
    )


def signed(body: bytes, key: PrivateKey, label: str) -> bytes:
    """What was to be signed, with the algorithm and the signature, in PEM."""
    algorithm = kind_of_key(key.public).signature_algorithm
    return to_pem(asn1.sequence(body, algorithm, asn1.write_bits(key.sign(body))), label)
