"""One web process, and the children that together are a node's web part."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from zhengtong.faces.server.child import Child

if TYPE_CHECKING:
    from zhengtong.faces.server.exchange_port import ExchangePort
    from zhengtong.faces.server.rsgi import Application

AppFactory = Callable[[], "Application"]
PortFactory = Callable[["Application"], "ExchangePort"]


class PortTaken(OSError):
    """Another program already listens on the address."""


def run_web(
    app_factory: AppFactory,
    host: str,
    port: int,
    *,
    exchange: PortFactory | None = None,
    grace: float = 1.7,
) -> None:
    """Serve what `app_factory` builds until SIGTERM or SIGINT; then return.

    `exchange` makes the port for other nodes, which serves the same application.

    Runs in the calling process, on its main thread. On the signal, streams end at once, running
    requests have `grace` seconds to finish, and then the process ends whatever they do.
    """
    from zhengtong.faces.server.engine import Engine  # the supervisor need not hold the engine

    _allow_many_descriptors()
    application = app_factory()
    engine = Engine(application, host, port)
    nodes = exchange(application) if exchange else None

    def stop() -> None:
        deadline = threading.Timer(grace, os._exit, (0,))
        deadline.daemon = True
        deadline.start()
        engine.stop()
        if nodes:
            nodes.stop()

    def begin() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            engine.loop.add_signal_handler(number, stop)
        if nodes:
            serving.append(engine.loop.create_task(nodes.serve()))

    serving: list[object] = []  # the loop itself keeps no hold on its tasks
    engine.run(begin)


def web_children(
    app_factory: AppFactory,
    host: str,
    port: int,
    *,
    web_processes: int = 1,
    exchange: PortFactory | None = None,
) -> list[Child]:
    """The web processes of a node, for its supervisor; they share the port.

    Raises PortTaken if another program has it: sharing would otherwise let two nodes of one user
    answer in turn on the same port without any error.
    """
    ensure_port_free(host, port)
    names = ["web"] if web_processes == 1 else [f"web-{n + 1}" for n in range(web_processes)]
    return [
        Child(name, lambda: run_web(app_factory, host, port, exchange=exchange)) for name in names
    ]


def ensure_port_free(host: str, port: int) -> None:
    """Raise PortTaken unless host:port can be had exclusively right now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(error.errno, f"cannot listen on {host}:{port}") from error


def _allow_many_descriptors(wanted: int = 16_384) -> None:
    """Every connection is a descriptor; the usual soft limit of 1024 would be our limit too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
