"""The application a web process serves: baked page, live stream, or Django, in that order."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from zhengtong.faces.server import refusals
from zhengtong.faces.server.exchange_request import Exchange
from zhengtong.faces.server.pages import Answer, BakedPages
from zhengtong.faces.server.streams import Request, StreamHandler, Streams
from zhengtong.faces.server.uploads import (
    LengthUnknown,
    UploadBroken,
    UploadNoRoom,
    UploadTooLarge,
    UploadTooSlow,
    receive,
)
from zhengtong.faces.server.wsgi import Environ, Network, Reply, WsgiApp, call, environ_of

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol
    from granian.rsgi import Scope

_log = logging.getLogger(__name__)
# The engine opens a file some moments after it was told to send it. The port for nodes does so at
# once; otherwise all answers of a minute would lie on the disk, several GB while a file is sent.
_KEEP_DESCRIPTOR = 60.0


class Application:
    """An RSGI application.

    baked            answered from memory; None for a node without public pages
    wsgi             everything else, on `threads` threads that live as long as the process,
                     so that each may keep its own database connection
    streams          URL path prefix → handler; the longest prefix wins
    upload_limit     bytes of a request body
    waiting_limit    requests that may wait for a thread before the answer is 503
    stream_limit     streams that may be open at once
    trusted_proxies  networks whose X-Forwarded-* headers are believed
    """

    def __init__(
        self,
        baked: BakedPages | None,
        wsgi: WsgiApp,
        streams: Mapping[str, StreamHandler] | None = None,
        *,
        threads: int = 8,
        upload_limit: int = 100 * 1024 * 1024,
        waiting_limit: int = 256,
        stream_limit: int = 1000,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self.baked = baked
        self._wsgi = wsgi
        self._handlers = sorted((streams or {}).items(), key=lambda item: -len(item[0]))
        self._upload_limit = upload_limit
        self._in_hand_limit = threads + waiting_limit
        self._trusted = trusted_proxies
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")
        self._in_hand = 0
        self._streams = Streams(stream_limit)

    def stop(self) -> None:
        """End all streams, so that a stop need not wait for their readers. On the loop."""
        self._streams.stop()

    def close(self) -> None:
        """Let the threads go; what they still do is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Answer one request."""
        if self._answer_baked(scope, proto):
            return
        for prefix, handler in self._handlers:
            if scope.path.startswith(prefix):
                await self._stream(handler, scope, proto)
                return
        await self._dynamic(scope, proto)

    def _answer_baked(self, scope: Scope, proto: HTTPProtocol) -> bool:
        if self.baked is None or scope.method not in ("GET", "HEAD"):
            return False
        answer = self.baked.answer(scope.path, scope.headers.get)
        if answer is None:
            return False
        if answer.file is None:
            proto.response_bytes(answer.status, answer.headers, answer.body)
        elif scope.method == "HEAD":
            proto.response_empty(answer.status, answer.headers)
        else:
            proto.response_file_range(
                answer.status, answer.headers, answer.file, answer.start, answer.end
            )
        return True

    async def _stream(self, handler: StreamHandler, scope: Scope, proto: HTTPProtocol) -> None:
        if scope.method != "GET":
            _send(proto, refusals.GET_ONLY)
            return
        if self._streams.full:
            _send(proto, refusals.STREAMS_FULL)
            return
        try:
            stream = await handler(self._request(scope))
        except Exception:
            _log.exception("%s %s", scope.method, scope.path)
            _send(proto, refusals.BROKEN)
            return
        await self._streams.serve(stream, proto)

    def _request(self, scope: Scope) -> Request:
        headers: dict[str, str] = {}
        for name, value in scope.headers.items():
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        loop = asyncio.get_running_loop()

        async def in_thread(function: Any, *args: Any) -> Any:
            return await loop.run_in_executor(self._threads, function, *args)

        node: str = getattr(scope, "node", "")
        return Request(
            scope.method, scope.path, scope.query_string, headers, scope.client, in_thread, node
        )

    async def _dynamic(self, scope: Scope, proto: HTTPProtocol) -> None:
        try:
            body, length = await receive(scope, proto, self._upload_limit)
            with body:
                if self._in_hand >= self._in_hand_limit:
                    _send(proto, refusals.BUSY)
                    return
                reply = await self._call(environ_of(scope, body, length, self._trusted))
        except UploadBroken:
            return  # nobody is there to read an answer
        except UploadTooLarge:
            _send(proto, refusals.too_large(self._upload_limit))
        except LengthUnknown:
            _send(proto, refusals.LENGTH_UNKNOWN)
        except UploadNoRoom:
            _send(proto, refusals.NO_ROOM)
        except UploadTooSlow:
            _send(proto, refusals.TOO_SLOW)
        except Exception:
            _log.exception("%s %s", scope.method, scope.path)
            _send(proto, refusals.BROKEN)
        else:
            _reply(proto, scope.method, reply)

    async def _call(self, environ: Environ) -> Reply:
        self._in_hand += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, call, self._wsgi, environ)
        finally:
            self._in_hand -= 1


def _send(proto: HTTPProtocol, answer: Answer) -> None:
    proto.response_bytes(answer.status, answer.headers, answer.body)


def _reply(proto: HTTPProtocol | Exchange, method: str, reply: Reply) -> None:
    """Send a finished WSGI reply; its length is ours to say, except where there is no body."""
    others = [header for header in reply.headers if header[0] != "content-length"]
    size = len(reply.body) if reply.descriptor is None else reply.end - reply.start
    if reply.descriptor is not None:
        keep = 0.0 if isinstance(proto, Exchange) else _KEEP_DESCRIPTOR
        asyncio.get_running_loop().call_later(keep, os.close, reply.descriptor)
    if reply.status in (204, 304):
        proto.response_empty(reply.status, others)
    elif method == "HEAD":
        sized = [*others, ("content-length", str(size))] if size else reply.headers
        proto.response_empty(reply.status, sized)
    elif reply.descriptor is not None:
        proto.response_file_range(
            reply.status,
            [*others, ("content-length", str(size))],
            f"/proc/self/fd/{reply.descriptor}",
            reply.start,
            reply.end,
        )
    else:
        proto.response_bytes(reply.status, others, reply.body)
