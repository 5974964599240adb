"""The port for other nodes on a loop of its own, and nodes' certificates to dial it with."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import uvloop

from tests.federation.city import free_port
from zhengtong.faces.server.exchange_port import ExchangePort
from zhengtong.faces.server.rsgi import Application
from zhengtong.faces.server.streams import Request, Stream
from zhengtong.kernel.messages.credentials import AUTHORITY, CERTIFICATE, KEY, Credentials, install
from zhengtong.wire.certificates import Authority, create_authority, create_request, issue

NOW = datetime.now(UTC)
UPLOAD_LIMIT = 3_000_000


def site(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    """Says what it was told; or answers with as many bytes as are asked for."""
    size = environ["QUERY_STRING"]
    if size:
        start("200 OK", [("Content-Type", "application/cbor")])
        return [b"x" * int(size)]
    body = environ["wsgi.input"].read()
    told = {key: value for key, value in environ.items() if isinstance(value, str)}
    told["body"] = hashlib.sha256(body).hexdigest()
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


async def stream(request: Request) -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        yield request.node.encode() + b"\n"
        yield b"mail\n"
        if request.query == "open":
            await asyncio.sleep(60)

    return Stream(chunks())


def certify(
    folder: Path, authority: Authority, node: str, suite: str = "intl", at: datetime = NOW
) -> Path:
    """A folder with the TLS files of a node, certified at some time for a year."""
    key, request = create_request(node, suite)
    certificate = issue(authority, request, node, ["127.0.0.1"], at)
    install(folder, key=key, certificate=certificate, authorities=authority.certificate)
    return folder


class Served:
    """The port on a loop of its own, and what a client needs to dial it."""

    def __init__(self, folder: Path, suite: str = "intl") -> None:
        self.suite = suite
        self.authority = create_authority("henan", suite, NOW)
        self.child = certify(folder / "child", self.authority, "fugou", suite)
        self.folder = certify(folder / "own", self.authority, "zhoukou", suite)
        own = Credentials(self.folder, lambda: NOW)
        self.number = free_port()
        self.application = Application(
            None, site, {"/exchange/stream": stream}, upload_limit=UPLOAD_LIMIT
        )
        self.port = ExchangePort(
            self.application, "127.0.0.1", self.number, own.context, own.judge, {"/exchange/join"}
        )
        self.loop = uvloop.new_event_loop()
        self.loop.create_task(self.port.serve())
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    async def _end(self) -> None:
        """As a web process stops: streams first, then the port; what runs comes to its end."""
        self.application.stop()
        self.port.stop()
        this = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not this]
        await asyncio.gather(*others, return_exceptions=True)

    def tls(self, folder: Path | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.child / AUTHORITY))
        if folder:
            context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
        return context

    def connect(self, folder: Path | None = None, *, named: bool = True) -> HTTPSConnection:
        context = self.tls((folder or self.child) if named else None)
        return HTTPSConnection("127.0.0.1", self.number, timeout=20, context=context)

    def raw(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.number), 20)
        return self.tls(self.child).wrap_socket(plain, server_hostname="127.0.0.1")
