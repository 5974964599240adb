"""Lines a test can cut: a TCP forwarder, and an HTTP one that repeats, delays and loses."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Line:
    """Forwards connections on `port` to another port of this machine, until it is cut."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._serve()

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), reuse_port=True)

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target), 5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                with self._lock:
                    self._ends |= {near, far}
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(65536):
                sink.sendall(block)
        self._end(source, sink)

    def _end(self, *ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            with self._lock:
                self._ends.discard(end)

    def cut(self) -> None:
        """Break every connection; new ones are refused."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends = list(self._ends)
        self._end(*ends)

    def heal(self) -> None:
        self._listener = self._listen(self.port)
        self._serve()


class RestlessLine:
    """Forwards HTTP; while `restless`, a post may be repeated, come late again, or lose its answer.

    `seed` decides what happens to which post.
    """

    def __init__(self, target: int, seed: int) -> None:
        self.target, self.restless = target, False
        self.source, self.last = random.Random(seed), b""
        owner = self

        class Handler(_Handler):
            line = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    line: RestlessLine
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fate = self.line.source.choice("once once twice late lost".split())
        late, self.line.last = self.line.last, body
        if self.line.restless and fate == "late" and late:
            self._ask("POST", late)
        answer = self._ask("POST", body)
        if self.line.restless and fate == "twice":
            self._ask("POST", body)
        if answer is None or (self.line.restless and fate == "lost"):
            self.close_connection = True
            return
        status, kind, data = answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        """The doorbell: pass on what comes for as long as it comes."""
        self.close_connection = True
        with suppress(OSError, HTTPException):
            connection = HTTPConnection("127.0.0.1", self.line.target, timeout=60)
            connection.request("GET", self.path, headers=self._headers())
            answer = connection.getresponse()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type", "text/plain"))
            self.send_header("Connection", "close")
            self.end_headers()
            while line := answer.readline():
                self.wfile.write(line)

    def _ask(self, method: str, body: bytes) -> tuple[int, str, bytes] | None:
        try:
            connection = HTTPConnection("127.0.0.1", self.line.target, timeout=60)
            connection.request(method, self.path, body, self._headers())
            answer = connection.getresponse()
            kind = answer.getheader("Content-Type", "")
            return answer.status, kind, answer.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        kept = ("Content-Type", "Authorization")
        return {name: self.headers[name] for name in kept if name in self.headers}

    def log_message(self, *_: Any) -> None:
        """Tests are silent."""
