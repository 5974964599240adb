"""The port on which other nodes dial this one: mutual TLS, HTTP/1.1, and nothing but the exchange.

The page server can demand a certificate but does not tell whose it was, so this small server
stands beside it in the web process. It hands requests to the very same `Application`, and with
each the name of the node that dialled: `scope.node`. TLS is `tls.Session`, HTTP is h11; here is
only the traffic between them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, cast

import h11
from OpenSSL import SSL

from zhengtong.faces.server import tls
from zhengtong.faces.server.exchange_request import Exchange
from zhengtong.faces.server.scope import Scope
from zhengtong.faces.server.sockets import address, listening
from zhengtong.wire.errors import WireError

if TYPE_CHECKING:
    from zhengtong.faces.server.rsgi import Application

PREFIX = "/exchange"
HANDSHAKE, IDLE, STALLED, DRAIN = 10.0, 75.0, 60.0, 10.0
"""Seconds: to agree on TLS; between requests; for a reader to take what was sent; to hear out a
request that has already been refused."""
LIFE = 3600.0
"""Seconds after which a connection is not used again, so that both certificates are shown anew."""
MOST = 512
"""Connections at once."""

_log = logging.getLogger(__name__)


class ExchangePort:
    """Serves `application` to other nodes on host:port.

    context    gives the TLS context for the next connection
    judge      the node named by a certificate (DER, or None); raises WireError
    welcome    paths that may be asked without a certificate; `scope.node` is then empty
    """

    def __init__(
        self,
        application: Application,
        host: str,
        port: int,
        context: Callable[[], SSL.Context],
        judge: Callable[[bytes | None], str],
        welcome: Collection[str] = (),
    ) -> None:
        self.application, self.context, self.judge = application, context, judge
        self.welcome = welcome
        self.open: set[Connection] = set()
        self.stopping = False
        self.empty = asyncio.Event()
        self._socket = listening(host, port)
        self._server: asyncio.Server | None = None

    async def serve(self) -> None:
        """Accept connections until stopped."""
        loop = asyncio.get_running_loop()
        make = lambda: Connection(self, loop)  # noqa: E731
        self._server = await loop.create_server(make, sock=self._socket)

    def stop(self) -> None:
        """Accept nothing more; end every connection as soon as its answer is out."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.open):
            connection.retire()
        self.left()

    async def drained(self) -> None:
        """Once stopped: until every answer that had begun is out."""
        await self.empty.wait()

    def left(self) -> None:
        """A connection has ended."""
        if self.stopping and not self.open:
            self.empty.set()


