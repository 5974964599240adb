"""The engine for tests that start whole nodes: a node refuses a database that may forget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests import engines
from tests.postgres import PostgresServer


@contextmanager
def durable_engine() -> Iterator[engines.Engine]:
    """As the suite's engine, but PostgreSQL keeps its promises (the suite's own runs without)."""
    chosen = engines.choose()
    if chosen.name == "sqlite":
        yield chosen
        return
    with PostgresServer(durable=True) as server:
        yield replace(chosen, server=server.url)
