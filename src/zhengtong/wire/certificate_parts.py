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

from zhengtong.wire import der
from zhengtong.wire.certificate_keys import PrivateKey, kind_of_key
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
    return hashlib.sha256(der.read(public).parts(der.SEQUENCE, der.BITS)[1].whole_bytes()).digest()[
        :20
    ]


def extension(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    return der.sequence(
        der.oid(value.oid.dotted_string),
        *([der.write(1, b"\xff")] if critical else []),
        der.write(der.OCTETS, value.public_bytes()),
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
    return der.sequence(
        der.write(0xA0, der.integer(2)),
        der.integer(x509.random_serial_number()),
        kind_of_key(key.public).signature_algorithm,
        issuer.public_bytes(),
        der.sequence(*map(moment, dates)),
        subject.public_bytes(),
        public,
        der.write(0xA3, der.sequence(*extensions)),
    )


def moment(at: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5)."""
    utc = at.astimezone(UTC)
    text = f"{utc:%Y%m%d%H%M%SZ}"
    return der.write(23, text[2:].encode()) if utc.year < 2050 else der.write(24, text.encode())


def signed(body: bytes, key: PrivateKey, label: str) -> bytes:
    """What was to be signed, with the algorithm and the signature, in PEM."""
    algorithm = kind_of_key(key.public).signature_algorithm
    return to_pem(der.sequence(body, algorithm, der.bits(key.sign(body))), label)
