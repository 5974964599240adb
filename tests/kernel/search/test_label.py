"""The label inside the query: every combination of the decision table, with and without sign-in.

The table is stated here again, line by line, so that this test judges the index by the rule and
not by the index's own idea of it.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from zhengtong.kernel.search import BadEntry, Entry, Index, IndexWriter, Reader

from .conftest import FIRST_DAY, Page

OURS, THEIRS = "organisation-a", "organisation-b"
ME, SOMEBODY = "person-1", "person-2"


def permitted(entry: Entry, reader: Reader) -> bool:
    """The decision table: the first line that fits decides."""
    named = reader.person in entry.named
    own = reader.organisation == entry.organisation
    granted = reader.organisation in entry.grants
    table = [
        (entry.level > reader.ceiling, False),
        (reader.clearance < entry.level, False),
        (entry.level == 0 and entry.open, True),
        (reader.anonymous, False),
        (entry.level >= 3, named),
        (own, True),
        (entry.share == 2, False),
        (entry.share == 0 and entry.level <= 1, True),
        (granted, True),
    ]
    return next((answer for fits, answer in table if fits), False)


ENTRIES = [
    Entry(
        urn=f"urn:{number}",
        kind=f"level-{level}",
        title="关于防汛的通知",
        body="",
        organisation=OURS if own else THEIRS,
        date=FIRST_DAY + timedelta(hours=number),
        level=level,
        share=share,
        open=is_open,
        grants=(OURS, "organisation-c") if granted else ("organisation-c",),
        named=(SOMEBODY, ME) if named else (SOMEBODY,),
    )
    for number, (level, is_open, share, named, own, granted) in enumerate(
        product(range(6), (True, False), range(3), (True, False), (True, False), (True, False))
    )
]
READERS = [
    Reader(ceiling=ceiling, clearance=clearance, organisation=OURS, person=ME, anonymous=anonymous)
    for ceiling, clearance, anonymous in product(range(6), range(6), (True, False))
]
# People without an organisation, and organisations' machines that are no person.
READERS += [Reader(5, 5, None, ME, False), Reader(5, 5, OURS, None, False), Reader(5, 5)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("labels")
    with IndexWriter(folder) as writer:
        writer.rebuild(ENTRIES)
    return Index(folder)


@pytest.mark.parametrize("order", ["relevance", "newest"])
def test_found_is_exactly_what_the_rule_permits(index: Index, order: str) -> None:
    assert len(ENTRIES) == 288
    for reader in READERS:
        expected = {entry.urn: entry for entry in ENTRIES if permitted(entry, reader)}
        found: set[str] = set()
        for offset in range(0, len(ENTRIES), 100):
            page = index.search("防汛", reader, order=order, offset=offset, limit=100)  # type: ignore[arg-type]
            found |= {hit.urn for hit in page.hits}
        assert found == set(expected), reader


def test_totals_and_facets_count_nothing_else(index: Index) -> None:
    for reader in READERS:
        expected = [entry for entry in ENTRIES if permitted(entry, reader)]
        results = index.search("防汛", reader)
        kinds = [entry.kind for entry in expected]
        owners = [entry.organisation for entry in expected]
        assert results.total == len(expected)
        assert dict(results.facets["kind"]) == {kind: kinds.count(kind) for kind in kinds}
        assert dict(results.facets["organisation"]) == {o: owners.count(o) for o in owners}


def test_narrowing_does_not_widen(index: Index) -> None:
    for reader in READERS:
        for kind in ("level-0", "level-4"):
            expected = {e.urn for e in ENTRIES if e.kind == kind and permitted(e, reader)}
            page = index.search("防汛", reader, kinds=[kind], limit=100)
            assert {hit.urn for hit in page.hits} == expected


def test_relaxed_searches_obey_the_label(index: Index) -> None:
    clerk = Reader(ceiling=2, clearance=1, organisation=OURS, person=ME, anonymous=False)
    results = index.search("防汛通知火箭发射", clerk)
    assert results.relaxed
    assert results.total == sum(permitted(entry, clerk) for entry in ENTRIES)


def test_a_changed_label_holds_from_the_next_commit(page: Page, tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    public = page("防汛通知", urn="urn:changing")
    withdrawn = page("防汛通知", urn="urn:changing", open=False)
    index, citizen = Index(folder), Reader(ceiling=0)
    with IndexWriter(folder) as writer:
        writer.rebuild([public])
        assert index.search("防汛", citizen).total == 1
        writer.apply([withdrawn])
        writer.commit()
        assert index.search("防汛", citizen).total == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("level", 6), ("level", -1), ("share", 3), ("urn", ""), ("kind", ""), ("organisation", "")],
)
def test_an_entry_without_a_proper_label_is_refused(page: Page, field: str, value: object) -> None:
    with pytest.raises(BadEntry, match=field):
        page("无效", **{field: value})


def test_an_entry_with_a_naive_date_is_refused(page: Page) -> None:
    with pytest.raises(BadEntry, match="date"):
        page("无效", date=FIRST_DAY.replace(tzinfo=None))
