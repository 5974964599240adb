"""Small stand-ins for a capability: records, actors, commands and facts the kernel is tried with.

Probe commands are made without the registry, so that no other test meets them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import pytest
from django.db import connection, connections

from tests import build
from zhengtong.kernel.commands import Act, Command
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.labels import Level, Share
from zhengtong.kernel.messages import facts, reactions
from zhengtong.kernel.messages.facts import Fact
from zhengtong.kernel.tasks import Task

P = ParamSpec("P")
T = TypeVar("T")


def task_of(owner: Organisation | UUID, **given: Any) -> Task:
    """An unsaved task: the plainest record there is."""
    values: dict[str, Any] = {
        "owner_id": owner.pk if isinstance(owner, Organisation) else owner,
        "level": Level.INTERNAL,
        "share": Share.CONDITIONAL,
        "kind": "probe",
        "title": "核对值班表",
        "subject": "urn:zhengtong:probe:1",
        "page": "/",
        "duty": "probe.make",
    }
    return Task(**(values | given))


def saved_task(owner: Organisation | UUID, **given: Any) -> Task:
    task = task_of(owner, **given)
    task.save(force_insert=True)
    return task


def clerk_of(owner: Organisation, *duties: str, **given: Any) -> Actor:
    return build.person(owner, duties or ("probe.make",), **given)


def probe(
    name: str = "probe.make", title: str = "试办"
) -> Callable[[Callable[Concatenate[Act, P], T]], Command[P, T]]:
    """`@command`, without entering the registry."""
    return lambda body: Command(name, title, body)


def everything(model: Any) -> Any:
    """All rows of a model, labelled or not: the test is no reader."""
    found = model.objects
    return found.unlabelled("a test counts") if hasattr(found, "unlabelled") else found.all()


def register_fact(monkeypatch: pytest.MonkeyPatch, kind: str, cls: type[Fact]) -> None:
    """Let a fact be known for one test."""
    monkeypatch.setattr(cls, "kind", kind)
    monkeypatch.setitem(facts._kinds, kind, cls)


def register_reaction(
    monkeypatch: pytest.MonkeyPatch, kind: str, **bodies: reactions.Reaction
) -> None:
    """Let these be the reactions to a kind of fact for one test."""
    monkeypatch.setitem(reactions._reactions, kind, dict(bodies))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Outcome:
    """What one thread's work came to: its value or its error."""

    value: Any = None
    error: BaseException | None = None


def at_once(*works: Callable[[], Any]) -> list[Outcome]:
    """Run each in a thread with a database connection of its own, all released together."""
    gate = threading.Barrier(len(works))
    outcomes = [Outcome() for _ in works]

    def run(outcome: Outcome, work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            gate.wait(30)
            outcome.value = work()
        except BaseException as error:  # handed to the test, which judges it
            outcome.error = error
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=pair) for pair in zip(outcomes, works, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def failing_insert(table: str, words: str, state: str = "P0001") -> Iterator[None]:
    """Let every insert into a table fail inside the database, on PostgreSQL with this SQLSTATE."""
    if connection.vendor == "sqlite":
        execute(
            f"CREATE TRIGGER probe_fails BEFORE INSERT ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{words}'); END"
        )
        gone = "DROP TRIGGER probe_fails"
    else:
        execute(
            "CREATE FUNCTION probe_fails() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{words}' USING ERRCODE = '{state}'; END $$"
        )
        execute(
            f"CREATE TRIGGER probe_fails BEFORE INSERT ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION probe_fails()"
        )
        gone = "DROP FUNCTION probe_fails() CASCADE"
    try:
        yield
    finally:
        execute(gone)
