"""search-100k: the house's search against SQLite FTS5 bigrams over 100,000 Chinese documents.

Both answer the same queries, drawn from the documents' running text: half of them words of two
characters, half longer. FTS5 returns the ten best ids. Ours does all that a reader gets: the
label inside the query, the ten best with titles and marked snippets, the total and two facets.

The indexes are kept under build/bench/ and used again until the indexing code or the sentences
change.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import search_corpus as corpus
from bench.parts import Row, row
from zhengtong.kernel.search import Entry, Index, IndexWriter, Reader, entry, store, words, writer

NAMES = ("search-100k",)
RECALL_QUERIES = 40
RECALL_PAGES = 25
KEPT = Path(__file__).parent.parent / "build" / "bench"
FIRST = datetime(2016, 1, 1, tzinfo=UTC)
APART = timedelta(minutes=30)
CITIZEN = Reader(ceiling=0)


def rows(short: bool) -> list[Row]:
    """One row; with `short` it searches fewer documents, which `documents` says."""
    number = 10_000 if short else 100_000
    made_of = corpus.sentences()
    folder, built = _prepare(KEPT, number, made_of)
    queries = corpus.queries(made_of)
    index = Index(folder / "index")
    with closing(sqlite3.connect(folder / "fts5.sqlite3")) as database:
        database.execute("PRAGMA mmap_size = 1073741824")
        ours, reference = _times(
            queries,
            lambda query: index.search(query, CITIZEN),
            lambda query: _fts5(database, query),
        )
    mine, theirs = _percentile(ours, 99), _percentile(reference, 99)
    return [
        row(
            NAMES[0],
            mine,
            theirs,
            theirs / mine,
            "ms p99",
            p50_ms=_percentile(ours, 50),
            p99_ms=mine,
            reference_p50_ms=_percentile(reference, 50),
            recall=_recall(index, queries, number, made_of),
            documents=number,
            queries=len(queries),
            **built,
        )
    ]


def _prepare(kept: Path, documents: int, sentences: list[str]) -> tuple[Path, dict[str, float]]:
    """The folder with both indexes, built unless it is there, and what the building took."""
    seal = hashlib.sha256("\n".join(sentences).encode())
    for module in (words, entry, store, writer):
        seal.update(Path(str(module.__file__)).read_bytes())
    folder = kept / f"search-{documents}"
    ready = folder / "ready.json"
    if ready.exists():
        known = json.loads(ready.read_text())
        if known.pop("seal") == seal.hexdigest():
            return folder, known
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = time.perf_counter()
    with IndexWriter(folder / "index") as index:
        index.rebuild(
            Entry(
                urn=f"urn:{number}",
                kind=("article", "document", "law")[number % 3],
                title=title,
                body=body,
                organisation=f"office-{number % 20}",
                date=FIRST + APART * number,
                level=0,
                open=True,
            )
            for number, (title, body) in enumerate(corpus.documents(documents, sentences))
        )
    ours = time.perf_counter() - start
    start = time.perf_counter()
    _build_fts5(folder / "fts5.sqlite3", documents, sentences)
    built = {
        "index_s": round(ours, 1),
        "index_mb": _megabytes(folder / "index"),
        "reference_index_s": round(time.perf_counter() - start, 1),
        "reference_index_mb": _megabytes(folder / "fts5.sqlite3"),
    }
    ready.write_text(json.dumps(built | {"seal": seal.hexdigest()}))
    return folder, built


def _build_fts5(file: Path, documents: int, sentences: list[str]) -> None:
    """Contentless FTS5 over bigrams in their order, title and body as columns, one segment."""
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("CREATE VIRTUAL TABLE page USING fts5(title, body, content='')")
        database.executemany(
            "INSERT INTO page(rowid, title, body) VALUES (?, ?, ?)",
            (
                (number, " ".join(_pairs(title)), " ".join(_pairs(body)))
                for number, (title, body) in enumerate(corpus.documents(documents, sentences))
            ),
        )
        database.execute("INSERT INTO page(page) VALUES ('optimize')")


def _pairs(text: str) -> list[str]:
    runs = re.findall(r"[^\W_]+", words.normalise(text))
    return [run[at : at + 2] for run in runs for at in range(len(run) - 1)]


def _fts5(database: sqlite3.Connection, query: str) -> list[tuple[int]]:
    phrase = '"' + " ".join(_pairs(query)) + '"'
    best = "SELECT rowid FROM page WHERE page MATCH ? ORDER BY bm25(page, 4.0, 1.0) LIMIT 10"
    return database.execute(best, (phrase,)).fetchall()


def _times(queries: list[str], *answers: Callable[[str], object]) -> list[list[float]]:
    """Milliseconds per query, sorted, for each way of answering.

    The ways take turns, three times each, and the best counts: that leaves out what neighbours
    on the machine disturb.
    """
    times: list[list[float]] = [[] for _ in answers]
    for query in queries:
        best = [float("inf")] * len(answers)
        for _ in range(3):
            for place, answer in enumerate(answers):
                start = time.perf_counter()
                answer(query)
                best[place] = min(best[place], (time.perf_counter() - start) * 1000)
        for place, took in enumerate(best):
            times[place].append(took)
    return [sorted(found) for found in times]


def _percentile(times: list[float], percent: int) -> float:
    return times[min(len(times) - 1, len(times) * percent // 100)]


def _recall(index: Index, queries: list[str], documents: int, sentences: list[str]) -> float:
    """The share of documents containing a two-character query that the search returns.

    For some queries, documents that contain the characters are drawn at random, and each is
    sought by the query within its own half hour. A total other than the true one counts as 0.
    """
    chance = random.Random(corpus.SEED)
    asked = [query for query in queries if len(query) == 2][:RECALL_QUERIES]
    containing: dict[str, list[int]] = {query: [] for query in asked}
    for number, (title, body) in enumerate(corpus.documents(documents, sentences)):
        for query in asked:
            if query in body or query in title:
                containing[query].append(number)
    sought = found = 0
    for query, numbers in containing.items():
        total_is_true = index.search(query, CITIZEN).total == len(numbers)
        for number in chance.sample(numbers, min(RECALL_PAGES, len(numbers))):
            since = FIRST + APART * number
            hits = index.search(query, CITIZEN, since=since, until=since + APART).hits
            sought += 1
            found += total_is_true and [hit.urn for hit in hits] == [f"urn:{number}"]
    return found / sought if sought else 0.0


def _megabytes(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6, 1)
