"""Due dates a clerk can check with a wall calendar, and the laws every due date obeys."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zhengtong.kernel.clock.calendar import DayKind, WorkingCalendar
from zhengtong.kernel.clock.rules import (
    Certainty,
    ClockError,
    Due,
    Event,
    EventKind,
    Rule,
    Start,
    Unit,
    due,
    months_after,
)
from zhengtong.kernel.clock.seed import announced_days
from zhengtong.kernel.moment import CHINA

CALENDAR = WorkingCalendar({row.day: row.kind for row in announced_days()})
DAY = timedelta(days=1)


def at(text: str) -> datetime:
    """A Chinese wall time, 2026-02-13 or 2026-02-13T15:30."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


def rule(amount: int, unit: Unit = Unit.WORKING_DAYS, **more: object) -> Rule:
    return Rule(amount, unit, "测试", Certainty.READ, **more)  # type: ignore[arg-type]


def started(text: str) -> Event:
    return Event(EventKind.STARTED, at(text))


def paused(text: str) -> Event:
    return Event(EventKind.PAUSED, at(text))


def resumed(text: str) -> Event:
    return Event(EventKind.RESUMED, at(text))


def stopped(text: str) -> Event:
    return Event(EventKind.STOPPED, at(text))


def last_day(result: Due) -> str:
    assert result.last_day is not None
    midnight = datetime.combine(result.last_day + DAY, datetime.min.time(), CHINA)
    assert result.at == midnight, "the last day ends at 24:00 (art 203)"
    assert result.at.tzinfo is UTC
    return result.last_day.isoformat()


@pytest.mark.parametrize(
    ("start", "limit", "expected"),
    [
        # The day itself is not counted, whatever the hour (art 201).
        ("2026-11-23T00:00", rule(5), "2026-11-30"),
        ("2026-11-23T23:59", rule(5), "2026-11-30"),
        ("2026-11-23", rule(5, start=Start.SAME_DAY), "2026-11-27"),
        # Friday the 13th before 春节: Saturday the 14th is worked, then 15–23 are off.
        ("2026-02-13", rule(1), "2026-02-14"),
        ("2026-02-13", rule(2), "2026-02-24"),
        # 行政许可法 art 42: 20 working days across 国庆.
        ("2026-09-21", rule(20), "2026-10-26"),
        # Calendar days count rest days; a last day off moves past the rest (art 203).
        ("2026-01-20", rule(30, Unit.CALENDAR_DAYS), "2026-02-24"),
        ("2026-01-20", rule(30, Unit.CALENDAR_DAYS, rolls=False), "2026-02-19"),
        ("2026-11-23", rule(7, Unit.CALENDAR_DAYS), "2026-11-30"),
        # Corresponding day, or the end of the month (art 202), and rolled (art 203).
        ("2026-01-31", rule(1, Unit.MONTHS, rolls=False), "2026-02-28"),
        ("2024-01-31", rule(1, Unit.MONTHS), "2024-02-29"),
        ("2026-03-16", rule(2, Unit.MONTHS, rolls=False), "2026-05-16"),
        ("2026-03-16", rule(2, Unit.MONTHS), "2026-05-18"),
        ("2026-03-16", rule(2, Unit.MONTHS, rolls=False, start=Start.SAME_DAY), "2026-05-15"),
    ],
)
def test_a_limit_ends_where_the_law_says(start: str, limit: Rule, expected: str) -> None:
    result = due([started(start)], limit, CALENDAR)
    assert last_day(result) == expected
    assert not result.provisional and not result.paused


def test_hours_run_from_the_moment_through_nights_and_holidays() -> None:
    result = due([started("2026-02-16T22:30")], rule(2, Unit.HOURS), CALENDAR)
    assert result.at == at("2026-02-17T00:30") and result.last_day is None
    pauses = [paused("2026-02-16T22:50"), resumed("2026-02-17T08:00")]
    events = [started("2026-02-16T22:30"), *pauses]
    assert due(events, rule(30, Unit.MINUTES), CALENDAR).at == at("2026-02-17T08:10")
    standing = due(events[:2], rule(30, Unit.MINUTES), CALENDAR)
    assert (standing.at, standing.paused, standing.remaining) == (None, True, 10 * 60)


