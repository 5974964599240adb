"""The log of voyages: what was made for a neighbour, what came from one, and where it stands."""

from __future__ import annotations

from django.db import models

from zhengtong.kernel import moment
from zhengtong.kernel.messages.models import Neighbour


class State(models.TextChoices):
    """Where a voyage stands: four states of one that leaves, two of one that comes."""

    MAKING = "making", "制作中"
    MADE = "made", "已制作"
    RETURNED = "returned", "回执已到"
    LOST = "lost", "已作废"
    ARRIVING = "arriving", "导入中"
    IMPORTED = "imported", "已导入"


class Voyage(models.Model):
    """One voyage to or from a neighbour, on any number of volumes.

    `volumes` holds one [size, batches, fingerprint] for each, from volume 1; empty while the voyage
    is being made. `cargo` maps a lane to [letters, bytes of envelopes]. `marks` maps a lane to the
    highest number on board: when all are receipted, the receipts of this voyage are in.
    `volume` and `place` are the import's next step: volumes before it and batches before that are
    done. `done` counts bytes written or unloaded, `notes` says which letters were refused or
    withheld, and why.
    """

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="voyages")
    leaving = models.BooleanField()
    voyage = models.CharField(max_length=32)  # the id in hex
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State)
    level = models.PositiveSmallIntegerField(default=0)
    volumes = models.JSONField(default=list)
    limit = models.BigIntegerField(default=0)
    folder = models.CharField(max_length=500, default="")
    size = models.BigIntegerField(default=0)
    done = models.BigIntegerField(default=0)
    letters = models.PositiveIntegerField(default=0)
    cargo = models.JSONField(default=dict)
    marks = models.JSONField(default=dict)
    volume = models.PositiveIntegerField(default=1)
    place = models.PositiveIntegerField(default=0)
    notes = models.JSONField(default=list)
    problem = models.CharField(max_length=500, default="")
    by = models.CharField(max_length=80)
    at = models.DateTimeField(default=moment.now)  # begun
    ended_at = models.DateTimeField(null=True)  # made, or wholly imported
    returned_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["neighbour", "leaving", "voyage"], name="voyage_once")
        ]
        indexes = [models.Index(fields=["neighbour", "leaving", "state"], name="voyage_state")]

    @property
    def name(self) -> str:
        """How people call it, as in the names of its files: its number and the start of its id."""
        return f"{self.number:04}-{self.voyage[:6]}"
