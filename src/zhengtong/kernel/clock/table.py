"""The working calendar between its table and the pure rules."""

from __future__ import annotations

from zhengtong.kernel.clock.calendar import DayKind, WorkingCalendar
from zhengtong.kernel.clock.models import Day
from zhengtong.kernel.clock.seed import announced_days


def fill() -> int:
    """Put the announced years into the table; days an administrator has changed stay."""
    rows = [Day(date=row.day, kind=row.kind.value, name=row.name) for row in announced_days()]
    before = Day.objects.count()
    Day.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    return Day.objects.count() - before


def calendar() -> WorkingCalendar:
    """The table as the rules read it."""
    return WorkingCalendar({day.date: DayKind(day.kind) for day in Day.objects.all()})
