"""granian's HTTP worker, run inside this very process: the only file that knows its inside.

granian's own servers either keep a parent process beside each worker (36 MB for nothing here) or
run its slower embedded worker. And both hand every request to the event loop, which for a page
that lies ready in memory costs more than all the rest. Here the worker thread that parsed the
request asks the application first, and only what is not baked goes to the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import granian
import uvloop
from granian import _futures, _granian
from granian.constants import HTTPModes, SSLProtocols
from granian.http import HTTP1Settings

from zhengtong.faces.server.rsgi import Application

_TESTED = "2.8."
# Their published types lag behind what the compiled part really takes.
_native: Any = _granian
_scheduling: Any = _futures
_log = logging.getLogger(__name__)


class Engine:
    """Serves `application` on host:port until `stop` is called.

    The port is shared (SO_REUSEPORT) with other processes of the same user that also ask for it;
    TCP_NODELAY is on. Use on the main thread, once.
    """

    def __init__(
        self, application: Application, host: str, port: int, *, connections: int = 4096
    ) -> None:
        if not granian.__version__.startswith(_TESTED):
            raise RuntimeError(f"granian {granian.__version__} is untested; expected {_TESTED}x")
        self._application = application
        self._socket = _native.ListenerSpec(host, port, 1024)
        self._connections = connections
        self._signal = _native.WorkerSignal()
        self.loop = uvloop.new_event_loop()

    def run(self, when_running: Callable[[], None]) -> None:
        """Serve until stopped and every open exchange has ended.

        `when_running` is called on the loop before the port is open: the place for signal
        handlers, since a signal that comes before the loop runs would go unnoticed.
        """
        asyncio.set_event_loop(self.loop)
        self._application.__rsgi_init__(self.loop)
        try:
            self.loop.run_until_complete(self._serve(when_running))
        finally:
            self._application.__rsgi_del__(self.loop)

    async def _serve(self, when_running: Callable[[], None]) -> None:
        stopped = asyncio.Event()
        self._signal.add_cb(lambda: self.loop.call_soon_threadsafe(stopped.set))
        when_running()
        # The last three are for granian's own task type, which stays unused.
        scheduler = _BakedFirst(self.loop, self._application, None, None, None)
        self._worker().serve_str(scheduler, self.loop, self._signal)
        await stopped.wait()

    def stop(self) -> None:
        """Accept nothing more, end the streams, let running requests finish. On the loop."""
        self._application.stop()
        self._signal.set()

    def _worker(self) -> Any:
        no_tls: tuple[Any, ...] = (False, None, None, None, SSLProtocols.tls13, None, [], False)
        return _native.RSGIWorker(
            1,  # worker id
            (self._socket, None),
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


class _BakedFirst(_granian.CallbackScheduler):
    """What the engine's thread calls with each parsed request."""

    __slots__ = ()

    def __init__(self, loop: asyncio.AbstractEventLoop, application: Application, *_: Any) -> None:
        super().__init__()
        watched = _scheduling._future_watcher_wrapper(application.__rsgi__)
        answer_baked, context = application.answer_baked, self._ctx

        def begin(exchange: Any, watcher: Any) -> None:
            watcher.taskref(loop.create_task(exchange))

        def schedule(watcher: Any) -> None:
            try:
                if answer_baked(watcher.scope, watcher.proto):
                    watcher.done()
                    return
            except Exception as error:
                _log.exception("baked page")
                watcher.err(error)
                return
            loop.call_soon_threadsafe(begin, watched(watcher), watcher, context=context)

        self._schedule_fn = schedule
