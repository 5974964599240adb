"""The node authority: certificates for the nodes below, and for ourselves when nobody is above."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings

from zhengtong.kernel.membership import keeping
from zhengtong.wire.certificates import (
    Authority,
    create_authority,
    create_request,
    expires_at,
    issue,
)

__all__ = ["authority", "certify", "certify_ourselves", "expires_at", "trust", "trusted"]

LIFE_DAYS = 365


def authority(suite: str, now: datetime) -> Authority:
    """This node's authority for a suite, made when first asked for."""
    name = f"ca-{suite}.pem"
    found = keeping.read(name)
    if found:
        certificate, _, key = found.partition(b"-----BEGIN PRIVATE KEY-----")
        return Authority(certificate, b"-----BEGIN PRIVATE KEY-----" + key)
    made = create_authority(settings.NODE.name, suite, now)
    keeping.write(name, made.certificate + made.key)
    _trust(made.certificate)
    return made


def certify(csr: bytes, node: str, url: str, suite: str, now: datetime) -> bytes:
    """The certificate for a node's request. Raises WireError."""
    host = urlsplit(url).hostname
    return issue(authority(suite, now), csr, node, [host] if host else [], now, LIFE_DAYS)


def certify_ourselves(suite: str, now: datetime) -> None:
    """A node with nobody above certifies itself, so that those below can know it."""
    if settings.NODE.parent is None and not keeping.own_certificate():
        key, csr = create_request(settings.NODE.name, suite)
        certificate = certify(csr, settings.NODE.name, settings.NODE.url, suite, now)
        keeping.write(keeping.TLS_KEY, key)
        keeping.write(keeping.TLS_CERTIFICATE, certificate)


def trusted() -> bytes:
    """The authorities that those below must trust to know us, one after the other (PEM)."""
    return keeping.read(keeping.TRUSTED)


def trust(certificates: bytes) -> None:
    """Trust further authorities, each once."""
    for part in certificates.split(b"-----END CERTIFICATE-----"):
        if b"-----BEGIN CERTIFICATE-----" in part:
            _trust(part.lstrip() + b"-----END CERTIFICATE-----\n")


def _trust(certificate: bytes) -> None:
    known = trusted()
    if certificate.strip() not in known:
        keeping.write(keeping.TRUSTED, known + certificate)
