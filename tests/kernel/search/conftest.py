"""Entries and indexes for the search tests; public unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from zhengtong.kernel.search import Entry, Index, IndexWriter, Reader

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
CITIZEN = Reader(ceiling=0)
_numbers = count(1)

Page = Callable[..., Entry]
Build = Callable[[Iterable[Entry]], Index]


def make_page(title: str, body: str = "", **values: Any) -> Entry:
    number = next(_numbers)
    given: dict[str, Any] = {
        "urn": f"urn:page:{number}",
        "kind": "article",
        "organisation": "office",
        "date": FIRST_DAY + timedelta(days=number),
        "level": 0,
        "open": True,
    } | values
    return Entry(title=title, body=body, **given)


@pytest.fixture(scope="session")
def page() -> Page:
    return make_page


@pytest.fixture(scope="session")
def citizen() -> Reader:
    return CITIZEN


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Index these entries in a fresh folder."""

    def make(entries: Iterable[Entry]) -> Index:
        with IndexWriter(tmp_path) as writer:
            writer.rebuild(entries)
        return Index(tmp_path)

    return make
