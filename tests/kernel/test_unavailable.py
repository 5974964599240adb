"""A full disk or a held lock: the command says so in plain words and leaves nothing half done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from django.db import OperationalError, connection

from tests import build
from tests.kernel.probes import clerk_of, everything, execute, failing_insert, probe, saved_task
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.engine import assert_engine, plain_errors
from zhengtong.kernel.errors import Unavailable
from zhengtong.kernel.notices import Notice
from zhengtong.kernel.numbering import Counter, next_number
from zhengtong.kernel.tasks import Task

pytestmark = pytest.mark.django_db(transaction=True)

FULL = "磁盘已满，本次操作没有保存。请联系管理员清理空间后重试。"
BUSY = "系统正忙，本次操作没有保存。请稍候重试。"
TABLES = (Task, Notice, AuditEntry, Counter)


@probe()
def fill(act: Act, size: int = 2_000_000) -> Task:
    """Take a number (a savepoint within), then write more than a few pages."""
    next_number(act.actor.organisation, "试", 2026)
    task = saved_task(act.actor.organisation)
    Notice.objects.create(organisation=act.actor.organisation, kind="x", text="字" * 100)
    Task.objects.unlabelled("filling").filter(pk=task.pk).update(page="页" * size)
    return task


def counts() -> list[int]:
    return [everything(table).count() for table in TABLES]


@pytest.fixture
def clerk(db: None) -> Actor:
    return clerk_of(build.organisation())


@contextmanager
def disk_full() -> Iterator[None]:
    """SQLite may not grow; PostgreSQL's statement fails with the state of a full disk."""
    if connection.vendor != "sqlite":
        words = "无法扩展文件: 设备上没有空间"  # as a server speaking Chinese says it
        with failing_insert("kernel_notice", words, state="53100"):
            yield
        return
    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        execute("PRAGMA max_page_count = 1073741823")


@contextmanager
def locked_by_another() -> Iterator[None]:
    """A second connection holds what every command needs; ours soon loses patience."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        execute("PRAGMA busy_timeout = 50")
        with closing(sqlite3.connect(settings["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        execute("PRAGMA busy_timeout = 20000")
        return
    execute("SET lock_timeout = '50ms'")
    with psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        dbname=settings["NAME"],
    ) as other:
        other.execute("LOCK TABLE kernel_auditentry IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()
    execute("RESET lock_timeout")


def test_on_a_full_disk_nothing_is_half_done(clerk: Actor) -> None:
    before = counts()
    with disk_full(), pytest.raises(Unavailable) as caught:
        fill(clerk)
    assert (caught.value.message, caught.value.status) == (FULL, 503)
    assert counts() == before
    assert fill(clerk, 10)  # and goes on once there is room again
    assert Counter.objects.get().last == 1


def test_a_held_lock_is_told_as_busy(clerk: Actor) -> None:
    before = counts()
    with locked_by_another(), pytest.raises(Unavailable) as caught:
        fill(clerk, 10)
    assert (caught.value.message, caught.value.reason) == (BUSY, "busy")
    assert counts() == before
    assert fill(clerk, 10)


def test_a_denial_that_cannot_be_recorded_is_told_as_busy(clerk: Actor) -> None:
    stranger = Actor(clerk.name, clerk.urn, clerk.organisations, person=clerk.person)
    with locked_by_another(), pytest.raises(Unavailable) as caught:
        fill(stranger)
    assert caught.value.reason == "busy"


# SQLSTATE → what a person is told. A server may word its errors in any language.
STATES = {
    "53100": "full",  # disk_full
    "58030": "faulty",  # io_error
    "53200": "busy",  # out_of_memory
    "53300": "busy",  # too_many_connections
    "55P03": "busy",  # lock_not_available
    "40P01": "busy",  # deadlock_detected
    "57014": "busy",  # query_canceled, by a timeout
    "57P01": "busy",  # admin_shutdown
    "08006": "busy",  # connection_failure
}


@pytest.mark.parametrize("state", STATES)
def test_an_error_of_the_server_is_told_by_its_state(state: str) -> None:
    cause = psycopg.errors.lookup(state)("服务器说了些什么") if state != "08006" else _state(state)
    with pytest.raises(Unavailable) as caught, plain_errors():
        raise OperationalError("服务器说了些什么") from cause
    assert caught.value.reason == STATES[state]


def _state(state: str) -> Exception:
    class Lost(psycopg.OperationalError):
        sqlstate = state

    return Lost("连接中断")


@pytest.mark.parametrize("number", [28, 122, 27])  # ENOSPC, EDQUOT, EFBIG
def test_a_full_file_system_is_told_as_full(number: int) -> None:
    with pytest.raises(Unavailable, match="磁盘已满"), plain_errors():
        raise OSError(number, "x")


def test_a_disk_that_fails_is_not_told_as_full_only() -> None:
    """Who made room and found it of no use would look no further."""
    with pytest.raises(Unavailable, match="磁盘已满或出现故障"), plain_errors():
        raise OSError(5, "Input/output error")


def test_other_errors_pass_as_they_are() -> None:
    for error in (OperationalError("no such table: x"), OSError(2, "x"), ValueError("full")):
        with pytest.raises(type(error)), plain_errors():
            raise error


def test_the_engine_runs_with_the_promised_durability() -> None:
    if connection.vendor == "sqlite":
        assert_engine()
        execute("PRAGMA synchronous = OFF")
        try:
            with pytest.raises(RuntimeError, match="synchronous is 0, must be 2"):
                assert_engine()
        finally:
            execute("PRAGMA synchronous = FULL")
    else:  # the suite's own server is started for speed; the check must notice
        with pytest.raises(RuntimeError, match="fsync on"):
            assert_engine()
