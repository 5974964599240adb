"""The working calendar against the State Council's notices and against brute force."""

from datetime import date, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.kernel.clock.calendar import DayKind, WorkingCalendar
from zhengtong.kernel.clock.seed import DayRow, announced_days, days_of_notice

CALENDAR = WorkingCalendar({row.day: row.kind for row in announced_days()})
DAYS = st.dates(date(2019, 1, 1), date(2028, 12, 31))


def span(first: str, last: str) -> list[date]:
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [begin + timedelta(days=ahead) for ahead in range((end - begin).days + 1)]


# 国办发明电〔2024〕12号 and 〔2025〕7号, typed from the notices.
NOTICES = {
    2025: (
        {
            "元旦": span("2025-01-01", "2025-01-01"),
            "春节": span("2025-01-28", "2025-02-04"),
            "清明": span("2025-04-04", "2025-04-06"),
            "劳动节": span("2025-05-01", "2025-05-05"),
            "端午": span("2025-05-31", "2025-06-02"),
            "国庆节": span("2025-10-01", "2025-10-08"),
        },
        ["2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"],
    ),
    2026: (
        {
            "元旦": span("2026-01-01", "2026-01-03"),
            "春节": span("2026-02-15", "2026-02-23"),
            "清明": span("2026-04-04", "2026-04-06"),
            "劳动节": span("2026-05-01", "2026-05-05"),
            "端午": span("2026-06-19", "2026-06-21"),
            "中秋": span("2026-09-25", "2026-09-27"),
            "国庆节": span("2026-10-01", "2026-10-07"),
        },
        ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"],
    ),
}


@pytest.mark.parametrize("year", NOTICES)
def test_the_published_notice_and_the_seed_agree_on_every_day(year: int) -> None:
    rest, work = NOTICES[year]
    typed = days_of_notice(
        year,
        {day: name for name, days in rest.items() for day in days},
        [date.fromisoformat(day) for day in work],
    )
    seeded = list(announced_days(year, year))
    assert [(row.day, row.kind.works) for row in typed] == [
        (row.day, row.kind.works) for row in seeded
    ]


def test_every_day_2020_to_2026_is_judged_as_the_outside_oracle_does() -> None:
    for day in span("2020-01-01", "2026-12-31"):
        assert CALENDAR.works(day) == chinese_calendar.is_workday(day), day


def test_the_seed_holds_each_day_of_23_years_once_with_names() -> None:
    rows = {row.day: row for row in announced_days()}
    assert len(rows) == (date(2027, 1, 1) - date(2004, 1, 1)).days == len(list(announced_days()))
    assert rows[date(2026, 2, 17)] == DayRow(date(2026, 2, 17), DayKind.HOLIDAY, "春节")
    assert rows[date(2026, 2, 14)] == DayRow(date(2026, 2, 14), DayKind.MAKEUP, "春节")
    assert rows[date(2026, 11, 22)].kind is DayKind.WEEKEND
    assert rows[date(2026, 11, 23)] == DayRow(date(2026, 11, 23), DayKind.WORKDAY, "")


def test_years_without_a_notice_are_judged_by_the_week_and_not_called_announced() -> None:
    new_year = date(2027, 1, 1)  # a Friday, and certainly a holiday once the notice is out
    assert CALENDAR.works(new_year) and not CALENDAR.is_announced(new_year)
    assert not CALENDAR.works(date(2027, 1, 2))
    with pytest.raises(ValueError, match="2004–2026"):
        list(announced_days(2027, 2027))


def test_a_notice_that_contradicts_itself_is_refused() -> None:
    saturday = date(2027, 1, 2)
    with pytest.raises(ValueError, match="both"):
        days_of_notice(2027, {saturday: "元旦"}, [saturday])
    with pytest.raises(ValueError, match="weekday"):
        days_of_notice(2027, {}, [date(2027, 1, 4)])
    with pytest.raises(ValueError, match="belong"):
        days_of_notice(2027, {date(2028, 1, 1): "元旦"}, [])


def test_a_notice_may_reach_into_the_december_before() -> None:
    rows = days_of_notice(2027, {date(2026, 12, 31): "元旦", date(2027, 1, 1): "元旦"}, [])
    assert rows[0] == DayRow(date(2026, 12, 31), DayKind.HOLIDAY, "元旦")
    assert len(rows) == 366


@given(DAYS, st.integers(-60, 60))
def test_adding_working_days_lands_where_enumeration_does(day: date, count: int) -> None:
    direction = 1 if count >= 0 else -1
    ahead = (day + timedelta(days=direction * offset) for offset in range(1, 400))
    working = [each for each in ahead if CALENDAR.works(each)]
    assert CALENDAR.add_working_days(day, count) == (working[abs(count) - 1] if count else day)


@given(DAYS, st.integers(0, 60))
def test_counting_between_undoes_adding(day: date, count: int) -> None:
    tomorrow = day + timedelta(days=1)
    landed = CALENDAR.add_working_days(day, count) + timedelta(days=1)
    assert CALENDAR.working_days_between(tomorrow, landed) == count
    assert CALENDAR.working_days_between(landed, tomorrow) == -count
