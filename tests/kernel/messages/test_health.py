"""How the links stand: figures checked against plain counting, and one query for each question."""

from __future__ import annotations

import random
import statistics
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import build
from tests.federation.neighbour import Poser, dial
from tests.links import alarm, letter, link, receipt, standing_at, verified
from zhengtong.kernel import moment, tasks
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.messages import delays, health, watch
from zhengtong.kernel.messages.alarms import Backlog
from zhengtong.kernel.messages.delays import BOUNDS, LinkDelay, quantile
from zhengtong.kernel.messages.models import LinkAlarm
from zhengtong.kernel.notices import Notice

pytestmark = pytest.mark.django_db(transaction=True)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def test_percentiles_lie_in_the_bucket_of_the_true_ones() -> None:
    rng = random.Random(3)
    times = [rng.lognormvariate(0, 2) for _ in range(5000)]
    counts = dict.fromkeys(range(len(BOUNDS) + 1), 0)
    for time in times:
        counts[sum(bound < time for bound in BOUNDS)] += 1
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    for share, true in ((0.5, cuts[49]), (0.99, cuts[98])):
        found = quantile(counts, share)
        assert found is not None
        low = max(bound for bound in (0, *BOUNDS) if bound < true)
        high = min(bound for bound in BOUNDS if bound >= true)
        assert low <= found <= high
    assert quantile({}, 0.5) is None
    assert quantile({len(BOUNDS): 1}, 0.5) == BOUNDS[-1]


def test_the_backlog_is_told_by_lane_with_its_oldest_letter() -> None:
    now = moment.now()
    fugou, idle = link("fugou"), link("xihua")
    letter(fugou, lane=0, at=now - MINUTE)
    letter(fugou, lane=3, at=now - 9 * MINUTE)
    letter(fugou, lane=3, at=now - 8 * MINUTE, number=1)
    letter(fugou, lane=3, at=now - 7 * MINUTE, number=2)
    letter(fugou, lane=2, at=now - 99 * MINUTE, number=1)
    letter(fugou, lane=2, at=now - 2 * MINUTE, problem="oversized")
    standing_at(fugou, lane=3, sealed=2, receipted=0)
    standing_at(fugou, lane=2, sealed=1, receipted=1)
    found = {item.node.name: item for item in health.links()}
    assert found["fugou"].standing.backlog == {
        0: Backlog(1, 0, now - MINUTE),
        3: Backlog(1, 2, now - 9 * MINUTE),
    }
    assert (found["fugou"].backlog, found["fugou"].oldest) == (4, now - 9 * MINUTE)
    assert (found["xihua"].backlog, found["xihua"].oldest) == (0, None)
    assert idle.name == "xihua"


def test_nineteen_links_cost_no_more_queries_than_one() -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            health.links()
        return len(captured)

    first = link("node-0")
    letter(first, lane=2, number=1)
    standing_at(first, lane=2, sealed=1, receipted=0)
    alone = queries()
    for number in range(1, 19):
        other = link(f"node-{number}")
        letter(other, lane=1)
        letter(other, lane=2, number=1)
        standing_at(other, lane=2, sealed=1, receipted=0)
        alarm(other, "overdue")
    assert queries() == alone


def test_a_link_whose_log_nobody_has_verified_yet_has_none() -> None:
    """The core keeps an empty list of roots once the two have met."""
    fugou = link("fugou", log_roots=cbor2.dumps([]))
    assert (fugou.log_size, fugou.log_root) == (0, b"")
    assert link("xihua", log_roots=verified(7, b"r")).log_root == b"r"


def test_delays_are_counted_once_from_the_receipts_by_our_clock() -> None:
    now = moment.now()
    fugou = link("fugou", skew_ms=60_000)  # their clock is a minute ahead
    for number, took in enumerate((1, 2, 20, 200), 1):
        letter(fugou, lane=2, number=number, at=now - 300 * SECOND, sealed=now - took * SECOND)
    receipt(fugou, lane=2, first=1, last=4, at=now + 60 * SECOND)
    assert delays.count_new() and not delays.count_new()
    (found,) = health.links()
    assert found.hour.letters == found.day.letters == 4
    assert found.hour.p50 and 1 <= found.hour.p50 <= 2.5
    assert found.hour.p99 and 60 < found.hour.p99 <= 300
    receipt(fugou, lane=2, first=4, last=4, at=now + 60 * SECOND)
    assert delays.count_new()
    (_, *_, last) = health.history(fugou)
    assert (len(health.history(fugou)), last[1].letters) == (24, 5)
    with moment.fixed(now + timedelta(hours=2)):
        (later,) = health.links()
        assert (later.hour.letters, later.day.letters) == (0, 5)
    with moment.fixed(now + timedelta(days=30)):
        receipt(fugou, lane=2, first=1, last=1, at=moment.now())
        assert delays.count_new()
        (much_later,) = health.links()
        assert much_later.day.letters == 1
        assert sum(row[2] for row in health.totals()) == 6, "the total never falls"
    assert set(LinkDelay.objects.exclude(slot=delays.EVER).values_list("letters", flat=True)) == {1}


