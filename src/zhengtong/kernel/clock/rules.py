"""Time limits: a rule and the events of a case give the due time, and nothing else does.

How a period runs (民法典 arts 201–203, followed unless the limit's own law differs, art 204):
- art 201: by days or months, the day it starts is not counted; by hours, from that very moment;
- art 202: by months, it ends on the corresponding day, or the month's last day without one;
- art 203: a last day that is a statutory rest day (法定休假日, here any day off, weekends too)
  moves to the first day after the rest; the last day ends at 24:00.

A pause (补正, 听证, 检验, 特别程序…) stops the clock. Laws say only 所需时间不计算在期限内; this
house counts neither the day of the pause nor those after it, and counts the day of the resumption
again (compare 自…原因消除之日起, art 194), so a clock paused on its last day has that day left.
A limit that has expired stays expired: no later pause, extension or restart revives it.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from zhengtong.kernel.moment import CHINA

from .calendar import ONE_DAY, WorkingCalendar

# Longer than any limit in law, short enough that counting day by day always ends.
_LONGEST = 100_000


class ClockError(Exception):
    """The events or the rule make no sense; the message is Chinese and names what is wrong."""


class Unit(StrEnum):
    MINUTES = "minutes"
    HOURS = "hours"
    CALENDAR_DAYS = "calendar_days"
    WORKING_DAYS = "working_days"
    MONTHS = "months"

    @property
    def by_instant(self) -> bool:
        """Counted from the very moment (art 201 ¶2), not by whole days."""
        return self in (Unit.MINUTES, Unit.HOURS)


class Start(StrEnum):
    """Which day is the first counted. Units counted from the moment know no such choice."""

    NEXT_DAY = "next_day"  # 民法典 art 201 ¶1
    SAME_DAY = "same_day"  # where a law counts 自…之日起 with that day included


class Certainty(StrEnum):
    """How well the source of a rule is known; shown to whoever administers it."""

    READ = "read"  # the published text was read
    CROSS_CHECKED = "cross_checked"  # from memory, agreed with a second source
    RECALLED = "recalled"  # from memory


def _require_amount(amount: Any) -> None:
    if not isinstance(amount, int) or isinstance(amount, bool) or not 1 <= amount <= _LONGEST:
        raise ClockError(f"时限应为 1 至 {_LONGEST} 的整数")


@dataclass(frozen=True, slots=True)
class Rule:
    """One time limit with its legal source. `rolls` applies art 203 ¶1 to the last day."""

    amount: int
    unit: Unit
    source: str
    certainty: Certainty
    start: Start = Start.NEXT_DAY
    rolls: bool = True

    def __post_init__(self) -> None:
        _require_amount(self.amount)
        if not isinstance(self.source, str) or not self.source.strip():
            raise ClockError("时限须写明依据")

    def to_json(self) -> dict[str, Any]:
        return {
            "amount": self.amount,
            "unit": self.unit.value,
            "source": self.source,
            "certainty": self.certainty.value,
            "start": self.start.value,
            "rolls": self.rolls,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Rule":
        """The rule that `to_json` wrote. Raises ClockError for anything else."""
        try:
            return cls(
                amount=value["amount"],
                unit=Unit(value["unit"]),
                source=value["source"],
                certainty=Certainty(value["certainty"]),
                start=Start(value.get("start", Start.NEXT_DAY)),
                rolls=value.get("rolls", True),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ClockError(f"时限规则有误：{error}") from error


class EventKind(StrEnum):
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    EXTENDED = "extended"
    RESTARTED = "restarted"  # the whole limit anew, e.g. 自收到补正申请之日起
    STOPPED = "stopped"  # the matter is done


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the clock. `amount` is for an extension, in the rule's unit."""

    kind: EventKind
    at: datetime
    amount: int = 0

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ClockError("时间须带时区")
        if self.kind is EventKind.EXTENDED:
            _require_amount(self.amount)
        elif self.amount:
            raise ClockError("只有延期才写数量")


@dataclass(frozen=True, slots=True)
class Due:
    """When something is due.

    `at` is the first moment that is too late (UTC), None while paused; `last_day` the day to show
    people, None for limits in hours and minutes. `provisional`: days no notice has settled yet were
    judged by the week. `remaining` is what a paused clock has left: days (working days when the
    limit is in those), or seconds for hours and minutes. `ignored`: events after expiry.
    """

    at: datetime | None
    last_day: date | None
    provisional: bool
    paused: bool
    remaining: int | None = None
    stopped_at: datetime | None = None
    ignored: tuple[Event, ...] = ()

    def overdue(self, now: datetime) -> bool:
        """Whether the limit was missed: at `now`, or when the matter was done if it is done."""
        return self.at is not None and (self.stopped_at or now) >= self.at


@dataclass(frozen=True, slots=True)
class _Run:
    """The clock since its last (re)start: what the events so far amount to."""

    start: datetime
    amount: int
    pauses: tuple[tuple[datetime, datetime], ...] = ()
    paused_at: datetime | None = None


