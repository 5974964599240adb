"""The files of membership beside the node's keys.

tls-key.pem tls.pem     this node's TLS key and certificate
authority.pem       the authorities whose certificates this node trusts
ca-intl.pem ca-gm.pem   this node's own authority, certificate and key, for the nodes below
recovery.card       the public half of this node's recovery key
joining.cbor        a request to join that has not been answered yet
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
from pathlib import Path

from django.conf import settings

from zhengtong.wire.keys import NodeCard

TLS_KEY, TLS_CERTIFICATE, TRUSTED = "tls-key.pem", "tls.pem", "authority.pem"
RECOVERY_CARD, JOINING = "recovery.card", "joining.cbor"
NEXT_TLS_KEY = "tls-key.next"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def read(name: str) -> bytes:
    """The file's content; empty when it is not there."""
    path = settings.NODE.keys / name
    return path.read_bytes() if path.exists() else b""


def write(name: str, data: bytes) -> None:
    """Write durably and whole or not at all, readable by the owner only."""
    folder: Path = settings.NODE.keys
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f"{name}.")
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    Path(temporary).replace(folder / name)


def drop(name: str) -> None:
    (settings.NODE.keys / name).unlink(missing_ok=True)


def own_certificate() -> bytes:
    return read(TLS_CERTIFICATE)


def own_recovery_card() -> NodeCard | None:
    found = read(RECOVERY_CARD)
    return NodeCard.from_cbor(found) if found else None


def der_of(pem: bytes) -> bytes:
    """The first certificate in a PEM text. Raises ValueError."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("no PEM certificate")
    return base64.b64decode(b"".join(found[1].split()), validate=True)
