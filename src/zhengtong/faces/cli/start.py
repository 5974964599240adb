"""Bringing Django up for one node, and the error every command speaks through."""

from __future__ import annotations

import os
from pathlib import Path


class CommandFailed(Exception):
    """A command cannot go on; the text says why and what to do."""


def enter(node_file: Path) -> None:
    """Make this process one of the node's: settings read, applications loaded, nothing opened.

    Raises NodeFileError with the line and the remedy when `node.toml` cannot be used.
    """
    os.environ["ZHENGTONG_NODE"] = str(node_file.resolve())
    os.environ["DJANGO_SETTINGS_MODULE"] = "zhengtong.settings"
    import django

    django.setup()


def require_ready() -> None:
    """Refuse to run on a database that is not prepared or not durable. Closes its connection."""
    from django.db import OperationalError, connection, connections
    from django.db.migrations.executor import MigrationExecutor

    from zhengtong.kernel.engine import EngineNotAsExpected, assert_engine

    try:
        assert_engine()
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except EngineNotAsExpected as error:
        raise CommandFailed(f"{error}. Correct the [engines] database of node.toml.") from error
    except OperationalError as error:
        raise CommandFailed(f"the database cannot be opened: {error}".strip()) from error
    if missing:
        raise CommandFailed("the database is not prepared. Run `zhengtong init` once more.")
    connections.close_all()
