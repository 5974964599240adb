"""Timers: facts that are told later. Rows with a due time, so a restart loses none."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.messages.facts import Fact, encode
from zhengtong.kernel.messages.models import Message
from zhengtong.kernel.records import Record


class Timer(models.Model):
    """A fact to be told at `due_at`."""

    due_at = models.DateTimeField()
    kind = models.CharField(max_length=60)
    body = models.BinaryField()
    level = models.PositiveSmallIntegerField()
    subject = models.CharField(max_length=120)
    rung = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="timer_set", condition=Q(rung=False))]


def tell_at(due: datetime, fact: Fact, about: Record) -> None:
    """Set a timer inside the running command; setting the same one again moves it."""
    body = encode(fact)
    Timer.objects.filter(kind=fact.kind, body=body, rung=False).delete()
    Timer.objects.create(
        due_at=due, kind=fact.kind, body=body, level=about.level, subject=about.urn
    )


def ring_due(limit: int = 100) -> int:
    """Turn the timers that are due into messages; how many. Several workers may do so at once."""
    waiting = Timer.objects.filter(rung=False, due_at__lte=moment.now()).order_by("due_at")
    if not waiting.exists():
        return 0
    with transaction.atomic():
        due = list(locked_for_update(waiting, skip=True)[:limit])
        Message.objects.bulk_create(
            [
                Message(
                    id=new_id(),
                    kind=timer.kind,
                    body=bytes(timer.body),
                    level=timer.level,
                    subject=timer.subject,
                    origin=settings.NODE.name,
                    at=timer.due_at,
                )
                for timer in due
            ]
        )
        Timer.objects.filter(pk__in=[timer.pk for timer in due]).update(rung=True)
    return len(due)