def test_a_day_is_a_day_in_china_not_in_utc() -> None:
    late_evening_utc = Event(EventKind.STARTED, datetime(2026, 11, 22, 16, 30, tzinfo=UTC))
    assert last_day(due([late_evening_utc], rule(1), CALENDAR)) == "2026-11-24"


def test_a_pause_gives_back_the_working_days_it_took() -> None:
    events = [started("2026-11-23"), paused("2026-11-25T10:00")]
    standing = due(events, rule(5), CALENDAR)
    assert (standing.at, standing.paused, standing.remaining) == (None, True, 4)
    # Stood 25, 26, 27 (and the weekend); Monday the 30th counts again.
    assert last_day(due([*events, resumed("2026-11-30")], rule(5), CALENDAR)) == "2026-12-03"
    assert last_day(due([*events, resumed("2026-11-25T17:00")], rule(5), CALENDAR)) == "2026-11-30"


def test_a_clock_paused_on_its_last_day_has_that_day_left() -> None:
    events = [started("2026-11-23"), paused("2026-11-30T16:00"), resumed("2026-12-10T09:00")]
    assert due(events[:2], rule(5), CALENDAR).remaining == 1
    assert last_day(due(events, rule(5), CALENDAR)) == "2026-12-10"
    by_days = due([*events[:2], resumed("2026-12-12T09:00")], rule(7, Unit.CALENDAR_DAYS), CALENDAR)
    assert last_day(by_days) == "2026-12-14", "resumed on a Saturday: the last day rolls on"


def test_a_pause_moves_a_limit_in_months_by_its_days() -> None:
    events = [started("2026-03-16"), paused("2026-04-01"), resumed("2026-04-11")]
    assert last_day(due(events, rule(2, Unit.MONTHS), CALENDAR)) == "2026-05-26"
    assert due(events[:2], rule(2, Unit.MONTHS), CALENDAR).remaining == 46
    on_the_last_day = [started("2026-03-17"), paused("2026-04-17"), resumed("2026-04-20")]
    for limit in (rule(1, Unit.MONTHS), rule(1, Unit.MONTHS, rolls=False)):
        assert last_day(due(on_the_last_day, limit, CALENDAR)) == "2026-04-20"
    standing = due(on_the_last_day[:2], rule(1, Unit.MONTHS), CALENDAR)
    assert standing.remaining == 1


def test_a_pause_while_the_last_day_waits_for_the_holiday_to_end() -> None:
    # Counted out on 2026-02-19 in the holiday, rolled to the 24th, paused that morning.
    events = [started("2026-01-20"), paused("2026-02-24T09:00")]
    standing = due(events, rule(30, Unit.CALENDAR_DAYS), CALENDAR)
    assert standing.paused and standing.remaining == 0
    resumed_later = due([*events, resumed("2026-02-26")], rule(30, Unit.CALENDAR_DAYS), CALENDAR)
    assert last_day(resumed_later) == "2026-02-26"


def test_an_extension_adds_to_the_limit_and_a_restart_begins_it_anew() -> None:
    # 信息公开条例: 20 + 20 working days; 补正 counts from the day the corrected request arrives.
    extended = [started("2026-11-02"), Event(EventKind.EXTENDED, at("2026-11-20"), 20)]
    assert last_day(due(extended, rule(20), CALENDAR)) == "2026-12-28"
    again = [*extended, Event(EventKind.RESTARTED, at("2026-11-23"))]
    assert last_day(due(again, rule(20), CALENDAR)) == "2026-12-21"


