"""The to-do centre: what waits for whom. 待办, 待阅, 已办, 我发起."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import models
from django.db.models import Q, QuerySet

from zhengtong.kernel import moment, notices
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.records import Record


class Task(Record):
    """One thing to do or to read, for a person or for whoever holds the duty in the owner.

    It bears the label of the record it is about, because its title quotes it.
    """

    kind = models.CharField(max_length=40)
    reading = models.BooleanField(default=False)
    title = models.CharField(max_length=200)
    note = models.CharField(max_length=200, default="")
    subject = models.CharField(max_length=120, db_index=True)
    page = models.CharField(max_length=200)
    duty = models.CharField(max_length=60)
    person = models.UUIDField(null=True)
    urgency = models.PositiveSmallIntegerField(default=0)
    started_by = models.UUIDField(null=True)
    due_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.UUIDField(null=True)
    case_id = models.UUIDField(null=True)
    number = models.PositiveIntegerField(null=True)

    class Meta(Record.Meta):
        indexes = [
            models.Index(
                fields=["owner", "duty", "created_at"],
                name="task_open",
                condition=Q(closed_at=None),
            ),
            models.Index(fields=["closed_by", "closed_at"], name="task_done"),
            models.Index(fields=["started_by", "created_at"], name="task_started"),
            models.Index(fields=["case_id", "number"], name="task_of_case"),
        ]


def new_task(
    about: Record,
    *,
    owner: UUID,
    duty: str,
    kind: str,
    title: str,
    page: str,
    person: UUID | None = None,
    reading: bool = False,
    note: str = "",
    urgency: int = 0,
    started_by: UUID | None = None,
    due_at: datetime | None = None,
    case_id: UUID | None = None,
    number: int | None = None,
) -> Task:
    """Something to do for somebody, still to be opened by `open_tasks`."""
    return Task(
        owner_id=owner,
        level=about.level,
        share=about.share,
        subject=about.urn,
        duty=duty,
        kind=kind,
        title=title[:200],
        page=page,
        person=person,
        reading=reading,
        note=note[:200],
        urgency=urgency,
        started_by=started_by,
        due_at=due_at,
        case_id=case_id,
        number=number,
    )


def open_tasks(tasks: Sequence[Task], *, after: Iterable[notices.Notice] = ()) -> None:
    """Give people these things to do, inside the running command, and let their pages know.

    Two statements for one as for twenty. The notices in `after` are written first.
    """
    Task.objects.bulk_create(tasks)
    notices.write([*after, *map(_opened, tasks)])


def _opened(task: Task) -> notices.Notice:
    return notices.notice(
        task.owner_id,
        "task",
        "您有一件新的待阅事项。" if task.reading else "您有一件新的待办事项。",
        duty=task.duty,
        person=task.person,
        subject=task.subject,
    )


def close_tasks(
    about: Record,
    *,
    owner: UUID,
    duties: Iterable[str] = (),
    person: UUID | None = None,
    by: UUID | None,
) -> int:
    """Close the open tasks on a record: of these duties, of this person, or all of the owner's."""
    waiting = Task.objects.unlabelled("closing tasks follows the record's own act").filter(
        owner_id=owner, subject=about.urn, closed_at=None
    )
    if duties:
        waiting = waiting.filter(duty__in=list(duties))
    if person is not None:
        waiting = waiting.filter(Q(person=person) | Q(person=None))
    closed = waiting.update(closed_at=moment.now(), closed_by=by)
    if closed:
        notices.notify(owner, "task-closed", "待办事项已办理。", subject=about.urn)
    return closed


def _mine(actor: Actor) -> Q:
    return Q(owner_id__in=actor.organisations, duty__in=list(actor.duties)) & (
        Q(person=None) | Q(person=actor.person)
    )


def to_do(actor: Actor) -> QuerySet[Task]:
    """待办: open, mine to do; urgent first, then the oldest."""
    return _open(actor).filter(reading=False)


def to_read(actor: Actor) -> QuerySet[Task]:
    """待阅: open, mine to read."""
    return _open(actor).filter(reading=True)


def _open(actor: Actor) -> QuerySet[Task]:
    return (
        Task.objects.visible_to(actor)
        .filter(_mine(actor), closed_at=None)
        .order_by("-urgency", "created_at")
    )


def done(actor: Actor) -> QuerySet[Task]:
    """已办: what I have closed, newest first."""
    return Task.objects.visible_to(actor).filter(closed_by=actor.person).order_by("-closed_at")


def started(actor: Actor) -> QuerySet[Task]:
    """我发起: what others do, or have done, for what I started."""
    return Task.objects.visible_to(actor).filter(started_by=actor.person).order_by("-created_at")
