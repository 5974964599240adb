"""What a node shows when it speaks TLS with another, and whom it believes.

Files under `keys/`: the key, the node's certificate, the certificates of the authorities it trusts,
and, if there are any, their lists of certificates taken back. They are looked at before every use,
so a renewed certificate is shown from the next connection on, and nothing need be restarted.

TLS itself accepts any certificate and proves that the other end holds its key; whose it is, `judge`
says, before anything else is exchanged.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from OpenSSL import SSL

from zhengtong.wire.certificate_faults import BadCertificate, Fault
from zhengtong.wire.certificate_keys import SM2, kind_of_key
from zhengtong.wire.certificate_parts import to_pem
from zhengtong.wire.certificates import expires_at, load_key, node_of
from zhengtong.wire.errors import WireError

log = logging.getLogger(__name__)

KEY, CERTIFICATE, AUTHORITY = "tls-key.pem", "tls.pem", "authority.pem"
REVOKED = "revoked.pem"
WARN_BEFORE = timedelta(days=30)
SM_CIPHERS = b"TLS_SM4_GCM_SM3"
CIPHERS = (
    b"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_SM4_GCM_SM3"
)


class NoCredentials(Exception):
    """The files under keys/ are missing or do not belong together; the text says which."""


@dataclass(frozen=True, slots=True)
class _Files:
    """What was read together: our side of a connection, and by what to judge the other."""

    stamp: tuple[object, ...]
    context: SSL.Context
    certificate: bytes
    authorities: bytes
    revoked: bytes


class Credentials:
    """The TLS files of one node. `now` is the clock by which certificates are judged."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._folder, self._now = folder, now
        self._lock = threading.Lock()
        self._files: _Files | None = None
        self.shown: dict[str, datetime] = {}
        """Until when the certificate is good that a node has last shown this process."""

    def context(self) -> SSL.Context:
        """The context for a new connection, of either end. Raises NoCredentials."""
        return self._current().context

    def judge(self, certificate: bytes | None) -> str:
        """The node whose certificate (DER) the other end has shown. Raises BadCertificate."""
        if certificate is None:
            raise BadCertificate(Fault.MISSING)
        shown = to_pem(certificate)
        node = self._node_of(shown)
        self.shown[node] = expires_at(shown)
        return node

    def problems(self, node: str) -> Iterator[str]:
        """What is wrong with our own side, or soon will be, and what to do about it."""
        try:
            own = self._current().certificate
            found = self._node_of(own)
        except NoCredentials as error:
            yield f"{error}. Put the files of this node's certificate in place."
        except WireError as error:
            yield f"this node's certificate: {error.en}"
        else:
            left = expires_at(own) - self._now()
            if found != node:
                yield f"{self._folder / CERTIFICATE} is the certificate of {found}, not of {node}."
            if left < WARN_BEFORE:
                yield (
                    f"this node's certificate ends in {left.days} days. Have a new one issued and "
                    f"put it in {self._folder}; the node need not be restarted."
                )

    def _node_of(self, certificate: bytes) -> str:
        files = self._current()
        return node_of(certificate, files.authorities, self._now(), files.revoked)

    def _current(self) -> _Files:
        """The files as they are now.

        While a renewal is half done, with the new key beside the old certificate, those read
        before go on serving.
        """
        with self._lock:
            try:
                stamp = _stamp(self._folder)
                if self._files is None or stamp != self._files.stamp:
                    self._files = _read(self._folder, stamp)
            except (OSError, SSL.Error, WireError, ValueError) as error:
                if self._files is None:
                    raise NoCredentials(f"{self._folder}: no usable TLS files: {error}") from error
                log.warning("TLS files are being renewed or are damaged: %s", error)
            return self._files


def install(folder: Path, *, key: bytes, certificate: bytes, authorities: bytes) -> None:
    """Put the three files (PEM) in place, each at once; a running node uses them from now on."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, pem in ((AUTHORITY, authorities), (KEY, key), (CERTIFICATE, certificate)):
        temporary = folder / f".{name}.new"
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(pem)
            os.fsync(handle)
        temporary.replace(folder / name)


def _stamp(folder: Path) -> tuple[object, ...]:
    """Changes whenever a file is written or replaced. Raises OSError when one is missing."""
    found = [(folder / name).stat() for name in (KEY, CERTIFICATE, AUTHORITY)]
    if (folder / REVOKED).exists():
        found.append((folder / REVOKED).stat())
    return tuple((one.st_mtime_ns, one.st_ino) for one in found)


def _read(folder: Path, stamp: tuple[object, ...]) -> _Files:
    """Raises OSError, SSL.Error, WireError, ValueError."""
    key, certificate = folder / KEY, folder / CERTIFICATE
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.use_privatekey_file(str(key))
    context.use_certificate_chain_file(str(certificate))
    context.check_privatekey()
    national = kind_of_key(load_key(key.read_bytes()).public) is SM2
    context.set_tls13_ciphersuites(SM_CIPHERS if national else CIPHERS)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)  # `judge` decides
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # every connection shows its certificate
    context.set_options(SSL.OP_NO_TICKET)
    revoked = (folder / REVOKED).read_bytes() if (folder / REVOKED).exists() else b""
    return _Files(
        stamp, context, certificate.read_bytes(), (folder / AUTHORITY).read_bytes(), revoked
    )
