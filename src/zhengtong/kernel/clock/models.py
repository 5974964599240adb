"""The working calendar as a table that an administrator keeps."""

from __future__ import annotations

from django.db import models


class Day(models.Model):
    """A calendar day that is not what its weekday says, or is confirmed to be so.

    `kind` is a `rules.DayKind`. Years without rows are provisional: weekdays count as working.
    """

    date = models.DateField(primary_key=True)
    kind = models.CharField(max_length=12)
    name = models.CharField(max_length=40, default="")
