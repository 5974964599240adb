"""What we rely on in the database, asserted rather than hoped for."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import OperationalError, connection
from django.db.models import AutoField, Field, Model, QuerySet

from zhengtong.kernel.errors import Unavailable

M = TypeVar("M", bound=Model)

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


def storable(text: str, length: int) -> str:
    """A neighbour's words as a column can hold them: cut, and without zero characters."""
    return text.replace("\x00", "\ufffd")[:length]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn a full or faulty disk or a locked database into a typed error with a remedy."""
    try:
        yield
    except OperationalError as error:
        if reason := _reason(error.__cause__):
            raise Unavailable(reason) from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise Unavailable("full") from error
        if error.errno == errno.EIO:
            raise Unavailable("faulty") from error
        raise


def _reason(error: BaseException | None) -> str | None:
    """Why the engine could not, by its code: a server words its errors in its own language."""
    sqlite = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says more than we ask
    state = getattr(error, "sqlstate", None) or ""
    if sqlite == sqlite3.SQLITE_FULL or state == "53100":
        return "full"
    if sqlite == sqlite3.SQLITE_IOERR or state == "58030":  # SQLite's may hide a full disk
        return "faulty"
    if sqlite in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "busy"
    # Connections lost, resources short, deadlocks, locks not had, statements and servers stopped.
    known = ("08", "40", "53", "55P03", "57014", "57P")
    return "busy" if state.startswith(known) else None


def locked_for_update(queryset: QuerySet[M], *, skip: bool = False) -> QuerySet[M]:
    """Lock the rows where the engine has row locks; SQLite holds its one write lock anyway."""
    if connection.vendor == "sqlite":
        return queryset
    return queryset.select_for_update(of=("self",), skip_locked=skip)


def insert_all(rows: Sequence[Model]) -> None:
    """Insert new rows of one table, as bulk_create does, in half its time.

    One prepared statement runs over all rows. Rows whose key the database gives do not learn it,
    and no signal is sent.
    """
    if not rows:
        return
    table, quote = rows[0]._meta, connection.ops.quote_name
    fields = [field for field in table.concrete_fields if not isinstance(field, AutoField)]
    into = f"{quote(table.db_table)} ({', '.join(quote(str(field.column)) for field in fields)})"
    places = ", ".join(["%s"] * len(fields))
    statement = f"INSERT INTO {into} VALUES ({places})"  # noqa: S608 - the table's own names
    columns = [_prepared(field, [getattr(row, field.attname) for row in rows]) for field in fields]
    with connection.cursor() as cursor:
        cursor.executemany(statement, list(zip(*columns, strict=True)))


def _prepared(field: Field[Any, Any], values: list[Any]) -> list[Any]:
    """The values of one column as the engine takes them."""
    sort = field.get_internal_type()
    if sort == "DateTimeField":  # many rows share a few moments
        prepared = {value: field.get_db_prep_save(value, connection) for value in set(values)}
        return [prepared[value] for value in values]
    if sort in ("UUIDField", "JSONField"):
        return [field.get_db_prep_save(value, connection) for value in values]
    return values


def checkpoint() -> None:
    """Bring everything committed into SQLite's main file and empty the write-ahead log.

    So a copy of the one file is the whole database, and what was deleted is gone from the log.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def overwrite_deleted() -> None:
    """From now on let this connection overwrite with zeros what it deletes.

    PostgreSQL has no such mode: there the row is out of reach once `leave_no_trace` has run, and
    the server's files lie outside the node's folder.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete=ON")


def leave_no_trace(*tables: type[Model]) -> bool:
    """Rid the database's files of what was deleted from these tables; False: busy, try again.

    SQLite moves its log into the file and cuts it to nothing; PostgreSQL vacuums the tables.
    Outside a transaction only.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy, _, _ = cursor.fetchone()
            return not busy
        names = ", ".join(connection.ops.quote_name(table._meta.db_table) for table in tables)
        cursor.execute(f"VACUUM {names}")
    return True
