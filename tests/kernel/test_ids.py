"""Identifiers: UUID version 7, ordered by the time and order in which they were made."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from zhengtong.kernel import moment
from zhengtong.kernel.ids import new_id

NOW = datetime(2026, 7, 1, 1, 2, 3, 456_000, tzinfo=UTC)


@given(st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_it_is_a_version_7_uuid_that_tells_its_millisecond(at: datetime) -> None:
    with moment.fixed(at):
        made = new_id()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(at.timestamp() * 1000)


def test_within_one_millisecond_they_rise() -> None:
    with moment.fixed(NOW):
        made = [new_id() for _ in range(5000)]
    assert made == sorted(set(made))
    assert {one.int >> 80 for one in made} == {int(NOW.timestamp() * 1000)}


def test_even_when_chance_is_at_its_highest() -> None:
    with moment.fixed(NOW + timedelta(days=1)):
        made = [new_id(lambda size: b"\xff" * size) for _ in range(1000)]
    assert made == sorted(set(made))
    assert all(one.version == 7 and one.variant == uuid.RFC_4122 for one in made)


def test_a_clock_set_back_is_followed() -> None:
    with moment.fixed(NOW):
        later = new_id()
    with moment.fixed(NOW - timedelta(hours=1)):
        assert new_id() < later


def test_threads_never_make_the_same() -> None:
    with moment.fixed(NOW), ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: new_id(), range(2000)))
    assert len(set(made)) == 2000
