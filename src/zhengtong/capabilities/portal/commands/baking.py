"""The book of baked pages: what has changed, and which page stands on what.

A *topic* is something a page shows: `article:<id>`, `list:<column>` (the newest of a column),
`archive:<column>:<page>`, `month:<202611>`, `months`, `site:<key>`, `file:<sha256>`. A command
touches topics inside its own transaction; the baker then takes them and writes the pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction

from zhengtong.capabilities.portal import queries
from zhengtong.capabilities.portal.domain.address import last_archived, page_of, places_on
from zhengtong.capabilities.portal.models import Article, BakeCheck, Column, Need, Removal, Stale
from zhengtong.kernel import moment

BATCH = 500
SCRUB = "scrub"
"""Not a topic of pages: what was deleted must be rubbed out of the files of the database."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Topics taken from the queue, and the rows to delete when their pages are done."""

    rows: tuple[int, ...]
    topics: frozenset[str]


def touch(topics: Iterable[str]) -> None:
    """Inside a command: let the pages on these topics be baked again."""
    Stale.objects.bulk_create([Stale(topic=topic) for topic in sorted(set(topics))])


def topics_of(article: Article, column: Column, place: int) -> set[str]:
    """Everything that changes when an article appears at, changes in, or leaves a place."""
    touched = {f"article:{article.pk}", f"list:{column.pk}", "months"}
    touched.add(f"month:{article.path.split('/')[2]}")
    pages = _around(column, page_of(place))
    if place == column.last_place and place == places_on(page_of(place))[0]:
        pages |= _around(column, last_archived(column.last_place))  # a page's time has come
    return touched | {f"archive:{column.pk}:{page}" for page in pages}


def _around(column: Column, page: int) -> set[int]:
    """A numbered page and those that link to it."""
    near = (page, queries.older_page(column, page), queries.newer_page(column, page))
    return {item for item in near if item}


def removal_waiting() -> bool:
    """Whether a withdrawal has not been reported as done."""
    return Removal.objects.filter(reported=False).exists()


def waiting() -> bool:
    """Whether there is anything to bake or to report."""
    return Stale.objects.exists() or removal_waiting()


def take() -> Batch:
    """The topics that wait, at most BATCH rows of them."""
    rows = list(Stale.objects.order_by("id").values_list("id", "topic")[:BATCH])
    return Batch(tuple(pk for pk, _ in rows), frozenset(topic for _, topic in rows))


def done(batch: Batch) -> None:
    """The pages of a batch are written: it is forgotten. Until then a crash repeats it."""
    Stale.objects.filter(pk__in=batch.rows).delete()


def record(needs: Mapping[str, frozenset[str]]) -> None:
    """Note what these baked pages stand on; nothing, where a page is gone."""
    known: dict[str, set[str]] = {path: set() for path in needs}
    for path, topic in Need.objects.filter(path__in=known).values_list("path", "topic"):
        known[path].add(topic)
    fresh = [(path, topic) for path, wanted in needs.items() for topic in wanted - known[path]]
    stale = [path for path, topics in known.items() if topics - needs[path]]
    with transaction.atomic():
        for path in stale:
            Need.objects.filter(path=path, topic__in=known[path] - needs[path]).delete()
        Need.objects.bulk_create(
            [Need(path=path, topic=topic) for path, topic in sorted(fresh)], ignore_conflicts=True
        )


def note_check(pages: int, differences: list[str], look: str) -> BakeCheck:
    """Keep the outcome of a full comparison."""
    return BakeCheck.objects.create(
        at=moment.now(), pages=pages, differences=differences[:100], look=look
    )
