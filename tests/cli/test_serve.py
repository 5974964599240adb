"""`zhengtong serve`: refuses to run unsafely, mends itself, and leaves nothing when stopped."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from django.db import connection

from tests import engines
from tests.federation.city import Site, alive, free_port, wait_until, zhengtong
from zhengtong.faces.cli.start import CommandFailed, require_ready


def test_serve_refuses_an_unprepared_database(tmp_path: Path, engine: engines.Engine) -> None:
    site = Site("centre", tmp_path / "centre", free_port(), engine)
    try:
        site.write()
        done = zhengtong("serve", node=site.node_file)
        assert done.returncode == 1
        assert "zhengtong init" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        site.close()


@pytest.mark.django_db(transaction=True)
def test_serve_refuses_a_database_that_may_forget() -> None:
    """The suite's own PostgreSQL runs without fsync; SQLite is told to be careless."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=NORMAL")
    try:
        with pytest.raises(CommandFailed, match=r"synchronous|fsync"):
            require_ready()
    finally:
        connection.close()


def test_serve_refuses_a_taken_port(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        done = zhengtong("serve", node=site.node_file)
    assert done.returncode == 1
    assert f"127.0.0.1:{site.port}" in done.stderr
    assert "listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_mends_itself_and_stops_without_a_trace(site: Site) -> None:
    """Even in a folder whose path is longer than the address of a socket may be."""
    site.folder = site.folder.rename(site.folder.with_name("周口市中心节点" * 8))
    site.start()
    wait_until(lambda: len(site.children()) == 2)
    for victim in site.children():
        os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda victim=victim: (  # type: ignore[misc]
                victim not in (now := site.children()) and len(now) == 2 and site.answers()
            ),
            what="another child in its place",
        )
    assert "killed by SIGKILL; starting again" in site.log.read_text()
    run = site.folder / "run"
    wait_until(
        lambda: any((run / f"bell-worker-{pid}").exists() for pid in site.children()),
        what="the new worker to be there, who takes away the bell of the dead",
    )

    assert site.process
    supervisor, below = site.process.pid, site.children()
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(10) == 0
    site.process = None
    assert not any(map(alive, below))
    assert of_session(supervisor) == []
    with socket.create_server(("127.0.0.1", site.port)):
        pass  # the port is free
    assert [item.name for item in run.glob("bell-*")] == []


def of_session(session: int) -> list[str]:
    """The processes that belong to this session, zombies apart."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = text.rpartition(")")[2].split()
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(text)
    return found


def test_words_are_explained(tmp_path: Path) -> None:
    done = zhengtong("--help")
    assert done.returncode == 0
    for word in (
        "init",
        "serve",
        "worker",
        "demo",
        "doctor",
        "node",
        "verify",
        "backup",
        "restore",
    ):
        assert word in done.stdout
    assert zhengtong("fly").returncode == 2
