"""What an index consists of and where it lies: generations in one folder, one of them in use.

    <folder>/current            the name of the generation in use, replaced in one step
    <folder>/writer.lock        held by the one process that writes
    <folder>/v1-000007/         a generation: a Tantivy index of schema version 1

A rebuild fills a fresh generation while readers go on with the old one. The index is derived
from the database, so anything unreadable here is answered by a rebuild, never by a repair.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tantivy import Schema

# Raised when the schema or the way texts become terms changes: every node then rebuilds.
SCHEMA_VERSION = 1


@cache
def schema() -> Schema:
    """The index: searched terms without positions, facets and date as columns, text as bytes."""
    from tantivy import SchemaBuilder

    builder = SchemaBuilder()
    for name in ("words", "title_words"):
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    for name in ("grams", "title_grams"):
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="basic")
    builder.add_text_field("urn", stored=True, tokenizer_name="raw", index_option="basic")
    for name in ("kind", "organisation"):
        builder.add_text_field(
            name, stored=True, fast=True, tokenizer_name="raw", index_option="basic"
        )
    for name in ("site", "column", "audience"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_date_field("date", stored=True, indexed=False, fast=True)
    for name in ("title", "body"):
        builder.add_bytes_field(name, stored=True)
    return builder.build()


class SearchError(Exception):
    """Base of what can go wrong with an index; the database is never affected."""


class IndexBusy(SearchError):
    """Another process (or another writer in this one) is writing the index."""


class IndexDamaged(SearchError):
    """The index on disk cannot be read. Remedy: rebuild it from the database."""


class IndexUnwritable(SearchError):
    """Changes could not be written, as on a full disk. The last commit stays readable.

    Remedy: free space, close this writer, open another and apply the changes again.
    """


def current(folder: Path) -> Path | None:
    """The generation in use, or None where there is none that this program can read."""
    try:
        name = (folder / "current").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise IndexDamaged(f"{folder / 'current'}: {error}") from error
    return folder / name if name.startswith(f"v{SCHEMA_VERSION}-") else None


def fresh(folder: Path) -> Path:
    """Create and return the folder of the next generation."""
    numbers = [int(p.name.rpartition("-")[2]) for p in generations(folder)]
    generation = folder / f"v{SCHEMA_VERSION}-{max(numbers, default=0) + 1:06d}"
    generation.mkdir()
    return generation


def put_in_use(generation: Path) -> None:
    """Make a finished generation the current one, durably and in one step."""
    folder = generation.parent
    beside = folder / "current.new"
    with beside.open("w", encoding="ascii") as file:
        file.write(generation.name + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / "current")
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path, keep: Path | None) -> None:
    """Remove all generations but one. Readers that have an old one open keep reading it."""
    for generation in generations(folder):
        if generation != keep:
            shutil.rmtree(generation, ignore_errors=True)


def generations(folder: Path) -> list[Path]:
    """The folders of all generations, finished or not."""
    return [p for p in folder.glob("v*-*") if p.name.rpartition("-")[2].isdigit()]


class WriterLock:
    """The right to write, held from construction to `release`; the kernel frees it at death."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "writer.lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise IndexBusy(f"the search index {folder} is being written elsewhere") from error

    def release(self) -> None:
        self._file.close()