@pytest.mark.parametrize(
    "late",
    [
        paused("2026-12-01"),
        Event(EventKind.EXTENDED, at("2026-12-01"), 20),
        Event(EventKind.RESTARTED, at("2026-12-01")),
    ],
)
def test_an_expired_limit_stays_expired(late: Event) -> None:
    result = due([started("2026-11-23"), late], rule(5), CALENDAR)
    assert last_day(result) == "2026-11-30"
    assert result.ignored == (late,)


def test_overdue_is_judged_at_the_end_of_the_matter_when_it_is_done() -> None:
    open_case = due([started("2026-11-23")], rule(5), CALENDAR)
    assert not open_case.overdue(at("2026-11-30T23:59")) and open_case.overdue(at("2026-12-01"))
    done = due(
        [started("2026-11-23"), Event(EventKind.STOPPED, at("2026-11-27"))], rule(5), CALENDAR
    )
    assert not done.overdue(at("2027-06-01"))
    late = due(
        [started("2026-11-23"), Event(EventKind.STOPPED, at("2026-12-02"))], rule(5), CALENDAR
    )
    assert late.overdue(at("2026-12-02"))


def test_a_date_beyond_the_announced_years_is_marked_provisional() -> None:
    result = due([started("2026-12-28")], rule(5), CALENDAR)
    assert result.provisional and last_day(result) == "2027-01-04"
    assert not due([started("2026-12-28")], rule(3), CALENDAR).provisional
    assert not due([started("2026-12-28")], rule(9, Unit.HOURS), CALENDAR).provisional
    assert due([started("2026-12-21")], rule(1, Unit.MONTHS), CALENDAR).provisional
    patchy = WorkingCalendar({date(2027, 1, 6): DayKind.WORKDAY})
    assert due([started("2027-01-04")], rule(2), patchy).provisional


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "开始"),
        ([paused("2026-11-23")], "开始"),
        ([started("2026-11-23"), started("2026-11-24")], "已经开始"),
        ([started("2026-11-23"), resumed("2026-11-24")], "没有暂停"),
        ([started("2026-11-23"), paused("2026-11-24"), paused("2026-11-25")], "已经暂停"),
        ([started("2026-11-23"), paused("2026-11-22")], "先后"),
        (
            [
                started("2026-11-23"),
                Event(EventKind.STOPPED, at("2026-11-24")),
                paused("2026-11-25"),
            ],
            "终止",
        ),
    ],
)
def test_events_that_cannot_have_happened_are_refused(events: list[Event], words: str) -> None:
    with pytest.raises(ClockError, match=words):
        due(events, rule(5), CALENDAR)


def test_senseless_rules_and_events_are_refused() -> None:
    for amount in (0, -1, True, 10**9, 2.5):
        with pytest.raises(ClockError, match="整数"):
            rule(amount)  # type: ignore[arg-type]
    with pytest.raises(ClockError, match="依据"):
        Rule(5, Unit.WORKING_DAYS, " ", Certainty.READ)
    with pytest.raises(ClockError, match="时区"):
        Event(EventKind.STARTED, datetime(2026, 11, 23))  # noqa: DTZ001
    with pytest.raises(ClockError, match="整数"):
        Event(EventKind.EXTENDED, at("2026-11-23"))
    with pytest.raises(ClockError, match="延期"):
        Event(EventKind.PAUSED, at("2026-11-23"), 3)


@given(
    st.integers(1, 400),
    st.sampled_from(Unit),
    st.sampled_from(Start),
    st.sampled_from(Certainty),
    st.booleans(),
)
def test_a_rule_survives_json(
    amount: int, unit: Unit, start: Start, certainty: Certainty, rolls: bool
) -> None:
    original = Rule(amount, unit, "《信访工作条例》", certainty, start, rolls)
    assert Rule.from_json(original.to_json()) == original
    for name in ("amount", "unit", "source", "certainty"):
        with pytest.raises(ClockError):
            Rule.from_json({**original.to_json(), name: None})


DATES = st.dates(date(2024, 1, 1), date(2027, 6, 30))
DAY_UNITS = st.sampled_from([Unit.WORKING_DAYS, Unit.CALENDAR_DAYS, Unit.MONTHS])


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=CHINA)


