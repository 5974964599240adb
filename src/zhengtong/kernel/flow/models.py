"""Running cases and their append-only step log."""

from __future__ import annotations

from django.db import models

from zhengtong.kernel import moment
from zhengtong.kernel.records import Record


class Case(Record):
    """A record's way through a procedure, pinned to the version it began with.

    `state` is `codec.write_state` of the engine's state; `opening` (owner, data, time) and the
    log in `Step` can rebuild it.
    """

    subject = models.CharField(max_length=120, unique=True)
    procedure = models.CharField(max_length=60)
    version = models.PositiveIntegerField()
    step = models.CharField(max_length=40)
    outcome = models.CharField(max_length=40, default="")
    opening = models.JSONField()
    state = models.JSONField()
    due_at = models.DateTimeField(null=True)

    class Meta(Record.Meta):
        indexes = [models.Index(fields=["procedure", "step"])]


class Step(models.Model):
    """One accepted action, as `codec.write_action` wrote it. Never changed."""

    case = models.ForeignKey(Case, models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(default=moment.now)
    step = models.CharField(max_length=40)
    person_name = models.CharField(max_length=40)
    organisation_name = models.CharField(max_length=80)
    action = models.JSONField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["case", "number"], name="step_once")]
