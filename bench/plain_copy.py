"""The reference of `attachment-1g`: one file, copied from process to process by plain HTTP.

The sender reads and sends a block at a time. The receiver hashes what comes, writes it beside its
place, brings it to the disk, compares the hash with the one the file is known by, and only then
gives the file its name: what an honest copy owes its reader, and nothing more.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from bench.parts import free_ports, wait_for_port

BLOCK = 1 << 20


def copy(source: Path, target: Path, sha256: str) -> float:
    """Seconds from the request until `target` is whole, verified and durable."""
    (port,) = free_ports(1)
    sender = subprocess.Popen([sys.executable, "-m", "bench.plain_copy", str(source), str(port)])
    try:
        wait_for_port(sender, port)
        began = time.monotonic()
        _fetch(port, target, sha256)
        return time.monotonic() - began
    finally:
        sender.terminate()
        sender.wait(10)


def _fetch(port: int, target: Path, sha256: str) -> None:
    line = http.client.HTTPConnection("127.0.0.1", port)
    line.request("GET", "/")
    answer, digest, part = line.getresponse(), hashlib.sha256(), target.with_suffix(".part")
    block = bytearray(BLOCK)
    with part.open("wb", buffering=0) as file:
        while length := answer.readinto(block):
            came = memoryview(block)[:length]
            digest.update(came)
            file.write(came)
        os.fsync(file.fileno())
    if digest.hexdigest() != sha256:
        raise RuntimeError("the copy is not the file")
    part.replace(target)
    line.close()


class _Sender(BaseHTTPRequestHandler):
    source: Path

    def do_GET(self) -> None:
        with self.source.open("rb", buffering=0) as file:
            self.send_response(200)
            self.send_header("Content-Length", str(self.source.stat().st_size))
            self.end_headers()
            block = bytearray(BLOCK)
            while length := file.readinto(block):
                self.wfile.write(memoryview(block)[:length])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    _Sender.source = Path(sys.argv[1])
    HTTPServer(("127.0.0.1", int(sys.argv[2])), _Sender).serve_forever()
