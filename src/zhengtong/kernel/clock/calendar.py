"""The working calendar (工作日历): which days count, and how sure we are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

ONE_DAY = timedelta(days=1)
_SATURDAY = 5


class DayKind(StrEnum):
    """What the State Council's yearly notice makes of a day."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    MAKEUP = "makeup"  # 调休上班: a weekend day worked for a holiday

    @property
    def works(self) -> bool:
        return self in (DayKind.WORKDAY, DayKind.MAKEUP)


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """Every day of the announced years. Other days are judged by the week alone, provisionally:
    the notice for a year appears late in the year before, and limits must still be computed.
    """

    days: Mapping[date, DayKind]

    def is_announced(self, day: date) -> bool:
        return day in self.days

    def works(self, day: date) -> bool:
        kind = self.days.get(day)
        return day.weekday() < _SATURDAY if kind is None else kind.works

    def add_working_days(self, day: date, count: int) -> date:
        """The `count`-th working day after `day`, before it when negative; 0 gives `day`."""
        step = ONE_DAY if count >= 0 else -ONE_DAY
        left = abs(count)
        while left:
            day += step
            left -= self.works(day)
        return day

    def working_days_between(self, start: date, end: date) -> int:
        """Working days in start ≤ day < end; negative when `end` lies before `start`."""
        if end < start:
            return -self.working_days_between(end, start)
        return sum(self.works(start + ONE_DAY * ahead) for ahead in range((end - start).days))
