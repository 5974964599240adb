"""The one writer of an index: entries go in, keyed by urn, and become visible on commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from zhengtong.kernel.search import store
from zhengtong.kernel.search.entry import Entry, audience
from zhengtong.kernel.search.store import schema
from zhengtong.kernel.search.words import bigrams, characters, words

if TYPE_CHECKING:
    import tantivy

# The least Tantivy accepts: a node lives in 150 MB, and a small heap only means more merging.
HEAP_BYTES = 15_000_000
# What follows in a longer body is not searched: a term list of it all would not fit a node.
LONGEST_BODY = 500_000


class IndexWriter:
    """The right to write an index folder, and the means. Raises `IndexBusy` when another has it.

        with IndexWriter(folder) as writer:
            if writer.needs_rebuild:
                writer.rebuild(everything)
            writer.apply(upserts=changed, deletes=gone)
            writer.commit()

    Applying the same changes again changes nothing, so a feed may be replayed from any point.
    Changes not committed before `close` are dropped.
    """

    def __init__(self, folder: Path, *, heap_bytes: int = HEAP_BYTES) -> None:
        self._folder = folder
        self._heap_bytes = heap_bytes
        self._writer: tantivy.IndexWriter | None = None
        self._lock: store.WriterLock | None = store.WriterLock(folder)

    @property
    def needs_rebuild(self) -> bool:
        """Whether the folder holds no index yet, one of an older program, or a damaged one."""
        try:
            self._in_use()
        except store.IndexDamaged:
            return True
        return False

    def apply(self, upserts: Iterable[Entry] = (), deletes: Iterable[str] = ()) -> None:
        """Put entries in, each replacing the one of its urn, then take the deleted urns out.

        Raises `IndexDamaged` while the index needs a rebuild, `IndexUnwritable` on a full disk.
        """
        writer = self._in_use()
        for entry in upserts:
            document = _document(entry)
            with _writing():
                writer.delete_documents_by_term("urn", entry.urn)
                writer.add_document(document)
        for urn in deletes:
            with _writing():
                writer.delete_documents_by_term("urn", urn)

    def commit(self) -> None:
        """Make everything applied so far durable, and visible to readers at their next search."""
        writer = self._in_use()
        with _writing():
            writer.commit()

    def rebuild(self, entries: Iterable[Entry]) -> int:
        """Replace the whole index by these entries (one per urn) and return their number.

        Readers find the old content until the new is complete. If `entries` fails half way, the
        old index stays in use. Changes applied but not committed before are dropped.
        """
        self._require_lock()
        self._drop()
        generation = store.fresh(self._folder)
        try:
            self._writer = self._open(generation, new=True)
            number = 0
            for entry in entries:
                document = _document(entry)
                with _writing():
                    self._writer.add_document(document)
                number += 1
            with _writing():
                self._writer.commit()
                store.put_in_use(generation)
        except BaseException:
            self._drop()  # what lies half written is swept away when the old index is opened
            raise
        store.sweep(self._folder, keep=generation)
        return number

    def close(self) -> None:
        """Give up the right to write. Closing twice is harmless."""
        lock, self._lock = self._lock, None
        self._drop()
        if lock is not None:
            lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _require_lock(self) -> None:
        if self._lock is None:
            raise store.IndexUnwritable("this writer has been closed")

    def _in_use(self) -> tantivy.IndexWriter:
        """The writer of the generation in use, opened at the first need."""
        self._require_lock()
        if self._writer is None:
            generation = store.current(self._folder)
            if generation is None:
                raise store.IndexDamaged(f"{self._folder} holds no index of this version: rebuild")
            self._writer = self._open(generation, new=False)
            store.sweep(self._folder, keep=generation)
        return self._writer

    def _open(self, generation: Path, *, new: bool) -> tantivy.IndexWriter:
        from tantivy import Index

        try:
            index = Index(schema(), str(generation)) if new else Index.open(str(generation))
            index.config_reader("manual")
            index.reload()  # meets every file, so that a missing one is noticed here
            return index.writer(self._heap_bytes, 1)
        except (ValueError, OSError) as error:
            raise store.IndexDamaged(f"{generation}: {error}") from error

    def _drop(self) -> None:
        """Let the writer's threads end and forget it, with whatever it has not committed."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(ValueError, OSError, RuntimeError):
                writer.wait_merging_threads()


def _document(entry: Entry) -> tantivy.Document:
    from tantivy import Document

    body = entry.body[:LONGEST_BODY]
    title_words = words(entry.title)
    title_grams = bigrams(entry.title)
    values = {
        "words": " ".join(title_words + words(body)),
        "title_words": " ".join(title_words),
        "grams": " ".join(title_grams | bigrams(body)),
        "title_grams": " ".join(title_grams | characters(entry.title)),
        "urn": entry.urn,
        "kind": entry.kind,
        "organisation": entry.organisation,
        "site": entry.site,
        "column": entry.column,
        "audience": list(audience(entry)),
        "date": entry.date.astimezone(UTC),
        "title": entry.title.encode(errors="replace"),
        "body": body.encode(errors="replace"),
    }
    return Document.from_dict(values, schema())


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        raise store.IndexUnwritable(str(error)) from error
