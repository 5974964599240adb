"""One web process, and the children that together are a node's web part."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from zhengtong.faces.server.child import Child
from zhengtong.faces.server.sockets import ensure_port_free, listening

if TYPE_CHECKING:
    from zhengtong.faces.server.exchange_port import ExchangePort
    from zhengtong.faces.server.front import Front, Handler
    from zhengtong.faces.server.rsgi import Application

AppFactory = Callable[[], "Application"]
PortFactory = Callable[["Application"], "ExchangePort"]


def run_web(
    app_factory: AppFactory,
    host: str,
    port: int,
    *,
    public: bool = False,
    exchange: PortFactory | None = None,
    grace: float = 1.7,
) -> None:
    """Serve what `app_factory` builds until SIGTERM or SIGINT; then return.

    `public` sets a front before the engine, for which baked pages are the main thing.
    `exchange` makes the port for other nodes, which serves the same application.

    Runs in the calling process, on its main thread. On the signal, streams end at once, running
    requests have `grace` seconds to finish, and then the process ends whatever they do.
    """
    # The supervisor need not hold the engine.
    from zhengtong.faces.server.engine import Engine
    from zhengtong.faces.server.front import Front

    _allow_many_descriptors()
    application = app_factory()
    ports: list[Front | ExchangePort] = [exchange(application)] if exchange else []
    listener = listening(host, port)
    handler: Handler = application.__rsgi__
    if public and application.baked is not None:
        inner = listening("127.0.0.1", 0, shared=False)
        front = Front(application.baked, listener, inner.getsockname())
        ports.append(front)
        handler, listener = front.seen_through(handler), inner
    engine = Engine(handler, listener)

    def stop() -> None:
        deadline = threading.Timer(grace, os._exit, (0,))
        deadline.daemon = True
        deadline.start()
        application.stop()
        engine.stop()
        for each in ports:
            each.stop()

    def begin() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            engine.loop.add_signal_handler(number, stop)
        serving.extend(engine.loop.create_task(each.serve()) for each in ports)

    async def end() -> None:
        for each in ports:
            await each.drained()

    serving: list[object] = []  # the loop itself keeps no hold on its tasks
    try:
        engine.run(begin, end)
    finally:
        application.close()


def web_children(
    app_factory: AppFactory,
    host: str,
    port: int,
    *,
    web_processes: int = 1,
    public: bool = False,
    exchange: PortFactory | None = None,
) -> list[Child]:
    """The web processes of a node, for its supervisor; they share the port.

    Raises PortTaken if another program has it: sharing would otherwise let two nodes of one user
    answer in turn on the same port without any error.
    """
    ensure_port_free(host, port)
    names = ["web"] if web_processes == 1 else [f"web-{n + 1}" for n in range(web_processes)]
    serve = lambda: run_web(app_factory, host, port, public=public, exchange=exchange)  # noqa: E731
    return [Child(name, serve) for name in names]


def _allow_many_descriptors(wanted: int = 16_384) -> None:
    """Every connection is a descriptor; the usual soft limit of 1024 would be our limit too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
