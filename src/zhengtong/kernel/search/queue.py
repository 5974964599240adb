"""Which records have changed since they were indexed: written by commands, read by the indexer."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from zhengtong.kernel import capability
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.records import Record

EVERYTHING = "*"
"""In place of a model: the whole index is to be made anew, and its old files deleted."""


class Changed(models.Model):
    """One record to be indexed again. `model` is its Django label, or `EVERYTHING`."""

    id = models.BigAutoField(primary_key=True)
    model = models.CharField(max_length=60)
    record = models.UUIDField()


def enqueue(records: Iterable[Record]) -> None:
    """Inside a command: let the indexer look at these records again, if they are searchable."""
    known = capability.searchables()
    names = {(item._meta.label, item.pk) for item in records if item._meta.label in known}
    if names:
        Changed.objects.bulk_create([Changed(model=model, record=pk) for model, pk in names])


def enqueue_rebuild() -> None:
    """Inside a command: let the index be made anew, so that none of its files keeps what is gone.

    Taking an entry out merely marks it; its text would stay on the disk until segments merge.
    """
    Changed.objects.create(model=EVERYTHING, record=new_id())


def rebuild_waiting() -> bool:
    """Whether a rebuild that was asked for is still to be done."""
    return Changed.objects.filter(model=EVERYTHING).exists()
