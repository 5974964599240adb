"""When a link gives cause for alarm: the pure rules, minute by minute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.kernel.messages.alarms import LIMITS, Backlog, Seen, Standing, look

NOON = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)  # 12:00 in China
MINUTE = timedelta(minutes=1)


def minutes(number: float) -> datetime:
    return NOON + MINUTE * number


def link(
    lane: int = 2,
    *,
    contact: float | None = 0,
    oldest: float = 0,
    waiting: int = 0,
    underway: int = 3,
    acknowledged: int = 7,
    **more: object,
) -> Standing:
    """A link with letters in one lane; times in minutes after noon."""
    values: dict[str, object] = {
        "road": "https",
        "suspended": False,
        "last_contact": None if contact is None else minutes(contact),
        "backlog": {lane: Backlog(waiting, underway, minutes(oldest))},
        "acknowledged": {lane: acknowledged},
    }
    return Standing(**(values | more))  # type: ignore[arg-type]


def watched(states: Iterable[tuple[float, Standing]]) -> dict[float, dict[str, str]]:
    """What stood open at each moment, as the watcher looks on."""
    seen, found = Seen(), {}
    for at, state in states:
        seen, found[at] = look(state, seen, minutes(at))
    return found


def codes(found: dict[float, dict[str, str]]) -> dict[float, set[str]]:
    return {at: set(alarms) for at, alarms in found.items()}


def test_a_peer_that_speaks_but_does_not_acknowledge_is_a_silent_stall() -> None:
    found = watched((at, link(contact=at)) for at in (0, 1, 4.9, 5, 6))
    assert codes(found) == {
        0: set(),
        1: set(),
        4.9: set(),
        5: {"silent_stall"},
        6: {"silent_stall"},
    }
    assert found[5]["silent_stall"] == "普通件 3 封自 11月25日 12:00 起没有得到确认。"


def test_acknowledging_anything_more_ends_the_stall_and_starts_its_clock_anew() -> None:
    states = [(0.0, 7), (6.0, 7), (7.0, 8), (11.0, 8), (12.0, 8)]
    found = watched((at, link(contact=at, acknowledged=number)) for at, number in states)
    assert codes(found) == {
        0: set(), 6: {"silent_stall"}, 7: set(), 11: set(), 12: {"silent_stall"},
    }  # fmt: skip


def test_a_link_back_after_a_week_has_time_to_catch_up() -> None:
    """What waits is a week old, and yet nothing is wrong any more."""
    gone = link(0, contact=0, oldest=0)
    week = 7 * 24 * 60.0
    back = [(week + at, link(0, contact=week + at, acknowledged=8 + int(at))) for at in (0, 0.5)]
    found = watched([(week - 1, gone), *back])
    assert set(found[week - 1]) == {"no_contact"}
    assert found[week] == {} == found[week + 0.5]


@pytest.mark.parametrize(("lane", "limit"), list(enumerate(LIMITS)))
def test_each_lane_has_its_own_patience(lane: int, limit: timedelta) -> None:
    end = limit / MINUTE
    found = watched(
        (at, link(lane, contact=at, acknowledged=int(at * 60)))
        for at in (0, end - 0.1, end, end + 0.1)
    )
    assert codes(found) == {0: set(), end - 0.1: set(), end: set(), end + 0.1: {"overdue"}}


def test_silence_is_told_as_silence() -> None:
    """Without contact neither a stall nor a late letter is the fault: the silence is."""
    found = watched((at, link(0, contact=0)) for at in (0, 3, 9.9, 10, 600))
    assert codes(found) == {
        0: set(), 3: set(), 9.9: set(), 10: {"no_contact"}, 600: {"no_contact"},
    }  # fmt: skip
    assert found[10]["no_contact"] == " 11月25日 12:00 以后没有联系，3 封信件在等待。"


def test_a_neighbour_never_heard_from_is_missed_once_letters_wait() -> None:
    found = watched((at, link(contact=None, waiting=2, underway=0)) for at in (1, 10))
    assert codes(found) == {1: set(), 10: {"no_contact"}}
    assert "从未联系上，2 封" in found[10]["no_contact"]


def test_an_idle_or_suspended_link_is_left_alone() -> None:
    idle = replace(link(contact=0), backlog={})
    assert codes(watched((at, idle) for at in (0, 60, 6000))) == {0: set(), 60: set(), 6000: set()}
    suspended = link(contact=0, suspended=True)
    assert look(suspended, Seen(), minutes(600))[1] == {}


def test_a_disc_that_is_carried_has_days() -> None:
    """On the ferry road waiting is no fault; three days without a carrier are."""
    day = 24 * 60.0
    found = watched((at, link(contact=0, road="ferry")) for at in (0, day, 2.9 * day, 3 * day))
    assert codes(found) == {0: set(), day: set(), 2.9 * day: set(), 3 * day: {"no_contact"}}


HOUR = timedelta(hours=1)
FAST = "对方时钟比本节点快 60 分钟，信件停止收发。"
SLOW = "对方时钟比本节点慢 60 分钟，信件停止收发。"
REFUSED = "对方因双方时钟相差过大，拒收本节点的信件。"


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"skew": HOUR}, FAST),
        ({"skew": -HOUR}, SLOW),
        ({"skew": HOUR, "road": "ferry"}, FAST),
        ({"skew": -HOUR, "road": "ferry"}, ""),  # it was a long way
        ({"skew": 10 * MINUTE}, ""),  # as much as is let pass
        ({"complaint": "clock"}, REFUSED),
        ({"complaint": "unavailable"}, ""),
    ],
)
def test_a_clock_that_is_off_is_told_at_once(known: dict[str, object], told: str) -> None:
    found = look(replace(link(contact=0), backlog={}, **known), Seen(), NOON)[1]  # type: ignore[arg-type]
    assert found == ({"clock_off": told} if told else {})


def test_our_own_clock_set_back_puts_no_alarm_off() -> None:
    """What was noted an hour ahead counts from the moment of the change."""
    states = [(60.0, 60.0), (0.0, 0.0), (4.9, 4.9), (5.0, 5.0)]
    found = watched((at, link(contact=contact, oldest=-1)) for at, contact in states)
    assert codes(found) == {60: set(), 0: set(), 4.9: set(), 5: {"silent_stall"}}


@given(
    st.lists(
        st.tuples(st.integers(1, 240), st.booleans(), st.integers(0, 3), st.integers(0, 2)),
        max_size=30,
    )
)
def test_no_stall_is_ever_told_within_five_minutes_of_progress(
    steps: list[tuple[int, bool, int, int]],
) -> None:
    seen, at, number, contact, moved = Seen(), 0.0, 0, -1e9, -1e9
    for seconds, hears, more, lane in steps:
        at += seconds / 60
        contact = at if hears else contact
        if hears and more:
            number, moved = number + more, at
        state = link(lane, contact=contact, oldest=-1, acknowledged=number)
        seen, alarms = look(state, seen, minutes(at))
        if at - moved < 5 or at - contact > 2:
            assert "silent_stall" not in alarms
        assert not ("no_contact" in alarms and "overdue" in alarms)
