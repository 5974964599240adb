"""The suite really runs on the engine it names, and its PostgreSQL behaves like a real one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from tests.engines import ENGINE, Engine
from tests.postgres import PostgresServer, create_database

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.django_db
def test_django_stands_on_the_chosen_engine() -> None:
    assert connection.vendor == {"sqlite": "sqlite", "postgres": "postgresql"}[os.environ[ENGINE]]


def test_every_worker_of_the_suite_has_a_node_folder_of_its_own() -> None:
    """Two workers in one folder would pull files and keys from under each other's tests."""
    assert settings.NODE.home.name == os.environ.get("PYTEST_XDIST_WORKER", "main")


def test_a_program_gets_an_empty_database_of_its_own(engine: Engine, database_url: str) -> None:
    if engine.name == "postgres":
        with psycopg.connect(database_url) as postgres:
            found = postgres.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
            assert found.fetchall() == []
    else:
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as sqlite:
            assert sqlite.execute("SELECT 1 FROM sqlite_master").fetchall() == []


def test_an_unknown_engine_is_refused_with_the_remedy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from tests import engines; engines.choose()"],
        cwd=ROOT,
        env={**os.environ, ENGINE: "oracle"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "oracle: write sqlite or postgres" in done.stderr


def test_a_durable_server_keeps_what_it_acknowledged_when_killed() -> None:
    with PostgresServer(durable=True) as server:
        url = create_database(server.url, "city")
        with psycopg.connect(url) as before:
            before.execute("CREATE TABLE letter (title text)")
            before.execute("INSERT INTO letter VALUES ('关于做好防汛工作的通知')")
        port = server.port
        server.kill()
        server.start()
        url = url.replace(f":{port}/", f":{server.port}/")
        with psycopg.connect(url) as after:
            assert after.execute("SELECT title FROM letter").fetchall() == [
                ("关于做好防汛工作的通知",)
            ]
