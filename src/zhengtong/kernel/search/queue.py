"""Which records have changed since they were indexed: written by commands, read by the indexer."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from zhengtong.kernel import capability
from zhengtong.kernel.records import Record


class Changed(models.Model):
    """One record to be indexed again. `model` is its Django label."""

    id = models.BigAutoField(primary_key=True)
    model = models.CharField(max_length=60)
    record = models.UUIDField()


def enqueue(records: Iterable[Record]) -> None:
    """Inside a command: let the indexer look at these records again, if they are searchable."""
    known = capability.searchables()
    names = {(item._meta.label, item.pk) for item in records if item._meta.label in known}
    if names:
        Changed.objects.bulk_create([Changed(model=model, record=pk) for model, pk in names])
