"""Rows for the working-calendar table: the announced years, and new years as they are announced."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import NamedTuple

import chinese_calendar

from .calendar import ONE_DAY, DayKind

FIRST_YEAR, LAST_YEAR = 2004, 2026
_CHINESE = {each.value: each.chinese for each in chinese_calendar.Holiday}


class DayRow(NamedTuple):
    """One day of the table; `name` is the festival it belongs to, empty on plain days."""

    day: date
    kind: DayKind
    name: str


def announced_days(first: int = FIRST_YEAR, last: int = LAST_YEAR) -> Iterator[DayRow]:
    """Every day of the years first…last as the State Council announced them.

    Source: the package chinesecalendar, which transcribes the yearly notices 2004–2026. Raises
    ValueError for a year it does not hold: a guess must not look announced.
    """
    if not FIRST_YEAR <= first <= last <= LAST_YEAR:
        raise ValueError(f"holiday notices are held for {FIRST_YEAR}–{LAST_YEAR} only")
    for day in _days_of(first, last):
        rests, english = chinese_calendar.get_holiday_detail(day)
        yield _row(day, rests=rests, name=_CHINESE.get(english or "", ""))


def days_of_notice(year: int, rest: Mapping[date, str], work: Collection[date]) -> list[DayRow]:
    """Every day of one newly announced year.

    `rest` maps each day off to its festival (春节), `work` holds the weekend days that are worked.
    A notice may reach into late December of the year before; those days are given too. Raises
    ValueError when the two contradict each other or name a day that needs no announcement.
    """
    if clash := sorted(set(rest) & set(work)):
        raise ValueError(f"{clash[0]} is announced both as rest and as work")
    for day in sorted({*rest, *work}):
        if day.year != year and not (day.year == year - 1 and day.month == 12):
            raise ValueError(f"{day} does not belong to the notice for {year}")
        if day in work and day.weekday() < 5:
            raise ValueError(f"{day} is a weekday and is worked anyway")
    before = sorted(day for day in {*rest, *work} if day.year < year)
    return [
        _row(
            day,
            rests=day in rest or (day.weekday() >= 5 and day not in work),
            name=rest.get(day, ""),
        )
        for day in [*before, *_days_of(year, year)]
    ]


def _row(day: date, *, rests: bool, name: str) -> DayRow:
    weekend = day.weekday() >= 5
    if not rests:
        return DayRow(day, DayKind.MAKEUP if weekend else DayKind.WORKDAY, name)
    return DayRow(day, DayKind.HOLIDAY if name or not weekend else DayKind.WEEKEND, name)


def _days_of(first: int, last: int) -> Iterator[date]:
    day = date(first, 1, 1)
    while day.year <= last:
        yield day
        day += ONE_DAY
