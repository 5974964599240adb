"""What would cost a test much and prove nothing there: set aside for every test, shown by its own.

Both concern the test's own process alone; nodes that a test starts are as in life.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection

from zhengtong.kernel.directory.passwords import Argon2


class QuickArgon2(Argon2):
    """Argon2id at the least cost there is: guessing the password of a test need not be slow."""

    time_cost = 1
    memory_cost = 8


def save() -> None:
    """Hash quickly, and empty PostgreSQL's tables row by row. Django must be up."""
    settings.PASSWORD_HASHERS = [f"{__name__}.{QuickArgon2.__name__}"]
    if connection.vendor == "postgresql":
        type(connection.ops).sql_flush = _deletions  # type: ignore[method-assign]


def _deletions(self: Any, style: Any, tables: Any, **_: bool) -> list[str]:
    """In place of TRUNCATE, which makes the files of every table anew, however few rows it has.

    Foreign keys are looked at when the flush commits, so any order will do. The room that is left
    is used again, as in life: a query that names no order gets its rows in any.
    """
    return [";".join(f"DELETE FROM {self.quote_name(table)}" for table in tables)]
