"""A timer rings once, at its time, whatever stops in between; setting it again moves it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests import build
from tests.kernel.probes import at_once, clerk_of, probe, register_fact, saved_task
from zhengtong.kernel import moment
from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages import timers
from zhengtong.kernel.messages.facts import Fact, decode
from zhengtong.kernel.messages.models import Message
from zhengtong.kernel.messages.timers import Timer
from zhengtong.kernel.tasks import Task

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 7, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclasses.dataclass(frozen=True)
class FellDue(Fact):
    what: str
    since: datetime | None = None


@probe()
def remind_at(act: Act, task: Task, due: datetime, fact: FellDue, fails: bool = False) -> None:
    act.tell_at(due, fact)
    if fails:
        raise Refused("不设了。")


@dataclasses.dataclass
class Desk:
    clerk: Actor
    task: Task


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    register_fact(monkeypatch, "probe.fell_due", FellDue)
    with moment.fixed(NOW):
        office = build.organisation()
        clerk = clerk_of(office, clearance=Level.WORK_SECRET)
        yield Desk(clerk, saved_task(office, level=Level.WORK_SECRET))


def ring_at(at: datetime) -> int:
    with moment.fixed(at):
        return timers.ring_due()


def test_it_rings_when_its_time_has_come_and_only_once(desk: Desk) -> None:
    remind_at(desk.clerk, desk.task, NOW + HOUR, FellDue("签收"))
    assert ring_at(NOW + HOUR - timedelta(seconds=1)) == 0
    assert ring_at(NOW + HOUR) == 1
    assert ring_at(NOW + HOUR) == ring_at(NOW + 9 * HOUR) == 0
    (message,) = Message.objects.all()
    assert decode(message.kind, bytes(message.body)) == FellDue("签收")
    assert (message.subject, message.level) == (desk.task.urn, Level.WORK_SECRET)
    assert message.at == NOW + HOUR and message.pending


def test_a_time_long_past_rings_late_rather_than_never(desk: Desk) -> None:
    remind_at(desk.clerk, desk.task, NOW + HOUR, FellDue("签收"))
    assert ring_at(NOW + timedelta(days=30)) == 1
    assert Message.objects.get().at == NOW + HOUR  # the fact fell due then, not now


def test_setting_it_again_moves_it(desk: Desk) -> None:
    for due in (NOW + HOUR, NOW + 3 * HOUR, NOW + 2 * HOUR):
        remind_at(desk.clerk, desk.task, due, FellDue("签收", NOW))
    assert ring_at(NOW + HOUR) == 0
    assert ring_at(NOW + 2 * HOUR) == 1
    assert ring_at(NOW + 9 * HOUR) == 0


def test_the_same_fact_in_another_time_zone_is_the_same_timer(desk: Desk) -> None:
    here = NOW.astimezone(timezone(timedelta(hours=8)))
    remind_at(desk.clerk, desk.task, NOW + HOUR, FellDue("签收", NOW))
    remind_at(desk.clerk, desk.task, NOW + 2 * HOUR, FellDue("签收", here))
    assert Timer.objects.count() == 1


def test_other_facts_keep_their_own_times(desk: Desk) -> None:
    remind_at(desk.clerk, desk.task, NOW + HOUR, FellDue("签收"))
    remind_at(desk.clerk, desk.task, NOW + 2 * HOUR, FellDue("办理"))
    assert [ring_at(NOW + HOUR), ring_at(NOW + 2 * HOUR)] == [1, 1]


def test_after_it_has_rung_it_can_be_set_anew(desk: Desk) -> None:
    remind_at(desk.clerk, desk.task, NOW + HOUR, FellDue("签收"))
    ring_at(NOW + HOUR)
    remind_at(desk.clerk, desk.task, NOW + 2 * HOUR, FellDue("签收"))
    assert ring_at(NOW + 2 * HOUR) == 1
    assert Message.objects.count() == 2


def test_a_command_rolled_back_sets_and_moves_nothing(desk: Desk) -> None:
    remind_at(desk.clerk, desk.task, NOW + HOUR, FellDue("签收"))
    for due in (NOW + HOUR, NOW + 9 * HOUR):
        with pytest.raises(Refused):
            remind_at(desk.clerk, desk.task, due, FellDue("签收"), fails=True)
        with pytest.raises(Refused):
            remind_at(desk.clerk, desk.task, due, FellDue("另一件"), fails=True)
    assert list(Timer.objects.values_list("due_at", flat=True)) == [NOW + HOUR]


def test_the_earliest_ring_first_and_the_rest_in_the_next_round(desk: Desk) -> None:
    for hours in (3, 1, 2):
        remind_at(desk.clerk, desk.task, NOW + hours * HOUR, FellDue(str(hours)))
    with moment.fixed(NOW + 9 * HOUR):
        assert timers.ring_due(limit=2) == 2
        said = [decode(m.kind, bytes(m.body)) for m in Message.objects.order_by("id")]
        assert said == [FellDue("1"), FellDue("2")]
        assert timers.ring_due(limit=2) == 1


def test_several_workers_ring_each_timer_once(desk: Desk) -> None:
    for number in range(30):
        remind_at(desk.clerk, desk.task, NOW + HOUR, FellDue(str(number)))
    with moment.fixed(NOW + HOUR):
        outcomes = at_once(*[lambda: timers.ring_due(limit=20)] * 4)
        assert [outcome.error for outcome in outcomes] == [None] * 4
        while timers.ring_due():
            pass
    said = {bytes(body) for body in Message.objects.values_list("body", flat=True)}
    assert Message.objects.count() == len(said) == 30