def due(
    events: Sequence[Event],
    rule: Rule,
    calendar: WorkingCalendar,
    zone: ZoneInfo = CHINA,
) -> Due:
    """The due time that the events give under the rule.

    `events` stand in the order they happened, the first one STARTED. Computing twice gives the
    same; a new calendar may move provisional results. Raises ClockError for impossible sequences.
    """
    if not events or events[0].kind is not EventKind.STARTED:
        raise ClockError("时限须从“开始”起算")
    run = _Run(events[0].at, rule.amount)
    result = _due(run, rule, calendar, zone)
    ignored: list[Event] = []
    for before, event in pairwise(events):
        if event.at < before.at:
            raise ClockError("事件须按时间先后排列")
        if result.stopped_at is not None:
            raise ClockError("时限已经终止，其后不应再有事件")
        if event.kind is EventKind.STOPPED:
            result = replace(result, stopped_at=event.at)
        elif result.overdue(event.at):
            ignored.append(event)
        else:
            run = _after(run, event, rule)
            result = _due(run, rule, calendar, zone)
    return replace(result, ignored=tuple(ignored))


def _after(run: _Run, event: Event, rule: Rule) -> _Run:
    match event.kind:
        case EventKind.PAUSED:
            if run.paused_at is not None:
                raise ClockError("时限已经暂停")
            return replace(run, paused_at=event.at)
        case EventKind.RESUMED:
            if run.paused_at is None:
                raise ClockError("时限没有暂停，不能恢复")
            pauses = (*run.pauses, (run.paused_at, event.at))
            return replace(run, pauses=pauses, paused_at=None)
        case EventKind.EXTENDED:
            return replace(run, amount=run.amount + event.amount)
        case EventKind.RESTARTED:
            return _Run(event.at, rule.amount)
        case _:
            raise ClockError("时限已经开始")


def _due(run: _Run, rule: Rule, calendar: WorkingCalendar, zone: ZoneInfo) -> Due:
    if rule.unit.by_instant:
        return _due_by_instant(run, rule.unit)
    return _Count(run, rule, calendar, zone).due()


def _due_by_instant(run: _Run, unit: Unit) -> Due:
    minutes = run.amount * (60 if unit is Unit.HOURS else 1)
    paused = sum((end - begin for begin, end in run.pauses), timedelta())
    if run.paused_at is None:
        at = run.start.astimezone(UTC) + timedelta(minutes=minutes) + paused
        return Due(at, None, provisional=False, paused=False)
    left = timedelta(minutes=minutes) - (run.paused_at - run.start - paused)
    return Due(None, None, provisional=False, paused=True, remaining=int(left.total_seconds()))


class _Count:
    """One counting of whole days, remembering whether an unannounced day had to be judged."""

    def __init__(self, run: _Run, rule: Rule, calendar: WorkingCalendar, zone: ZoneInfo) -> None:
        self.run, self.rule, self.calendar, self.zone = run, rule, calendar, zone
        self.begin = self.local(run.start)
        self.pauses = [(self.local(begin), self.local(end)) for begin, end in run.pauses]
        self.frozen = None if run.paused_at is None else self.local(run.paused_at)
        self.provisional = False

    def local(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def due(self) -> Due:
        last, left = self.by_month() if self.rule.unit is Unit.MONTHS else self.by_day()
        if last is not None and self.rule.rolls and self.rule.unit is not Unit.WORKING_DAYS:
            last = self.rolled(last)
        if last is None:
            return Due(None, None, self.provisional, paused=True, remaining=left)
        at = datetime.combine(last + ONE_DAY, time(), self.zone).astimezone(UTC)
        return Due(at, last, self.provisional, paused=False)

    def by_day(self) -> tuple[date | None, int]:
        """The last counted day, or None and the days left when the clock stands."""
        day, left = self.begin, self.run.amount
        if self.rule.start is Start.NEXT_DAY:
            day += ONE_DAY
        while True:
            if self.frozen is not None and day >= self.frozen:
                return None, left
            if not self.held(day) and (self.rule.unit is Unit.CALENDAR_DAYS or self.works(day)):
                left -= 1
            if not left:
                return day, 0
            day += ONE_DAY

    def by_month(self) -> tuple[date | None, int]:
        last = months_after(self.begin, self.run.amount)
        if self.rule.start is Start.SAME_DAY and last.day == self.begin.day:
            last -= ONE_DAY
        for begin, end in self.pauses:
            if begin <= last:
                last += end - begin
        if self.frozen is not None and self.frozen <= last:
            return None, (last - self.frozen).days + 1
        return last, 0

    def rolled(self, last: date) -> date | None:
        """Art 203: past rest days, and past days on which the clock stood; None while it stands."""
        while self.frozen is None or last < self.frozen:
            if self.works(last) and not self.held(last):
                return last
            last += ONE_DAY
        return None

    def held(self, day: date) -> bool:
        return any(begin <= day < end for begin, end in self.pauses)

    def works(self, day: date) -> bool:
        self.provisional |= not self.calendar.is_announced(day)
        return self.calendar.works(day)


def months_after(day: date, months: int) -> date:
    """The corresponding day `months` later, or that month's last day without one (art 202)."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
