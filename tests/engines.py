"""The database engine under the whole suite, chosen before Django reads its settings.

`ZHENGTONG_TEST_ENGINE` names it: `sqlite` (the default) or `postgres`. Nothing but the tests reads
that variable: the program knows one `node.toml`, so the suite writes one whose database is of the
chosen engine. With pytest-xdist every worker process has a node folder and a database of its own;
PostgreSQL is started once, by the process that starts the workers.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import PostgresServer, create_database, drop_database

ENGINE = "ZHENGTONG_TEST_ENGINE"
HOME = "ZHENGTONG_TEST_HOME"
SERVER = "ZHENGTONG_TEST_SERVER"

NODE_TOML = """\
[node]
name = "test"
title = "测试节点"
zone = "private"
listen = "127.0.0.1:8100"

[engines]
database = "{database}"
"""


@dataclass(frozen=True)
class Engine:
    """Makes databases for programs that a test starts beside itself.

    `name` is "sqlite" or "postgres"; `folder` holds the SQLite files; `server` is the address of
    the PostgreSQL server, empty for SQLite.
    """

    name: str
    folder: Path
    server: str = ""

    def create(self, name: str, like: str = "") -> str:
        """Create a database, return its address as `node.toml` writes it.

        It is empty, or a copy of what `create` made under the name `like` and nobody has open.
        """
        if self.server:
            return create_database(self.server, name, like)
        if like:
            shutil.copyfile(self.file(like), self.file(name))
        return f"sqlite:///{self.file(name)}"

    def file(self, name: str) -> Path:
        """Where SQLite keeps what `create` makes."""
        return self.folder / f"{name}.sqlite3"

    def drop(self, name: str) -> None:
        """Remove what `create` made; the programs that used it may still be dying."""
        if self.server:
            drop_database(self.server, name)
        for suffix in ("", "-wal", "-shm"):
            self.file(name).with_suffix(f".sqlite3{suffix}").unlink(missing_ok=True)


def choose() -> Engine:
    """Give this process its engine and its node, and point the environment at both.

    Must run before Django loads `zhengtong.settings`. Exits with a remedy on an unknown engine.
    """
    name = os.environ.setdefault(ENGINE, "sqlite")
    if name not in ("sqlite", "postgres"):
        raise SystemExit(f"{ENGINE}={name}: write sqlite or postgres")
    if HOME not in os.environ:
        _open_house(name)
    folder = Path(os.environ[HOME]) / os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder.mkdir(exist_ok=True)
    server = os.environ.get(SERVER, "")
    database = server or f"sqlite:///{folder / 'node.sqlite3'}"
    node = folder / "node.toml"
    node.write_text(NODE_TOML.format(database=database), encoding="utf-8")
    os.environ["ZHENGTONG_NODE"] = str(node)
    os.environ["DJANGO_SETTINGS_MODULE"] = "zhengtong.settings"
    return Engine(name, folder, server)


def _open_house(name: str) -> None:
    """Make what all workers share; it is removed when this first process ends."""
    home = Path(tempfile.mkdtemp(prefix="zhengtong-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ[HOME] = str(home)
    if name == "postgres":
        server = PostgresServer()
        atexit.register(server.stop)
        server.start()
        os.environ[SERVER] = server.url
