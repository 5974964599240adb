"""Numbers without gaps and without doubles, however many people issue at once."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests import build
from tests.kernel.probes import Outcome, at_once, clerk_of, probe
from zhengtong.kernel.commands import Act
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.numbering import next_number

pytestmark = pytest.mark.django_db(transaction=True)

THREADS, EACH = 8, 25


def fails(thread: int, turn: int) -> bool:
    return (thread + turn) % 4 == 0


@probe()
def take(act: Act, series: str, year: int, rejected: bool) -> int:
    number = next_number(act.actor.organisation, series, year)
    if rejected:
        raise Refused("审批未通过。")
    return number


def test_concurrent_commands_some_rolled_back_leave_no_gap() -> None:
    clerk = clerk_of(build.organisation())

    def work(thread: int) -> list[int]:
        numbers = []
        for turn in range(EACH):
            try:
                numbers.append(take(clerk, "周政办", 2026, fails(thread, turn)))
            except Refused:
                continue
        return numbers

    outcomes: list[Outcome] = at_once(
        *[lambda thread=thread: work(thread) for thread in range(THREADS)]
    )
    assert [outcome.error for outcome in outcomes] == [None] * THREADS
    given = sorted(number for outcome in outcomes for number in outcome.value)
    assert given == list(range(1, len(given) + 1))
    assert len(given) == THREADS * EACH - sum(fails(t, n) for t in range(8) for n in range(25))
    for outcome in outcomes:
        assert outcome.value == sorted(outcome.value)  # each sees its own in order


@pytest.mark.django_db
def test_each_issuer_series_and_year_counts_for_itself() -> None:
    one, other = UUID(int=1), UUID(int=2)
    keys = [(one, "周政", 2026), (one, "周政", 2027), (one, "周政办", 2026), (other, "周政", 2026)]
    assert [next_number(*key) for key in keys * 2] == [1, 1, 1, 1, 2, 2, 2, 2]
