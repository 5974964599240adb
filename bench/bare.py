"""The floor under every exchange row: the same bytes, durable in two databases, and no more."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench import load

BATCH = 100


def insert_pairs(folder: Path, number: int) -> float:
    """Letters a second: each 4 KiB inserted here and there, a commit on either side per hundred."""
    body = os.urandom(load.BODY)
    with closing(_open(folder / "here")) as here, closing(_open(folder / "there")) as there:
        began = time.monotonic()
        for _ in range(number // BATCH):
            for side in (here, there):
                with side:
                    side.executemany("INSERT INTO letter (body) VALUES (?)", [(body,)] * BATCH)
        return number / (time.monotonic() - began)


def _open(path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(path)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute("PRAGMA synchronous=FULL")
    made.execute("CREATE TABLE letter (number INTEGER PRIMARY KEY, body BLOB)")
    return made
