"""Searching an index: cheap to hold in every process, always at the writer's last commit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from zhengtong.kernel.search import query as asked
from zhengtong.kernel.search import store
from zhengtong.kernel.search.entry import Reader
from zhengtong.kernel.search.highlight import Segments, excerpt, marked, pattern
from zhengtong.kernel.search.query import Scope
from zhengtong.kernel.search.words import Phrase, phrases

if TYPE_CHECKING:
    import tantivy

Order = Literal["relevance", "newest"]

MOST_HITS = 100
# Beyond this nobody turns pages; the total still says how many there are.
DEEPEST = 10_000
MOST_FACETS = 100
# A query of fewer words is not relaxed: half of two words is any of them.
FEWEST_TO_RELAX = 3


@dataclass(frozen=True, slots=True)
class Hit:
    """One page found. `score` compares hits of one search only and is 0 in order of date."""

    urn: str
    kind: str
    organisation: str
    title: str
    date: datetime
    score: float
    title_segments: Segments
    snippet: Segments


@dataclass(frozen=True, slots=True)
class Results:
    """What a search found and this reader may see.

    total    all pages found, of which `hits` is one stretch
    facets   "kind" and "organisation": (value, number of pages), most frequent first; each
             counted as if the search were not narrowed by itself
    relaxed  no page carried all words asked for; these carry at least half of them
    """

    total: int = 0
    hits: tuple[Hit, ...] = ()
    facets: Mapping[str, tuple[tuple[str, int], ...]] = field(
        default_factory=lambda: {"kind": (), "organisation": ()}
    )
    relaxed: bool = False


class Index:
    """A reader of the index in a folder. Safe to share between threads.

    A folder that holds no index yet is searched like an empty one; `ready` tells the two apart.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._seen: tuple[object, ...] = ()
        self._opened: tuple[Path, tantivy.Index] | None = None
        self._searcher: tantivy.Searcher | None = None

    @property
    def ready(self) -> bool:
        """Whether there is an index of the present schema; if not, the writer must rebuild."""
        return self._latest() is not None

    def __len__(self) -> int:
        """The number of entries, whoever may read them: for the operator, never for readers."""
        searcher = self._latest()
        return searcher.num_docs if searcher else 0

    def search(
        self,
        query: str,
        reader: Reader,
        *,
        kinds: Sequence[str] = (),
        organisation: str = "",
        site: str = "",
        column: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        order: Order = "relevance",
        offset: int = 0,
        limit: int = 10,
    ) -> Results:
        """Pages that fit the query, lie in scope (since ≤ date < until) and may be read.

        A query without any letter, digit or character finds nothing; one that is a single
        character finds the titles that contain it. Raises `IndexDamaged`; ValueError for a
        limit outside 1…100, a negative offset, a naive time or an unknown order.
        """
        _check(since, until, order, offset, limit)
        wanted = phrases(query)
        searcher = self._latest()
        if not wanted or searcher is None:
            return Results()
        scope = Scope(tuple(kinds), organisation, site, column, since, until)
        search = _Search(searcher, reader, scope, wanted)
        relaxed = False
        total, found = search.page(order, offset, limit)
        if not total and sum(len(phrase.words) for phrase in wanted) >= FEWEST_TO_RELAX:
            search = _Search(searcher, reader, scope, wanted, half=True)
            total, found = search.page(order, offset, limit)
            relaxed = total > 0
        marks = pattern(wanted)
        hits = tuple(_hit(searcher.doc(at), score, wanted, marks) for score, at in found)
        return Results(total, hits, search.facets(), relaxed) if total else Results()

    def _latest(self) -> tantivy.Searcher | None:
        """A searcher of the last commit. Two file times tell whether anything has changed."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    self._refresh()
                except store.IndexDamaged:
                    # A rebuild may have replaced the generation under our hands; once is enough.
                    if attempt == 2:
                        raise
                else:
                    break
            return self._searcher

    def _refresh(self) -> None:
        from tantivy import Index as Generation

        generation = store.current(self._folder)
        if generation is None:
            self._opened = self._searcher = None
            return
        try:
            meta = (generation / "meta.json").stat()
            seen = (generation, meta.st_ino, meta.st_mtime_ns, meta.st_size)
            if self._searcher is not None and seen == self._seen:
                return
            if self._opened is None or self._opened[0] != generation:
                opened = Generation.open(str(generation))
                opened.config_reader("manual")
                self._opened = (generation, opened)
            self._opened[1].reload()
            self._searcher = self._opened[1].searcher()
            self._seen = seen
        except (OSError, ValueError) as error:
            self._opened = self._searcher = None
            raise store.IndexDamaged(f"{generation}: {error}") from error


class _Search:
    """One question put to one state of the index."""

    def __init__(
        self,
        searcher: tantivy.Searcher,
        reader: Reader,
        scope: Scope,
        wanted: Sequence[Phrase],
        *,
        half: bool = False,
    ) -> None:
        self._searcher = searcher
        self._reader = reader
        self._scope = scope
        self._wanted = wanted
        self._match = asked.matching(wanted, half=half)

    def page(
        self, order: Order, offset: int, limit: int
    ) -> tuple[int, list[tuple[float, tantivy.DocAddress]]]:
        """The number of all pages found and a stretch of them as (score, address)."""
        query = self._in(self._scope)
        if offset + limit > DEEPEST:
            return _total(self._searcher.search(query, 1, order_by_field="date")), []
        if order == "newest":
            result = self._searcher.search(query, limit, offset=offset, order_by_field="date")
            return _total(result), [(0.0, at) for _, at in result.hits]
        query = asked.ranked(query, asked.raising(self._wanted))
        result = self._searcher.search(query, limit, offset=offset)
        return _total(result), list(result.hits)

    def facets(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """Pages per kind and per organisation, each not narrowed by itself."""
        free = {
            "kind": replace(self._scope, kinds=()),
            "organisation": replace(self._scope, organisation=""),
        }
        if free["kind"] == free["organisation"]:
            return self._count(self._scope, *free)
        return {name: self._count(scope, name)[name] for name, scope in free.items()}

    def _count(self, scope: Scope, *names: str) -> dict[str, tuple[tuple[str, int], ...]]:
        wish = {name: {"terms": {"field": name, "size": MOST_FACETS}} for name in names}
        answer = self._searcher.aggregate(self._in(scope), wish)
        return {
            name: tuple((str(b["key"]), int(b["doc_count"])) for b in answer[name]["buckets"])
            for name in names
        }

    def _in(self, scope: Scope) -> tantivy.Query:
        return asked.both(asked.allowed(self._reader, scope), self._match)


def _total(result: Any) -> int:
    """The count that Tantivy returns beside the hits; its type stubs leave it out."""
    return int(result.count)


def _hit(
    page: tantivy.Document,
    score: float,
    wanted: Sequence[Phrase],
    marks: re.Pattern[str] | None,
) -> Hit:
    def value(name: str) -> Any:
        return page.get_first(name)

    title = value("title").decode()
    return Hit(
        urn=value("urn"),
        kind=value("kind"),
        organisation=value("organisation"),
        title=title,
        date=value("date").astimezone(UTC),
        score=score,
        title_segments=marked(title, marks),
        snippet=excerpt(value("body").decode(), wanted, marks),
    )


def _check(
    since: datetime | None, until: datetime | None, order: str, offset: int, limit: int
) -> None:
    if order not in ("relevance", "newest"):
        raise ValueError(f"order must be 'relevance' or 'newest', not {order!r}")
    if offset < 0 or not 1 <= limit <= MOST_HITS:
        raise ValueError(f"offset must be ≥ 0 and limit 1…{MOST_HITS}, not {offset} and {limit}")
    if any(time is not None and time.tzinfo is None for time in (since, until)):
        raise ValueError("since and until must be zone-aware")
