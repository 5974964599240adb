"""Two web processes and two workers of one node share its load, and nothing is done twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psycopg

from tests.federation.city import City, Site, office_id, wait_until
from zhengtong.kernel.node import load

CLERK, LEADER, COUNTY = "市府办办事员", "市府办领导", "扶沟县办事员"


@contextmanager
def _asleep(centre: Site, *processes: int) -> Iterator[None]:
    """These processes stand still, but not while they hold SQLite's one lock."""
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
        while _locked(load(centre.node_file).database):
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.05)
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def _locked(database: str) -> bool:
    if not database.startswith("sqlite:"):
        return False
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"), timeout=0.2)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def _connections(pid: int) -> int:
    return sum("socket" in os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir())


def _received(centre: Site, *documents: str) -> bool:
    return set(documents) <= set(centre.do("received", clerk=COUNTY))


def test_two_of_each_work_together(city: City) -> None:
    centre = city.site("centre", web_processes=2, workers=2)
    city.build({"centre": ["市府办", "扶沟县"]})
    to = [str(office_id("扶沟县"))]
    documents = centre.do("prepare", clerk=CLERK, leader=LEADER, to=to, number=66)
    city.start()
    wait_until(lambda: len(centre.children()) == 4)
    *web, first, second = centre.children()

    # Both web processes answer.
    before = [_connections(pid) for pid in web]
    callers = [HTTPConnection("127.0.0.1", centre.port, timeout=20) for _ in range(30)]
    for caller in callers:
        caller.request("GET", "/sign-in")
        answer = caller.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    assert all(_connections(pid) > old for pid, old in zip(web, before, strict=True))
    for caller in callers:
        caller.close()

    # Each worker does the work when the other stands still; neither waits for the other.
    wait_until(lambda: centre.do("counts")["pending"] == 0)
    for document, idle in zip(documents[:2], (first, second), strict=True):
        with _asleep(centre, idle):
            centre.do("dispatch", clerk=CLERK, document=document)
            wait_until(lambda document=document: _received(centre, document))  # type: ignore[misc]

    if city.engine.server:
        _claims_pass_over_what_another_holds(centre, documents[2:4], (first, second))
        _a_lost_database_connection_is_made_anew(centre, documents[4])

    # Together they handle a heap of documents, each once.
    for document in documents[2:]:
        centre.do("dispatch", clerk=CLERK, document=document)
    wait_until(lambda: centre.do("counts")["pending"] == 0)
    assert centre.do("received", clerk=COUNTY) == dict.fromkeys(documents, 1)
    assert centre.do("audited", verb="documents.receive") == len(documents)
    assert centre.do("counts")["dead"] == 0
    wait_until(lambda: centre.do("counts")["unsealed"] == 0, what="the audit log to be sealed")
    city.sites["centre"].stop()
    assert not centre.examine()


def _claims_pass_over_what_another_holds(
    centre: Site, documents: list[str], workers: tuple[int, int]
) -> None:
    """SKIP LOCKED: a transaction holds one message, and the others are handled meanwhile."""
    held, free = documents
    with psycopg.connect(load(centre.node_file).database) as other:
        with _asleep(centre, *workers):
            centre.do("dispatch", clerk=CLERK, document=held)
            centre.do("dispatch", clerk=CLERK, document=free)
            rows = other.execute(
                "SELECT id FROM kernel_message WHERE pending AND subject LIKE %s FOR UPDATE",
                [f"%{held}"],
            ).fetchall()
            assert rows
        wait_until(lambda: _received(centre, free))
        assert not _received(centre, held)
        other.rollback()
    wait_until(lambda: _received(centre, held))


def _a_lost_database_connection_is_made_anew(centre: Site, document: str) -> None:
    """The server ends every connection of the node, as at its restart."""
    with psycopg.connect(load(centre.node_file).database, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    centre.kill_driver()
    centre.insist("dispatch", clerk=CLERK, document=document)
    wait_until(lambda: _received(centre, document))
    caller = HTTPConnection("127.0.0.1", centre.port, timeout=20)
    caller.request("GET", "/sign-in")
    assert caller.getresponse().status == 200
