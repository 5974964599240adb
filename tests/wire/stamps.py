"""A time-stamping authority whose stamps are the same bytes on every run, for vectors.

OpenSSL's responder, which the other tests ask, draws keys and times of its own. Here the key is
Ed25519 from a fixed seed (RFC 8410, RFC 8419).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zhengtong.wire import asn1
from zhengtong.wire.asn1 import (
    OCTETS,
    SEQUENCE,
    SET,
    TIME,
    explicit,
    write,
    write_integer,
    write_oid,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(100, 132)))
_SHA256 = write(SEQUENCE, write_oid("2.16.840.1.101.3.4.2.1"))
_SHA512 = write(SEQUENCE, write_oid("2.16.840.1.101.3.4.2.3"))
_ED25519 = write(SEQUENCE, write_oid("1.3.101.112"))
_STAMP = write_oid("1.2.840.113549.1.9.16.1.4")


def _certificate() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "测试时间戳机构")])
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .add_extension(purposes, critical=True)
        .sign(KEY, None)
    )


CERTIFICATE = _certificate()
CERTIFICATE_DER = CERTIFICATE.public_bytes(Encoding.DER)


def token(message: bytes, at: datetime, serial: int = 1) -> bytes:
    """A TimeStampToken (RFC 3161 §2.4.2) over the SHA-256 of a message."""
    imprint = write(SEQUENCE, _SHA256, write(OCTETS, hashlib.sha256(message).digest()))
    moment = write(TIME, at.strftime("%Y%m%d%H%M%SZ").encode())
    policy = write_oid("1.2.3.4.1")
    content = write(
        SEQUENCE, write_integer(1), policy, imprint, write_integer(serial), moment, write_integer(5)
    )
    named = write(OCTETS, hashlib.sha256(CERTIFICATE_DER).digest())
    attributes = b"".join(
        sorted(
            (
                _attribute("1.2.840.113549.1.9.3", _STAMP),
                _attribute("1.2.840.113549.1.9.4", write(OCTETS, hashlib.sha512(content).digest())),
                _attribute(
                    "1.2.840.113549.1.9.16.2.47",
                    write(SEQUENCE, write(SEQUENCE, write(SEQUENCE, named))),
                ),
            )
        )
    )
    signer = write(
        SEQUENCE,
        write_integer(1),
        write(SEQUENCE, CERTIFICATE.issuer.public_bytes(), write_integer(7)),
        _SHA512,
        write(explicit(0), attributes),
        _ED25519,
        write(OCTETS, KEY.sign(write(SET, attributes))),
    )
    signed = write(
        SEQUENCE,
        write_integer(3),
        write(SET, _SHA512),
        write(SEQUENCE, _STAMP, write(explicit(0), write(OCTETS, content))),
        write(explicit(0), CERTIFICATE_DER),
        write(SET, signer),
    )
    return write(SEQUENCE, write_oid("1.2.840.113549.1.7.2"), write(explicit(0), signed))


def _attribute(oid: str, value: bytes) -> bytes:
    return write(asn1.SEQUENCE, write_oid(oid), write(asn1.SET, value))
