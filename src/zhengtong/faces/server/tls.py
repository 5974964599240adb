"""One TLS connection as its listening end sees it, without I/O: bytes in, bytes out."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

Error = SSL.Error
"""The handshake failed or the stream was tampered with."""


class Session:
    """The accepting end. Feed it what arrives; send what `outgoing` gives."""

    def __init__(self, context: SSL.Context) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self.established = False
        self.ended = False

    def receive(self, data: bytes) -> bytes:
        """What `data` says, decrypted; empty during the handshake. Raises Error."""
        if data:
            self._tls.bio_write(data)
        said = []
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            while True:
                said.append(self._tls.recv(1 << 16))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.ended = True
        return b"".join(said)

    def send(self, data: bytes) -> None:
        """Encrypt; the result is in `outgoing`."""
        self._tls.sendall(data)

    def close(self) -> None:
        """Say that nothing more will come, so that a cut is told from an end."""
        self._tls.shutdown()

    def outgoing(self) -> bytes:
        """What must be sent now; handshake, data and alerts alike."""
        ready = []
        try:
            while True:
                ready.append(self._tls.bio_read(1 << 18))
        except SSL.WantReadError:
            return b"".join(ready)

    def certificate(self) -> bytes | None:
        """The certificate (DER) of which the other end has proved to hold the key, if any."""
        shown = self._tls.get_peer_certificate(as_cryptography=True)
        return shown.public_bytes(Encoding.DER) if shown else None
