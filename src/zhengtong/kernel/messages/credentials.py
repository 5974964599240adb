"""What a node shows when it speaks TLS with another, and whom it believes.

Three files under `keys/`: the key, the node's certificate, and the certificates of the authorities
it trusts. They are looked at before every connection, so a renewed certificate is used from the
next connection on, and nothing need be restarted. TLS itself accepts any certificate and proves
that the other end holds its key; whose it is, `judge` says, before anything else is exchanged.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from OpenSSL import SSL

from zhengtong.wire.certificate_faults import BadCertificate, Fault
from zhengtong.wire.certificate_keys import SM2, kind_of_key
from zhengtong.wire.certificates import expires_at, load_key, node_of, to_pem
from zhengtong.wire.errors import WireError

log = logging.getLogger(__name__)

KEY, CERTIFICATE, AUTHORITY = "tls-key.pem", "tls.pem", "authority.pem"
SM_CIPHERS = b"TLS_SM4_GCM_SM3"
CIPHERS = (
    b"TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_SM4_GCM_SM3"
)

_Stamp = tuple[tuple[int, int], ...]


class NoCredentials(Exception):
    """The files under keys/ are missing or do not belong together; the text says which."""


class Credentials:
    """The TLS files of one node. `now` is the clock by which certificates are judged."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._paths = tuple(folder / name for name in (KEY, CERTIFICATE, AUTHORITY))
        self._now = now
        self._lock = threading.Lock()
        self._stamp: _Stamp | None = None
        self._context: SSL.Context | None = None
        self._authorities = b""

    def context(self) -> SSL.Context:
        """The context for a new connection, of either end. Raises NoCredentials.

        While a renewal is half done, with the new key beside the old certificate, the files read
        before go on serving.
        """
        with self._lock:
            try:
                stamp = _stamp(self._paths)
                if stamp != self._stamp:
                    self._context, self._authorities = _read(*self._paths)
                    self._stamp = stamp
            except (OSError, SSL.Error, WireError, ValueError) as error:
                if self._context is None:
                    folder = self._paths[0].parent
                    raise NoCredentials(f"{folder}: no usable TLS files: {error}") from error
                log.warning("TLS files are being renewed or damaged: %s", error)
            assert self._context is not None
            return self._context

    def expires_at(self) -> datetime:
        """When this node's own certificate ends. Raises OSError, BadCertificate."""
        return expires_at(self._paths[1].read_bytes())

    def judge(self, certificate: bytes | None) -> str:
        """The node whose certificate (DER) the other end has shown. Raises BadCertificate."""
        if certificate is None:
            raise BadCertificate(Fault.MISSING)
        return node_of(to_pem(certificate), self._authorities, self._now())


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


def _stamp(paths: tuple[Path, ...]) -> _Stamp:
    """Changes whenever a file is written or replaced."""
    return tuple((found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in paths))


def _read(key: Path, certificate: Path, authority: Path) -> tuple[SSL.Context, bytes]:
    """Raises OSError, SSL.Error, WireError."""
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
    return context, authority.read_bytes()
