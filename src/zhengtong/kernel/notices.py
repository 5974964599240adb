"""Notices: what a person's page learns while it is open. A table, so nothing is missed."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import models
from django.db.models import Q, QuerySet

from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor


class Notice(models.Model):
    """One event for a person, or for whoever holds a duty in an organisation.

    `id` is the Last-Event-ID of the stream. The text never quotes a title: it only says that
    something is there to look at, and the page asks under the reader's own label.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=moment.now)
    organisation = models.UUIDField()
    duty = models.CharField(max_length=60, default="")
    person = models.UUIDField(null=True)
    kind = models.CharField(max_length=40)
    text = models.CharField(max_length=120)
    subject = models.CharField(max_length=120, default="")

    class Meta:
        indexes = [models.Index(fields=["organisation", "id"])]


def notice(
    organisation: UUID,
    kind: str,
    text: str,
    *,
    duty: str = "",
    person: UUID | None = None,
    subject: str = "",
) -> Notice:
    """A notice still to be written, by `write`."""
    return Notice(
        organisation=organisation, kind=kind, text=text, duty=duty, person=person, subject=subject
    )


def write(notices: Iterable[Notice]) -> None:
    """Write notices inside the running command, in this order."""
    Notice.objects.bulk_create(notices)


def notify(
    organisation: UUID,
    kind: str,
    text: str,
    *,
    duty: str = "",
    person: UUID | None = None,
    subject: str = "",
) -> None:
    """Write one notice inside the running command."""
    write([notice(organisation, kind, text, duty=duty, person=person, subject=subject)])


def after(actor: Actor, last: int, limit: int = 50) -> QuerySet[Notice]:
    """The notices for this actor that follow `last`, oldest first."""
    return Notice.objects.filter(
        Q(person=actor.person) | Q(person=None, duty__in=[*_duties(actor.duties), ""]),
        organisation__in=actor.organisations,
        id__gt=last,
    ).order_by("id")[:limit]


def newest() -> int:
    """Where a stream starts that has not been told where it stopped."""
    return Notice.objects.order_by("-id").values_list("id", flat=True).first() or 0


def _duties(duties: Iterable[str]) -> list[str]:
    return sorted(duties)
