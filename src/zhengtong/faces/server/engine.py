"""granian's HTTP worker, run inside this very process: the only file that knows its inside.

granian's own servers either keep a parent process beside each worker (36 MB for nothing here) or
run its slower embedded worker.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import granian
import uvloop
from granian import _futures, _granian
from granian.constants import HTTPModes, SSLProtocols
from granian.http import HTTP1Settings

from zhengtong.faces.server.sockets import BACKLOG

_TESTED = "2.8."
# Their published types lag behind what the compiled part really takes.
_native: Any = _granian
_scheduling: Any = _futures


class Engine:
    """Lets `handler` (RSGI: scope, protocol) answer what comes in on `listener`, until stopped.

    Use on the main thread, once.
    """

    def __init__(
        self,
        handler: Callable[[Any, Any], Awaitable[None]],
        listener: socket.socket,
        *,
        connections: int = 4096,
    ) -> None:
        if not granian.__version__.startswith(_TESTED):
            raise RuntimeError(f"granian {granian.__version__} is untested; expected {_TESTED}x")
        self._handler = handler
        self._socket = _native.SocketHolder(listener.detach(), False, BACKLOG)
        self._connections = connections
        self._signal = _native.WorkerSignal()
        self.loop = uvloop.new_event_loop()

    def run(
        self, when_running: Callable[[], None], when_stopped: Callable[[], Awaitable[object]]
    ) -> None:
        """Serve until stopped and every open exchange has ended, and `when_stopped` as well.

        `when_running` is called on the loop before the port is open: the place for signal
        handlers, since a signal that comes before the loop runs would go unnoticed.
        """
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve(when_running, when_stopped))

    async def _serve(
        self, when_running: Callable[[], None], when_stopped: Callable[[], Awaitable[object]]
    ) -> None:
        stopped = asyncio.Event()
        self._signal.add_cb(lambda: self.loop.call_soon_threadsafe(stopped.set))
        when_running()
        watched = _scheduling._future_watcher_wrapper(self._handler)
        scheduler = _scheduling._new_cbscheduler(self.loop, watched, impl_asyncio=True)
        self._worker().serve_str(scheduler, self.loop, self._signal)
        await stopped.wait()
        await when_stopped()

    def stop(self) -> None:
        """Accept nothing more; let running requests finish. On the loop."""
        self._signal.set()

    def _worker(self) -> Any:
        no_tls: tuple[Any, ...] = (False, None, None, None, SSLProtocols.tls13, None, [], False)
        return _native.RSGIWorker(
            1,  # worker id
            (None, self._socket),
            None,  # no channel to a parent
            1,  # runtime threads
            64,  # threads of the runtime that read files
            1,  # threads that call Python
            30,  # seconds such a thread may idle
            self._connections,
            HTTPModes.http1,
            HTTP1Settings(header_read_timeout=30_000, max_buffer_size=64 * 1024),
            None,  # no HTTP/2 without TLS: nginx in front speaks it
            False,  # no websockets
            None,  # no static mount
            *no_tls,
            (None, None),  # no metrics
        )
