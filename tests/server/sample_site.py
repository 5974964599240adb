"""A small site run as a program of its own by the tests: `sample_site.py ROOT PORT ZONE GRACE`.

ROOT/baked holds the baked pages; the site leaves notes for the tests in ROOT.
"""

import asyncio
import hashlib
import ipaddress
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.validate import validator

from zhengtong.faces.server.pages import BakedPages
from zhengtong.faces.server.rsgi import Application
from zhengtong.faces.server.streams import Request, Stream
from zhengtong.faces.server.web import run_web

UPLOAD_LIMIT = 3_000_000
THREADS = 4
STREAM_LIMIT = 40
Start = Callable[..., Any]


class Noted:
    """A body that says when it was closed, and on which thread."""

    def __init__(self, chunks: Iterable[bytes], note: Path) -> None:
        self.chunks, self.note = chunks, note

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks

    def close(self) -> None:
        self.note.write_text(threading.current_thread().name)


def site(root: Path) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """The WSGI part."""

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        query = {key: value[0] for key, value in parse_qs(environ["QUERY_STRING"]).items()}
        plain = [("Content-Type", "text/plain; charset=utf-8")]
        if path.startswith("/echo"):
            digest = hashlib.sha256()
            while block := environ["wsgi.input"].read(65536):
                digest.update(block)
            told = {key: value for key, value in environ.items() if isinstance(value, str)}
            told["body_sha256"] = digest.hexdigest()
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(told).encode()]
        if path == "/cookies":
            start("201 Created", [*plain, ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")])
            return [b"two"]
        if path == "/name":
            name = "公告".encode().decode("latin-1")
            start("200 OK", [*plain, ("X-Name", name), ("Content-Length", "2")])
            return [b"ok"]
        if path == "/large":
            start("200 OK", plain)
            blocks = (bytes([n]) * 100_000 for n in range(int(query["blocks"])))
            return Noted(blocks, root / "large-closed-on")
        if path == "/download":
            file = open(root / "download.bin", "rb")  # noqa: SIM115 (the server closes it)
            file.seek(int(query.get("skip", 0)))
            start("200 OK", [("Content-Type", "application/octet-stream")])
            return environ["wsgi.file_wrapper"](file)  # type: ignore[no-any-return]
        if path == "/thread":
            time.sleep(0.05)
            start("200 OK", plain)
            return [threading.current_thread().name.encode()]
        if path == "/written":
            write = start("200 OK", plain)
            write(b"written ")
            return [b"and returned"]
        if path == "/noted":
            (root / "noted").touch()
            start("200 OK", plain)
            return [b"noted"]
        if path == "/slow":
            time.sleep(float(query["seconds"]))
            start("200 OK", plain)
            return [b"done"]
        if path == "/boom":
            raise RuntimeError("a defect in the site")
        if path == "/smuggle":
            start("200 OK", [*plain, ("X-Bad", "a\r\nSet-Cookie: stolen=1")])
            return [b""]
        if path == "/none":
            start("204 No Content", [])
            return []
        start("404 Not Found", plain)
        return ["没有这一页".encode()]

    return application


async def events(request: Request) -> Stream:
    """Counts upwards; notes its end in ROOT/ended-QUERY."""
    after = int(request.headers.get("last-event-id", "0"))
    on_thread = await request.in_thread(lambda: threading.current_thread().name)

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield f"event: hello\ndata: {on_thread}\n\n".encode()
            for number in range(after + 1, after + 4):
                yield f"id: {number}\ndata: 第{number}条\n\n".encode()
            await asyncio.sleep(3600)
        finally:
            (ROOT / f"ended-{request.query}").write_text("yes")

    return Stream(chunks(), heartbeat_every=0.2)


async def poll(request: Request) -> Stream:
    """A long poll: one answer, or a refusal decided before anything is sent."""
    if request.query == "who=stranger":

        async def nothing() -> AsyncIterator[bytes]:
            yield b"refused"

        return Stream(nothing(), status=403, headers=(("content-type", "text/plain"),))

    async def answer() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.1)
        yield b"answer"

    return Stream(answer(), headers=(("content-type", "text/plain"),), heartbeat=b"")


async def chatter(request: Request) -> Stream:
    """More than anyone reads: ended by its byte limit."""

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    return Stream(chunks(), byte_limit=50_000)


async def failing(request: Request) -> Stream:
    """Breaks after its first chunk."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("a defect in the source")

    return Stream(chunks())


async def silence(request: Request) -> Stream:
    """Says nothing: ended by its idle limit."""

    async def chunks() -> AsyncIterator[bytes]:
        await asyncio.sleep(3600)
        yield b""

    return Stream(chunks(), heartbeat_every=0.1, idle_limit=0.5)


def build() -> Application:
    """The application under test."""
    inner = site(ROOT)
    checked = validator(inner)

    def either(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        chosen = checked if environ["PATH_INFO"] == "/echo/checked" else inner
        return chosen(environ, start)

    return Application(
        BakedPages(ROOT / "baked", streamed_from=200_000),
        either,
        {
            "/events/": events,
            "/events/silence": silence,
            "/poll/": poll,
            "/chatter/": chatter,
            "/failing/": failing,
        },
        threads=THREADS,
        upload_limit=UPLOAD_LIMIT,
        stream_limit=STREAM_LIMIT,
        trusted_proxies=[ipaddress.ip_network("127.0.0.2/32")],
    )


if __name__ == "__main__":
    ROOT = Path(sys.argv[1])
    port, zone, grace = sys.argv[2:]
    run_web(build, "127.0.0.1", int(port), public=zone == "public", grace=float(grace))
    (ROOT / "returned").write_text(str(os.getpid()))
