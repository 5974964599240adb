"""Long-lived responses on the event loop: server-sent events and long polling.

The HTTP engine queues without bound what a stalled reader does not take, so every stream has a
byte limit and a life limit; a browser's EventSource reconnects by itself and resumes with
``Last-Event-ID``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol

T = TypeVar("T")
_log = logging.getLogger(__name__)

EVENT_STREAM = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
    ("x-content-type-options", "nosniff"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a stream handler may know of its request.

    `headers` has lower-case names, repeated ones joined by commas. `in_thread` runs a blocking
    function (a database query) on the same fixed threads that serve pages. `node` is the node
    that dialled, as its certificate names it; empty on the port for pages.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    client: str
    in_thread: Callable[..., Awaitable[Any]]
    node: str = ""


@dataclass(frozen=True, slots=True)
class Stream:
    """A response whose body is still to come.

    heartbeat      sent after `heartbeat_every` seconds of silence; empty for none
    idle_limit     seconds without a chunk of its own after which the stream ends
    life_limit     seconds after which it ends in any case, so that sign-in is checked anew
    byte_limit     bytes after which it ends
    """

    chunks: AsyncIterator[bytes]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = EVENT_STREAM
    heartbeat: bytes = b": \n\n"
    heartbeat_every: float = 15.0
    idle_limit: float = 600.0
    life_limit: float = 900.0
    byte_limit: int = 4 * 1024 * 1024


StreamHandler = Callable[[Request], Awaitable[Stream]]


@dataclass(slots=True)
class Streams:
    """The open streams of one web process: a limit on their number and one way to end them all."""

    limit: int = 1000
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _open: int = 0

    @property
    def full(self) -> bool:
        """Whether another stream must be refused."""
        return self._open >= self.limit or self._stopping.is_set()

    def stop(self) -> None:
        """End every open stream and refuse new ones. Call on the event loop."""
        self._stopping.set()

    async def serve(self, stream: Stream, proto: HTTPProtocol) -> None:
        """Send `stream` until its source ends, a limit is met, the client leaves or we stop."""
        transport = proto.response_stream(stream.status, list(stream.headers))
        self._open += 1
        gone = asyncio.ensure_future(_plain(proto.client_disconnect()))
        stop = asyncio.ensure_future(self._stopping.wait())
        following: asyncio.Task[bytes] | None = None
        born = spoke = time.monotonic()
        sent = 0
        try:
            while True:
                now = time.monotonic()
                if (
                    now - born >= stream.life_limit
                    or now - spoke >= stream.idle_limit
                    or sent >= stream.byte_limit
                ):
                    return
                if following is None:
                    following = asyncio.ensure_future(_plain(anext(stream.chunks)))
                await asyncio.wait(
                    {following, gone, stop},
                    timeout=min(
                        stream.heartbeat_every,
                        stream.idle_limit - (now - spoke),
                        stream.life_limit - (now - born),
                    ),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if gone.done() or stop.done():
                    return
                chunk = stream.heartbeat
                if following.done():
                    try:
                        chunk = following.result()
                    except StopAsyncIteration:
                        return
                    except Exception:
                        _log.exception("the source of a stream failed")
                        return
                    finally:
                        following = None
                    spoke = time.monotonic()
                if chunk:
                    try:
                        await transport.send_bytes(chunk)
                    except RuntimeError:  # the engine's word for a client who just left
                        return
                    sent += len(chunk)
        finally:
            self._open -= 1
            await _end(gone, stop, following)
            close = getattr(stream.chunks, "aclose", None)
            if close is not None:
                await close()


async def _plain(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _end(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel what still runs and wait until it has really ended."""
    running = [task for task in tasks if task is not None and not task.done()]
    for task in running:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*running, return_exceptions=True)
