"""The one indexer of a node: it empties the queue of changed records into the index.

The index is derived. Whatever happens to it, `rebuild` makes it anew from the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from uuid import UUID

from django.apps import apps
from django.conf import settings

from zhengtong.kernel import capability
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.records import Record
from zhengtong.kernel.search import (
    Entry,
    Index,
    IndexBusy,
    IndexUnwritable,
    IndexWriter,
    Reader,
    add_words,
)
from zhengtong.kernel.search.queue import Changed, rebuild_waiting

BATCH = 200


@cache
def index() -> Index:
    """The node's index, for reading."""
    teach_names()
    return Index(settings.NODE.index)


@cache
def teach_names() -> None:
    """Let the segmenter know the names of organisations, so that they stay whole words."""
    names = Organisation.objects.values_list("name", "short_name")
    add_words({name for pair in names for name in pair if len(name) > 1})


def reader(actor: Actor) -> Reader:
    """The actor as the index knows readers."""
    return Reader(
        ceiling=int(actor.ceiling),
        clearance=int(actor.clearance),
        organisation=str(actor.organisations[0]) if actor.organisations else None,
        person=str(actor.person) if actor.person else None,
        anonymous=actor.anonymous,
    )


class Indexer:
    """Holds the writer while it lives. Only one process can: others get IndexBusy and go on."""

    def __init__(self) -> None:
        self._writer: IndexWriter | None = None

    def work(self) -> bool:
        """Index what has changed; whether there was anything (or somebody else does it)."""
        changed = list(Changed.objects.order_by("id")[:BATCH])
        if not changed:
            return False
        try:
            return self._apply(self._open(), changed)
        except IndexBusy:
            return False
        except IndexUnwritable:
            self.close()  # a failed writer stays dead; a fresh one tries again
            raise

    def _apply(self, writer: IndexWriter, changed: list[Changed]) -> bool:
        if rebuild_waiting():
            self.rebuild()
            return True
        upserts, deletes = [], []
        for label, pk in {(item.model, item.record) for item in changed}:
            entry = _entry(label, pk)
            if entry is None:
                deletes.append(f"urn:zhengtong:{label.split('.')[1].lower()}:{pk}")
            else:
                upserts.append(entry)
        writer.apply(upserts, deletes)
        writer.commit()
        Changed.objects.filter(pk__in=[item.pk for item in changed]).delete()
        return True

    def rebuild(self) -> int:
        """Make the index anew from the tables; how many entries it holds."""
        newest = Changed.objects.order_by("-id").values_list("id", flat=True).first() or 0
        if self._writer is None:
            teach_names()
            self._writer = IndexWriter(settings.NODE.index)
        count = self._writer.rebuild(all_entries())
        Changed.objects.filter(pk__lte=newest).delete()
        return count

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> IndexWriter:
        if self._writer is None:
            teach_names()
            self._writer = IndexWriter(settings.NODE.index)
            if self._writer.needs_rebuild:
                self._writer.rebuild(all_entries())
        return self._writer


def all_entries() -> Iterator[Entry]:
    """Every searchable record of the node."""
    for searchable in capability.searchables().values():
        model = apps.get_model(searchable.model)
        for record in model.objects.unlabelled("rebuilding the index").iterator(chunk_size=500):
            entry = capability.entry_of(record)
            if entry is not None:
                yield entry


def _entry(label: str, pk: UUID) -> Entry | None:
    model: type[Record] = apps.get_model(label)
    record = model.objects.unlabelled("indexing").filter(pk=pk).first()
    return capability.entry_of(record) if record is not None else None
