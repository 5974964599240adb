"""`zhengtong serve` and `zhengtong worker`: a node running."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhengtong.faces.cli.start import CommandFailed, enter, require_ready

if TYPE_CHECKING:
    from zhengtong.faces.server.exchange_port import ExchangePort
    from zhengtong.faces.server.rsgi import Application


def add(words: Any) -> None:
    word = words.add_parser("serve", help="run the node: its web processes and its workers")
    word.set_defaults(run=lambda chosen: serve(chosen.node))
    word = words.add_parser("worker", help="run one more worker, on this or another machine")
    word.set_defaults(run=lambda chosen: work(chosen.node))


def serve(node_file: Path) -> int:
    """Supervise the node's processes until stopped; a crashed one is started again."""
    from zhengtong.faces.server.sockets import PortTaken, ensure_port_free
    from zhengtong.faces.server.supervisor import Supervisor
    from zhengtong.faces.server.web import web_children

    enter(node_file)
    from django.conf import settings

    node = settings.NODE
    require_ready()
    bake_static()
    try:
        if node.exchange:
            ensure_port_free(*node.exchange)
        web = web_children(
            application,
            node.host,
            node.port,
            web_processes=node.web_processes,
            public=settings.PUBLIC_FACE,
            exchange=exchange_port if node.exchange else None,
        )
    except PortTaken as error:
        raise CommandFailed(
            f"{error}. Stop what listens there, or change `listen` in {node_file}."
        ) from error
    _warm()
    return Supervisor([*_broker(node), *web, *_workers(node.workers)]).run()


def work(node_file: Path) -> int:
    """One worker in the foreground."""
    enter(node_file)
    require_ready()
    _run_worker()
    return 0


def _broker(node: Any) -> list[Any]:
    """The NATS server of this node, where node.toml asks us to run it."""
    from zhengtong.faces.server.child import Child
    from zhengtong.kernel.messages.roads.nats_files import CONFIGURATION, FOLDER

    if node.nats is None or node.nats.server is None:
        return []
    configuration = node.home / FOLDER / CONFIGURATION
    if not configuration.exists():
        raise CommandFailed(f"{configuration} is missing; run `zhengtong node nats-config`")
    return [Child("nats", [str(node.nats.server), "-c", str(configuration)])]


def _workers(count: int) -> list[Any]:
    from zhengtong.faces.server.child import Child

    names = ["worker"] if count == 1 else [f"worker-{number + 1}" for number in range(count)]
    return [Child(name, _run_worker) for name in names]


def _run_worker() -> None:
    from zhengtong.kernel.worker import Worker

    Worker().run()


def _warm() -> None:
    """Import before forking what both kinds of process use: it is then in memory once.

    The words of rjieba alone are 30 MB.
    """
    import rjieba  # noqa: F401
    import tantivy  # noqa: F401
    from django.db import connections

    import zhengtong.faces.server.exchange_port
    import zhengtong.faces.wsgi
    import zhengtong.kernel.worker  # noqa: F401

    connections.close_all()  # a connection must not be shared across a fork


def application() -> Application:
    """What a web process serves: baked pages, live streams, and Django for the rest."""
    from django.conf import settings

    from zhengtong.faces.server.pages import BakedPages
    from zhengtong.faces.server.rsgi import Application
    from zhengtong.faces.streams import handlers
    from zhengtong.faces.wsgi import application as wsgi
    from zhengtong.wire.batch import MAX_BATCH, MAX_BULKS

    node = settings.NODE
    return Application(
        BakedPages(node.baked),
        wsgi,
        handlers(),
        threads=node.threads,
        upload_limit=max(node.max_upload_mb << 20, MAX_BULKS) + MAX_BATCH,
    )


def exchange_port(application: Application) -> ExchangePort:
    """Where other nodes are received, over TLS with certificates on both sides."""
    from django.conf import settings

    from zhengtong.faces.exchange import WITHOUT_CERTIFICATE
    from zhengtong.faces.server.exchange_port import ExchangePort
    from zhengtong.kernel.messages.identity import own_credentials

    assert settings.NODE.exchange is not None
    host, port = settings.NODE.exchange
    shown = own_credentials()
    return ExchangePort(application, host, port, shown.context, shown.judge, WITHOUT_CERTIFICATE)


def bake_static() -> None:
    """Lay our style sheets and scripts among the baked pages; only what has changed is written."""
    from django.conf import settings
    from django.contrib.staticfiles.finders import get_finders

    from zhengtong.kernel.baked import CONTENT_TYPES, BakedStore, suffix_of

    store = BakedStore(settings.NODE.baked)
    for finder in get_finders():
        for name, storage in finder.list(["*.map"]):
            with storage.open(name) as file:
                body = file.read()
            path = f"{settings.STATIC_URL}{name}"
            if suffix_of(path) not in CONTENT_TYPES:
                continue  # a package's notes, not something a page asks for
            there = store.read(path)
            if there is None or there.body != body:
                store.write(path, body, CONTENT_TYPES[suffix_of(path)])