class Connection(asyncio.Protocol):
    """One node's connection: request after request, each answered before the next is read."""

    def __init__(self, port: ExchangePort, loop: asyncio.AbstractEventLoop) -> None:
        self._port, self._loop = port, loop
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
        self._born = loop.time()
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reading = True
        self.writable = asyncio.Event()
        self.writable.set()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._port.open) >= MOST or self._port.stopping:
            self._transport.abort()
            return
        try:
            self._tls = tls.Session(self._port.context())
        except Exception as error:
            _log.error("exchange port: %s", error)
            self._transport.abort()
            return
        self._port.open.add(self)
        self._end_in(HANDSHAKE)

    def connection_lost(self, error: Exception | None) -> None:
        self._port.open.discard(self)
        self._port.left()
        self._end_in(None)
        self.lost.set()
        self.writable.set()
        if self._exchange is not None:
            self._exchange.broken()

    def data_received(self, data: bytes) -> None:
        try:
            established = self._tls.established
            said = self._tls.receive(data)
            self._flush()
            if self._tls.established and not established:
                self._end_in(IDLE)
            if said:
                self._http.receive_data(said)
            if self._tls.ended:
                self._http.receive_data(b"")
            self._advance()
        except (tls.Error, h11.RemoteProtocolError) as error:
            _log.info("exchange port, %s: %s", self._peer(), error)
            self._flush()  # the alert that says why
            self._transport.close()

    def pause_writing(self) -> None:
        self.writable.clear()
        self._end_in(STALLED)

    def resume_writing(self) -> None:
        self.writable.set()
        self._end_in(None if self._exchange else IDLE)

    def _advance(self) -> None:
        """Take in what has been said so far."""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                return
            if event is h11.PAUSED:  # a further request, which must wait its turn
                self.read_more(False)
                return
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data) and self._exchange is not None:
                self._exchange.more(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                if self._exchange is not None:
                    self._exchange.complete()
                self._next()
            elif isinstance(event, h11.ConnectionClosed):
                if self._task is None:
                    self._close()
                return

    def _begin(self, request: h11.Request) -> None:
        self._end_in(None)
        self._exchange = exchange = Exchange(self)
        scope = Scope.of(request, *map(self._address, ("peername", "sockname")))
        try:
            scope.node = self._port.judge(self._tls.certificate())
        except WireError as error:
            if scope.path not in self._port.welcome:
                _log.info("exchange port, %s: %s", self._peer(), error)
                self._refuse(403, error.code.value, error.zh)
                return
        if not scope.path.startswith(PREFIX):
            self._refuse(404, "malformed", "本端口只用于节点之间的交换。")
            return
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        self._task = self._loop.create_task(self._answer(scope, exchange))

    async def _answer(self, scope: Scope, exchange: Exchange) -> None:
        try:
            await self._port.application.__rsgi__(scope, exchange)  # type: ignore[arg-type]
            await exchange.sent()
            self.end()
        except Exception:
            _log.exception("exchange port: %s %s", scope.method, scope.path)
            self._transport.abort()

    def _refuse(self, status: int, code: str, text: str) -> None:
        """Say why, and take no second request: the next may come with another certificate."""
        body = json.dumps({"refused": code, "text": text}, ensure_ascii=False).encode()
        kind = ("content-type", "application/json; charset=utf-8")
        self.head(status, [kind, ("content-length", str(len(body))), ("connection", "close")])
        self.body(body)
        self.end()

    def head(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Begin the answer."""
        named = [(name.encode(), value.encode()) for name, value in headers]
        if self._port.stopping or self._loop.time() - self._born > LIFE:
            named.append((b"connection", b"close"))
        self._send(h11.Response(status_code=status, headers=named))

    def body(self, data: bytes) -> None:
        """More of the answer."""
        self._send(h11.Data(data=data))

    def end(self) -> None:
        """The answer is complete."""
        self._exchange, self._task = None, None
        if self.lost.is_set():
            return
        self._send(h11.EndOfMessage())
        self._end_in(DRAIN)  # what is still being sent to us is heard out, and dropped
        self.read_more(True)
        self._next()

    def _next(self) -> None:
        """Go on to the next request, once this one is answered and has been read to its end."""
        ours, theirs = self._http.our_state, self._http.their_state
        if ours is h11.DONE and theirs is h11.DONE and not self._port.stopping:
            self._http.start_next_cycle()
            self._end_in(IDLE)
            self._loop.call_soon(self._resume)
        elif ours in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED) and theirs is not h11.SEND_BODY:
            self._close()

    def _resume(self) -> None:
        """Look at a request that came before the last one was answered."""
        if not self._transport.is_closing():
            self.data_received(b"")

    def retire(self) -> None:
        """End now, if nothing is being answered."""
        if self._task is None:
            self._close()

    def read_more(self, wanted: bool) -> None:
        """Let the other end go on sending, or wait."""
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data and not self.lost.is_set():
            self._tls.send(data)
            self._flush()

    def _flush(self) -> None:
        if data := self._tls.outgoing():
            self._transport.write(data)

    def _close(self) -> None:
        try:
            self._tls.close()
            self._flush()
        except tls.Error:
            pass  # the other end had not finished its handshake
        self._transport.close()

    def _end_in(self, seconds: float | None) -> None:
        """Abandon the connection after so many seconds, unless told otherwise before."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self._loop.call_later(seconds, self._transport.abort)

    def _address(self, which: str) -> str:
        return address(self._transport.get_extra_info(which))

    def _peer(self) -> str:
        return self._address("peername")
