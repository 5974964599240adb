"""The pool of connections to a parent: plain on this machine, mutual TLS everywhere else.

Before a byte of HTTP leaves, the other end has shown a certificate of the node authority in the
name of the very node that was dialled. The address plays no part: it is configuration, and a name
that the authority signed says more.
"""

from __future__ import annotations

import socket
from typing import Any, cast

import urllib3
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.contrib.pyopenssl import WrappedSocket
from urllib3.util import wait_for_read

from zhengtong.kernel.messages.credentials import Credentials, NoCredentials
from zhengtong.wire.certificate_faults import BadCertificate, Fault

REFUSED_HANDSHAKE = "对方没有接受加密连接(TLS 1.3)。请核对双方的节点证书和密码套件"
NO_CREDENTIALS = "本节点没有可用的节点证书。请将 tls-key.pem、tls.pem、authority.pem 放入 keys 目录"


class NotSecured(urllib3.exceptions.HTTPError):
    """No TLS connection came about; the text says why, in Chinese, for the page of links."""


def pool(parent: str, credentials: Credentials) -> urllib3.PoolManager:
    """Connections to this one parent. A request raises urllib3's HTTPError, of which NotSecured."""
    manager = urllib3.PoolManager(maxsize=2, retries=False)
    connection = type(
        "Connection", (_NodeConnection,), {"node": parent, "credentials": credentials}
    )
    pool_class = type("Pool", (_NodePool,), {"ConnectionCls": connection})
    manager.pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": pool_class}
    return manager


class _NodePool(HTTPConnectionPool):
    scheme = "https"


class _NodeConnection(HTTPConnection):
    """An HTTP connection inside a TLS connection to one node."""

    node: str
    credentials: Credentials

    def connect(self) -> None:
        super().connect()
        plain: socket.socket = self.sock
        try:
            tls = SSL.Connection(self.credentials.context(), plain)
            _shake_hands(tls, plain)
            found = self.credentials.judge(_shown(tls))
            if found != self.node:
                raise BadCertificate(Fault.WRONG_NODE, f"{found}, {self.node}")
        except (SSL.Error, OSError, BadCertificate, NoCredentials) as error:
            plain.close()
            raise NotSecured(_words(error)) from error
        self.sock = cast(Any, _Socket(tls, plain))


class _Socket(WrappedSocket):
    def sendall(self, data: bytes) -> None:
        """As it is, but a TLS error is an OSError, which urllib3 knows."""
        try:
            super().sendall(data)
        except SSL.Error as error:
            raise OSError(f"TLS: {error}") from error


def _shake_hands(tls: SSL.Connection, plain: socket.socket) -> None:
    tls.set_connect_state()
    while True:
        try:
            tls.do_handshake()
            return
        except SSL.WantReadError:
            if not wait_for_read(plain, plain.gettimeout()):
                raise TimeoutError("no answer in the TLS handshake") from None


def _shown(tls: SSL.Connection) -> bytes | None:
    certificate = tls.get_peer_certificate(as_cryptography=True)
    return certificate.public_bytes(Encoding.DER) if certificate else None


def _words(error: Exception) -> str:
    if isinstance(error, BadCertificate):
        return f"上级节点:{error.zh}"
    if isinstance(error, NoCredentials):
        return f"{NO_CREDENTIALS}({error})"
    return f"{REFUSED_HANDSHAKE}({_cause(error)})"


def _cause(error: Exception) -> str:
    """OpenSSL's own words, out of the list of triples in which it hands them over."""
    found = error.args[0] if error.args else ""
    return ", ".join(part[2] for part in found) if isinstance(found, list) else str(error)