def watched(at: object) -> None:
    with moment.fixed(at):  # type: ignore[arg-type]
        while watch.look():
            pass


def open_codes() -> list[str]:
    return list(LinkAlarm.objects.filter(cleared_at=None).values_list("code", flat=True))


def test_an_alarm_reaches_those_who_must_act_and_ends_by_itself() -> None:
    city = build.office()
    keeper = build.person(city.organisation, ["links.read", "links.clear"])
    now = moment.now()
    fugou = link("fugou", last_contact=now - 11 * MINUTE)
    letter(fugou, lane=2, at=now - 11 * MINUTE)
    watched(now)
    assert open_codes() == ["no_contact"]
    (task,) = tasks.to_do(keeper)
    assert task.title == "扶沟县节点：长时间没有联系"
    assert task.page == "/links/fugou/"
    assert not tasks.to_do(city.clerk)
    assert Notice.objects.filter(kind="link-alarm", duty="links.read").count() == 1
    watched(now + MINUTE)
    assert LinkAlarm.objects.count() == 1, "an alarm that stands is not raised twice"

    fugou.last_contact = now + 2 * MINUTE
    fugou.save()
    watched(now + 2 * MINUTE)
    assert open_codes() == []
    assert not tasks.to_do(keeper)
    verbs = AuditEntry.objects.filter(verb__startswith="links.").order_by("id")
    assert list(verbs.values_list("verb", flat=True)) == ["links.announce", "links.clear"]


def test_a_refused_clock_is_told_to_people_until_it_is_right(fugou: Poser) -> None:
    build.office()
    assert dial(fugou.batch())[0] == 200
    watched(moment.now())
    assert open_codes() == []
    status, code, _ = dial(fugou.batch(at=moment.now() - timedelta(hours=1)))
    assert (status, code) == (409, "clock")
    watched(moment.now())
    assert open_codes() == ["clock_off"]
    assert "慢 60 分钟" in LinkAlarm.objects.get().detail
    assert dial(fugou.batch())[0] == 200
    watched(moment.now())
    assert open_codes() == []


def test_silence_is_missed_also_after_our_clock_was_set_back() -> None:
    now = moment.now()
    fugou = link("fugou", last_contact=now + timedelta(hours=1))
    letter(fugou, lane=2, at=now)
    watched(now)
    watched(now + 9 * MINUTE)
    assert open_codes() == []
    watched(now + 11 * MINUTE)
    assert open_codes() == ["no_contact"]


def test_our_clock_set_ahead_is_no_stall() -> None:
    now = moment.now()
    fugou = link("fugou", last_contact=now)
    letter(fugou, lane=2, at=now, number=1)
    standing_at(fugou, lane=2, sealed=1, receipted=0)
    watcher = watch.Watcher("test:1")
    watcher.work()
    with moment.fixed(lambda: datetime.now(UTC) + timedelta(hours=1)):
        type(fugou).objects.update(last_contact=moment.now())
        while watcher.work():
            pass
    assert open_codes() == [], "nobody knows how long it has really waited"


def test_an_alarm_of_the_link_itself_is_announced_and_left_standing() -> None:
    city = build.office()
    keeper = build.person(city.organisation, ["links.read", "links.clear"])
    alarm(link("fugou"), "forked_log", announced=False)
    watched(moment.now())
    watched(moment.now() + MINUTE)
    assert open_codes() == ["forked_log"]
    assert [task.title for task in tasks.to_do(keeper)] == ["扶沟县节点：对方的存证日志出现分叉"]


def test_the_watcher_looks_every_five_seconds_and_only_one_of_two_does() -> None:
    now = moment.now()
    fugou = link("fugou", last_contact=None)
    letter(fugou, lane=2, at=now - 11 * MINUTE)
    first, second = watch.Watcher("a:1"), watch.Watcher("b:2")
    with moment.fixed(now):
        assert first.work()
        assert not second.work(), "the lease is the first one's"
    LinkAlarm.objects.all().delete()
    with moment.fixed(now + 4 * SECOND):
        assert not first.work()
    with moment.fixed(now + 5 * SECOND):
        assert first.work()
    with moment.fixed(now + MINUTE):
        LinkAlarm.objects.all().delete()
        assert second.work(), "it takes over when the first is gone"