@given(DATES, st.integers(1, 40), st.integers(0, 60), st.integers(0, 30))
def test_a_pause_moves_the_due_day_by_exactly_the_working_days_paused(
    start: date, amount: int, offset: int, length: int
) -> None:
    plain = due([Event(EventKind.STARTED, noon(start))], rule(amount), CALENDAR)
    begin = start + DAY * offset
    end = begin + DAY * length
    assert plain.last_day is not None
    assume(start < begin <= plain.last_day)
    events = [
        Event(EventKind.STARTED, noon(start)),
        Event(EventKind.PAUSED, noon(begin)),
        Event(EventKind.RESUMED, noon(end)),
    ]
    moved = due(events, rule(amount), CALENDAR)
    taken = CALENDAR.working_days_between(begin, end)
    assert moved.last_day == CALENDAR.add_working_days(plain.last_day, taken)
    standing = due(events[:2], rule(amount), CALENDAR)
    assert standing.remaining == amount - CALENDAR.working_days_between(start + DAY, begin)


@given(DATES, st.integers(1, 40), DAY_UNITS, st.data())
def test_more_time_or_a_later_start_never_gives_an_earlier_due_day(
    start: date, amount: int, unit: Unit, data: st.DataObject
) -> None:
    assume(unit is not Unit.MONTHS or amount <= 12)
    base = due([Event(EventKind.STARTED, noon(start))], rule(amount, unit), CALENDAR)
    later = due([Event(EventKind.STARTED, noon(start + DAY))], rule(amount, unit), CALENDAR)
    longer = due([Event(EventKind.STARTED, noon(start))], rule(amount + 1, unit), CALENDAR)
    assert base.at is not None and later.at is not None and longer.at is not None
    assert base.at <= later.at and base.at <= longer.at
    extra = data.draw(st.integers(1, 10))
    extended = due(
        [
            Event(EventKind.STARTED, noon(start)),
            Event(EventKind.EXTENDED, noon(start), extra),
        ],
        rule(amount, unit),
        CALENDAR,
    )
    whole = due([Event(EventKind.STARTED, noon(start))], rule(amount + extra, unit), CALENDAR)
    assert extended == whole


@given(DATES, st.integers(1, 40), DAY_UNITS, st.lists(st.integers(0, 9), max_size=8), st.data())
def test_any_possible_history_gives_one_answer_and_a_working_last_day(
    start: date, amount: int, unit: Unit, gaps: list[int], data: st.DataObject
) -> None:
    """Pauses and extensions in any order: one answer, a working last day, never an earlier one."""
    assume(unit is not Unit.MONTHS or amount <= 12)
    events = [Event(EventKind.STARTED, noon(start))]
    moment, standing = noon(start), False
    for gap in gaps:
        moment += DAY * gap
        if data.draw(st.booleans()):
            events.append(Event(EventKind.EXTENDED, moment, 1))
        else:
            kind = EventKind.RESUMED if standing else EventKind.PAUSED
            events.append(Event(kind, moment))
            standing = not standing
    result = due(events, rule(amount, unit), CALENDAR)
    assert result == due(events, rule(amount, unit), CALENDAR)
    assert result.paused == (result.at is None) == (result.last_day is None)
    if result.last_day is not None:
        plain = due(events[:1], rule(amount, unit), CALENDAR)
        assert plain.last_day is not None and result.last_day >= plain.last_day
        assert CALENDAR.works(result.last_day)
        assert (result.last_day - start).days >= 1


@given(DATES, st.integers(0, 60))
def test_the_corresponding_day_is_the_same_day_or_the_last_of_the_month(
    day: date, months: int
) -> None:
    landed = months_after(day, months)
    assert (landed.year * 12 + landed.month) - (day.year * 12 + day.month) == months
    assert landed.day == day.day or (landed.day < day.day and (landed + DAY).day == 1)
