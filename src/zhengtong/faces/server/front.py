"""What stands before the engine on a node with public pages, in the same process.

A baked page is answered here, on the event loop, from one look-up: through the engine the answer
would cross threads twice, which costs more than everything else about it (ADR 0006). Any other
request is passed on as the bytes it came in, and from then on so is everything on that connection,
both ways; a request is therefore read by this file or by the engine, never by both.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, cast

from zhengtong.faces.server import refusals, simple_get
from zhengtong.faces.server.pages import Answer, BakedPages
from zhengtong.faces.server.scope import HeaderValues, Scope
from zhengtong.faces.server.sockets import address

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol
    from granian.rsgi import Scope as EngineScope

Handler = Callable[[Any, Any], Awaitable[None]]

IDLE = 30.0
"""Seconds in which a connection must bring a whole head, from its beginning or the last answer."""
ROUND = 5.0
"""Seconds between two looks for connections that idle or whose reader takes nothing any more."""
STALLED = 12
"""Such looks in a row without a byte taken, after which the connection is dropped."""

_log = logging.getLogger(__name__)


class Front:
    """Answers baked pages on `listener` and passes everything else on to `engine`.

    pages    asked for every simple GET, on the loop only
    engine   host and port of the engine, open to this machine alone
    limit    connections at once; a further one is told to come back
    """

    def __init__(
        self,
        pages: BakedPages,
        listener: socket.socket,
        engine: tuple[str, int],
        *,
        limit: int = 4096,
    ) -> None:
        self.pages, self.engine, self.limit = pages, engine, limit
        self.visits: set[Visit] = set()
        self.visitors: dict[str, tuple[str, str]] = {}
        self.stopping = False
        self.empty = asyncio.Event()
        self.now = time.monotonic
        self._listener = listener
        self._server: asyncio.Server | None = None
        self._date = (-1, b"")

    async def serve(self) -> None:
        """Accept visitors until stopped."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Visit(self, loop), sock=self._listener)
        while not self.stopping:
            await asyncio.sleep(ROUND)
            for visit in list(self.visits):
                visit.look()

    def stop(self) -> None:
        """Accept nobody more; end what the engine does not end. On the loop."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for visit in list(self.visits):
            visit.retire()
        self.left()

    async def drained(self) -> None:
        """Once stopped: until the last visitor has had the last answer."""
        await self.empty.wait()

    def left(self) -> None:
        """A visitor has gone."""
        if self.stopping and not self.visits:
            self.empty.set()

    def seen_through(self, handler: Handler) -> Handler:
        """`handler` as the engine is to call it: it is told who really dialled, and whom.

        What did not come through this front is refused: the engine's port is nobody else's.
        """

        async def handle(scope: EngineScope, proto: HTTPProtocol) -> None:
            ends = self.visitors.get(scope.client)
            if ends is None:
                proto.response_empty(403, [])
                return
            told = Scope(
                scope.method,
                scope.path,
                scope.query_string,
                scope.http_version,
                cast(HeaderValues, scope.headers),
                *ends,
                scheme=scope.scheme,
            )
            await handler(told, proto)

        return handle

    def date(self) -> bytes:
        """The Date line that ends a head (RFC 9110 §6.6.1), made once a second."""
        second = int(self.now())
        if self._date[0] != second:
            self._date = second, f"date: {formatdate(usegmt=True)}\r\n\r\n".encode()
        return self._date[1]


class Visit(asyncio.Protocol):
    """One connection: baked pages one after another, until something else is asked for."""

    def __init__(self, front: Front, loop: asyncio.AbstractEventLoop) -> None:
        self._front, self._loop = front, loop
        self._heard = b""
        self._since = front.now()
        self._full = self._ended = False
        self._untaken, self._stalled = 0, 0
        self._joining: asyncio.Task[None] | None = None
        self._passage: Passage | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if len(self._front.visits) >= self._front.limit or self._front.stopping:
            self._send(refusals.BUSY)
            self.transport.close()
            return
        self._front.visits.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._front.visits.discard(self)
        self._front.left()
        if self._joining is not None:
            self._joining.cancel()
        if self._passage is not None:
            self._passage.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._passage is not None:
            self._passage.transport.write(data)
            return
        self._heard = self._heard + data if self._heard else data
        if self._joining is None:
            self._answer()

    def eof_received(self) -> bool:
        """The visitor has said all; what was asked is still answered."""
        self._ended = True
        if self._passage is not None:
            self._passage.transport.write_eof()
        return self._joining is not None or self._passage is not None

    def pause_writing(self) -> None:
        self._full = True
        if self._passage is not None:
            self._passage.transport.pause_reading()
        elif self._joining is None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        if self._passage is not None:
            self._passage.transport.resume_reading()
        elif self._joining is None:
            self.transport.resume_reading()
            self._answer()

    def look(self) -> None:
        """End what idles, and what is sent to a reader who takes nothing."""
        if self._joining is not None or self._passage is not None:
            return
        untaken = self.transport.get_write_buffer_size()
        if not untaken:
            self._stalled = 0
            if self._front.now() - self._since > IDLE:
                self.transport.close()
        elif untaken < self._untaken or not self._untaken:
            self._stalled = 0
        else:
            self._stalled += 1
            if self._stalled >= STALLED:
                self.transport.abort()
        self._untaken = untaken

    def retire(self) -> None:
        """End once the answers are out; a connection passed on is the engine's to end."""
        if self._joining is None and self._passage is None:
            self.transport.close()

    def joined(self, passage: Passage) -> None:
        """The way to the engine is open."""
        self._passage = passage
        if self.transport.is_closing():
            passage.transport.abort()
            return
        passage.transport.write(self._heard)
        self._heard = b""
        if self._ended:
            passage.transport.write_eof()
        else:
            self.transport.resume_reading()
        if self._full:
            passage.transport.pause_reading()

    def _answer(self) -> None:
        """Answer what has been asked so far, as long as the visitor takes the answers."""
        while self._heard and not self._full:
            end = self._heard.find(simple_get.END) + len(simple_get.END)
            if end < len(simple_get.END):
                if not simple_get.may_become_simple(self._heard):
                    self._pass_on()
                return
            asked = simple_get.read(self._heard[:end])
            answer = self._front.pages.answer(asked.path, asked.headers.get) if asked else None
            if asked is None or answer is None or answer.file is not None:
                self._pass_on()
                return
            self._heard = self._heard[end:]
            self._send(answer, bodiless=asked.method == "HEAD")
            self._since = self._front.now()

    def _send(self, answer: Answer, *, bodiless: bool = False) -> None:
        head = (answer.head, self._front.date())
        self.transport.writelines(head if bodiless else (*head, answer.body))

    def _pass_on(self) -> None:
        self.transport.pause_reading()
        self._joining = self._loop.create_task(self._join())

    async def _join(self) -> None:
        ends = (
            address(self.transport.get_extra_info("peername")),
            address(self.transport.get_extra_info("sockname")),
        )
        make = lambda: Passage(self, ends, self._front)  # noqa: E731
        try:
            await self._loop.create_connection(make, *self._front.engine)
        except OSError as error:
            _log.error("the engine does not answer: %s", error)
            self._send(refusals.BUSY)
            self.transport.close()


class Passage(asyncio.Protocol):
    """The engine's end of a visit that has been passed on."""

    def __init__(self, visit: Visit, ends: tuple[str, str], front: Front) -> None:
        self._visit, self._ends, self._front = visit, ends, front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._name = address(transport.get_extra_info("sockname"))
        self._front.visitors[self._name] = self._ends
        self._visit.joined(self)

    def data_received(self, data: bytes) -> None:
        self._visit.transport.write(data)

    def pause_writing(self) -> None:
        self._visit.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._visit.transport.is_closing():
            self._visit.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._front.visitors.pop(self._name, None)
        self._visit.transport.close()
