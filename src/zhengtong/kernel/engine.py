"""What we rely on in the database, asserted rather than hoped for."""

from __future__ import annotations

from contextlib import contextmanager
from collections.abc import Iterator

from django.db import OperationalError, connection

from zhengtong.kernel.errors import Unavailable

WANTED = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


class EngineNotAsExpected(RuntimeError):
    """The database does not run with the durability we promise."""


def assert_engine() -> None:
    """Check durability settings at start. An option in the wrong place otherwise does nothing."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for pragma, wanted in WANTED.items():
                cursor.execute(f"PRAGMA {pragma}")
                found = cursor.fetchone()[0]
                if found != wanted:
                    raise EngineNotAsExpected(f"SQLite {pragma} is {found!r}, must be {wanted!r}")
            if connection.transaction_mode != "IMMEDIATE":  # type: ignore[attr-defined]
                raise EngineNotAsExpected("SQLite transactions must begin IMMEDIATE")
        else:
            for setting in ("fsync", "synchronous_commit"):
                cursor.execute(f"SHOW {setting}")
                if cursor.fetchone()[0] == "off":
                    raise EngineNotAsExpected(f"PostgreSQL must run with {setting} on")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn a full disk or a locked database into a typed error with a remedy."""
    try:
        yield
    except OperationalError as error:
        text = str(error).lower()
        if "full" in text or "no space" in text or "disk i/o" in text:
            raise Unavailable("full") from error
        if "locked" in text or "timeout" in text or "deadlock" in text:
            raise Unavailable("busy") from error
        raise
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise Unavailable("full") from error
        raise


def locked_for_update(queryset, *, skip: bool = False):  # type: ignore[no-untyped-def]
    """Lock the rows where the engine has row locks; SQLite holds its one write lock anyway."""
    if connection.vendor == "sqlite":
        return queryset
    return queryset.select_for_update(of=("self",), skip_locked=skip)


def checkpoint() -> None:
    """Bring everything committed into SQLite's main file and empty the write-ahead log.

    So a copy of the one file is the whole database, and what was deleted is gone from the log.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
