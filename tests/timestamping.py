"""A time-stamping authority for tests: OpenSSL's own responder, asked directly or over HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_SETTINGS = """
[req]
distinguished_name = name
prompt = no
[name]
CN = 测试时间戳机构
[root]
basicConstraints = critical, CA:TRUE
[stamping]
extendedKeyUsage = critical, timeStamping
[other]
extendedKeyUsage = serverAuth
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_digest = {digest}
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = {ess}
"""
_KEYS = {
    "rsa": ["rsa:2048"],
    "p256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
}


class Authority:
    """Root and stamping certificate in a folder; `reply` answers one request."""

    def __init__(
        self,
        folder: Path,
        *,
        key: str = "p256",
        digest: str = "sha256",
        ess: str = "sha256",
        purpose: str = "stamping",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        settings = _SETTINGS.format(folder=folder, digest=digest, ess=ess)
        (folder / "settings").write_text(settings, encoding="utf-8")
        (folder / "serial").write_text("01\n")
        new = ("req", "-config", "settings", "-utf8", "-nodes", "-newkey")
        self._openssl(
            *(*new, *_KEYS["p256"], "-keyout", "root.key", "-x509", "-days", "3650"),
            *("-out", "root.pem", "-extensions", "root", "-subj", "/CN=Root"),
        )
        self._openssl(*new, *_KEYS[key], "-keyout", "tsa.key", "-out", "tsa.csr")
        self._openssl(
            *("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key"),
            *("-CAcreateserial", "-out", "tsa.pem", "-days", "3000"),
            *("-extfile", "settings", "-extensions", purpose),
        )

    @property
    def root(self) -> bytes:
        """The root certificate, PEM."""
        return (self.folder / "root.pem").read_bytes()

    def reply(self, request: bytes, *, chain: bool = False) -> bytes:
        """A TimeStampResp."""
        (self.folder / "query").write_bytes(request)
        self._openssl(
            *("ts", "-reply", "-config", "settings", "-queryfile", "query", "-signer", "tsa.pem"),
            *("-inkey", "tsa.key", "-out", "answer"),
            *(("-chain", "root.pem") if chain else ()),
        )
        return (self.folder / "answer").read_bytes()

    def confirms(self, token: bytes, message: bytes) -> bool:
        """OpenSSL's own judgement of a token."""
        (self.folder / "token").write_bytes(token)
        (self.folder / "message").write_bytes(message)
        command = ["openssl", "ts", "-verify", "-token_in", "-in", "token", "-data", "message"]
        command += ["-CAfile", "root.pem", "-untrusted", "tsa.pem"]
        return not subprocess.run(command, cwd=self.folder, capture_output=True).returncode

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, check=True, timeout=60
        )


class Responder:
    """The authority behind HTTP (RFC 3161 §3.4) on this machine. `broken` lets it fail."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.asked = 0
        self.broken = False
        self.url = ""
        self._free = threading.Event()
        self._free.set()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Answers come only when the block ends."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def wait(self) -> None:
        self._free.wait(15)


@contextmanager
def responding(authority: Authority) -> Iterator[Responder]:
    responder = Responder(authority)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            responder.asked += 1
            responder.wait()
            if responder.broken or self.headers["Content-Type"] != "application/timestamp-query":
                self.send_error(503)
                return
            answer = authority.reply(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *values: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        responder.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield responder
        server.shutdown()
        thread.join()
