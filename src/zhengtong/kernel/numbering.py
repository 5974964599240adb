"""Gapless numbers per issuer, series and year: 周政办〔2026〕12号 is followed by 13, always."""

from __future__ import annotations

from uuid import UUID

from django.db import models

from zhengtong.kernel.engine import locked_for_update


class Counter(models.Model):
    """The last number given in one series."""

    issuer = models.UUIDField()
    series = models.CharField(max_length=40)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "series", "year"], name="one_counter")
        ]


def next_number(issuer: UUID, series: str, year: int) -> int:
    """The next number, from 1. Call inside a command: the row stays locked until it commits.

    A rolled-back command gives its number back, so the series has no gaps.
    """
    key = {"issuer": issuer, "series": series, "year": year}
    Counter.objects.bulk_create([Counter(**key)], ignore_conflicts=True)
    counter = locked_for_update(Counter.objects.filter(**key)).get()
    counter.last += 1
    counter.save(update_fields=["last"])
    return counter.last
