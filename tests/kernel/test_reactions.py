"""A message may be handled again and again; its effect comes once, in order, and is never lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests import build
from tests.kernel.probes import (
    Clock,
    at_once,
    everything,
    probe,
    register_fact,
    register_reaction,
    saved_task,
)
from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.actors import Actor, node_actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import NotFound, Refused, Unavailable
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.messages import reactions
from zhengtong.kernel.messages.facts import Fact, encode
from zhengtong.kernel.messages.models import Handling, Message
from zhengtong.kernel.messages.reactions import OneCommandOnly, Reacting
from zhengtong.kernel.tasks import Task

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 7, 1, 0, tzinfo=UTC)
KIND = "probe.happened"


@dataclasses.dataclass(frozen=True)
class Happened(Fact):
    what: str


@probe("probe.react")
def note(act: Act, owner: Organisation, title: str) -> Task:
    return saved_task(owner, title=title)


def node(*duties: str) -> Actor:
    return node_actor(duties or ("probe.react",))


class Killed(BaseException):
    """What stops a worker in mid-flight: no handler of errors may catch it."""


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock(NOW)
    with moment.fixed(clock):
        yield clock


@pytest.fixture
def office(clock: Clock) -> Organisation:
    return build.organisation()


React = Callable[..., None]


@pytest.fixture
def react(monkeypatch: pytest.MonkeyPatch) -> React:
    """Register the reactions of a test, by name."""
    register_fact(monkeypatch, KIND, Happened)
    return lambda **bodies: register_reaction(monkeypatch, KIND, **bodies)


def tell(what: str, subject: str = "") -> Message:
    return Message.objects.create(
        id=new_id(),
        kind=KIND,
        body=encode(Happened(what)),
        level=1,
        subject=subject,
        origin="elsewhere",
        at=moment.now(),
    )


def titles() -> list[str]:
    return sorted(everything(Task).values_list("title", flat=True))


def settle(clock: Clock, seconds: float = 400, times: int = 1) -> None:
    """Let the worker run, and again after the longest pause between attempts."""
    for _ in range(times):
        while reactions.work():
            pass
        clock.move(seconds=seconds)


def test_a_fact_takes_effect_in_every_reaction_once(office: Organisation, react: React) -> None:
    react(
        first=lambda act, fact: note(node(), office, f"一 {fact.what}"),
        second=lambda act, fact: note(node(), office, f"二 {fact.what}"),
        silent=lambda act, fact: None,
    )
    message = tell("汛情")
    assert reactions.work()
    assert not reactions.work()
    assert titles() == ["一 汛情", "二 汛情"]
    message.refresh_from_db()
    assert not message.pending
    assert set(message.handlings.filter(done=True).values_list("reaction", flat=True)) == {
        "first",
        "second",
        "silent",
    }


def test_a_message_handled_twice_takes_effect_once(office: Organisation, react: React) -> None:
    react(only=lambda act, fact: note(node(), office, fact.what))
    message = tell("汛情")
    for _ in range(3):
        reactions.handle(message)
    assert titles() == ["汛情"]
    assert AuditEntry.objects.filter(verb="probe.react").count() == 1


def test_a_worker_that_dies_after_the_commit_doubles_nothing(
    office: Organisation, react: React, clock: Clock
) -> None:
    def killed_after(act: Reacting, fact: Happened) -> None:
        note(node(), office, fact.what)
        raise Killed

    react(only=killed_after)
    tell("汛情")
    with pytest.raises(Killed):
        reactions.work()
    assert titles() == ["汛情"]
    assert not reactions.work()  # its lease still runs
    clock.move(seconds=61)
    assert reactions.work()
    assert titles() == ["汛情"]
    assert not Message.objects.filter(pending=True).exists()


def test_a_worker_that_dies_before_the_commit_loses_nothing(
    office: Organisation, react: React, clock: Clock
) -> None:
    deaths = [Killed]

    @probe("probe.react")
    def fragile(act: Act, title: str) -> Task:
        task = saved_task(office, title=title)
        if deaths:
            raise deaths.pop()
        return task

    react(only=lambda act, fact: fragile(node(), fact.what))
    tell("汛情")
    with pytest.raises(Killed):
        reactions.work()
    assert titles() == []
    clock.move(seconds=61)
    assert reactions.work()
    assert titles() == ["汛情"]


def test_two_effects_need_two_reactions(office: Organisation, react: React, clock: Clock) -> None:
    def greedy(act: Reacting, fact: Happened) -> None:
        note(node(), office, "第一件")
        note(node(), office, "第二件")

    react(greedy=greedy)
    tell("汛情")
    with pytest.raises(OneCommandOnly, match="greedy"):
        reactions.work()
    settle(clock, times=3)
    assert titles() == ["第一件"]


# ── failures ──


def test_a_failure_is_tried_again_until_it_works(
    office: Organisation, react: React, clock: Clock
) -> None:
    failures = [ValueError("网络不通"), NotFound("还没有到"), ValueError("又一次")]

    def shaky(act: Reacting, fact: Happened) -> None:
        if failures:
            raise failures.pop(0)
        note(node(), office, fact.what)

    react(shaky=shaky)
    message = tell("汛情")
    assert reactions.work()
    handling = message.handlings.get()
    assert (handling.error, handling.attempts, handling.dead) == ("ValueError: 网络不通", 1, False)
    assert not reactions.work()  # not at once
    settle(clock, times=4)
    assert titles() == ["汛情"]
    handling.refresh_from_db()
    assert (handling.done, handling.dead, handling.error) == (True, False, "")


def test_the_pauses_between_attempts_grow(office: Organisation, react: React, clock: Clock) -> None:
    tried: list[datetime] = []

    def failing(act: Reacting, fact: Happened) -> None:
        tried.append(moment.now())
        raise ValueError("x")

    react(failing=failing)
    tell("汛情")
    for _ in range(300):
        reactions.work()
        clock.move(seconds=1)
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert len(tried) == reactions.MAX_ATTEMPTS
    assert pauses == sorted(pauses) and pauses[0] < timedelta(seconds=5) < pauses[-1]


def test_a_reaction_given_up_is_dead_visible_and_never_tried_again(
    office: Organisation, react: React, clock: Clock
) -> None:
    tried: list[str] = []

    def failing(act: Reacting, fact: Happened) -> None:
        tried.append("failing")
        raise ValueError("坏数据")

    def later(act: Reacting, fact: Happened) -> None:
        """Works only after the other has been given up."""
        tried.append("later")
        if tried.count("later") < reactions.MAX_ATTEMPTS - 1:
            raise NotFound("还没有到")
        note(node(), office, fact.what)

    def refused(act: Reacting, fact: Happened) -> None:
        tried.append("refused")
        raise Refused("不收。")

    react(failing=failing, later=later, refused=refused)
    message = tell("汛情")
    settle(clock, times=reactions.MAX_ATTEMPTS + 4)
    assert titles() == ["汛情"]
    assert tried.count("failing") == reactions.MAX_ATTEMPTS
    assert tried.count("refused") == 1
    dead = Handling.objects.get(dead=True, reaction="failing")
    assert (dead.attempts, dead.error) == (reactions.MAX_ATTEMPTS, "ValueError: 坏数据")
    message.refresh_from_db()
    assert not message.pending


def test_what_the_machine_cannot_do_for_now_is_never_given_up(
    office: Organisation, react: React, clock: Clock
) -> None:
    """A disk that is full over a weekend."""
    full = [True]

    def late(act: Reacting, fact: Happened) -> None:
        if full:
            raise Unavailable("full")
        note(node(), office, fact.what)

    react(late=late)
    message = tell("汛情")
    settle(clock, times=reactions.MAX_ATTEMPTS + 4)
    handling = message.handlings.get()
    assert handling.attempts > reactions.MAX_ATTEMPTS and not handling.dead
    assert "磁盘已满" in handling.error
    full.clear()
    settle(clock, times=1)
    assert titles() == ["汛情"]


def test_a_refusal_is_final(office: Organisation, react: React, clock: Clock) -> None:
    def refused(act: Reacting, fact: Happened) -> None:
        raise Refused("已经办结。")

    react(refused=refused)
    tell("汛情")
    settle(clock, times=2)
    handling = Handling.objects.get()
    assert (handling.dead, handling.attempts, handling.error) == (True, 1, "Refused: 已经办结。")
    assert not Message.objects.filter(pending=True).exists()


def test_a_node_without_the_duty_is_refused_for_good_and_audited(
    office: Organisation, react: React, clock: Clock
) -> None:
    react(only=lambda act, fact: note(node("probe.other"), office, fact.what))
    tell("汛情")
    settle(clock)
    assert Handling.objects.get().dead
    assert AuditEntry.objects.filter(outcome="denied").count() == 1


@pytest.mark.parametrize("body", [b"\xff", b"\xa0"])
def test_a_message_that_cannot_be_read_is_dead_and_out_of_the_way(
    office: Organisation, react: React, clock: Clock, body: bytes
) -> None:
    react(only=lambda act, fact: note(node(), office, fact.what))
    Message.objects.filter(pk=tell("汛情", "urn:a").pk).update(body=body)
    clock.move(seconds=1)
    tell("续报", "urn:a")
    settle(clock, times=2)
    assert Handling.objects.get(dead=True).reaction == "decode"
    assert titles() == ["续报"]


# ── order ──


def test_facts_about_one_record_take_effect_in_order_and_others_go_on(
    office: Organisation, react: React, clock: Clock
) -> None:
    ready: list[str] = []
    done: list[str] = []

    def ordered(act: Reacting, fact: Happened) -> None:
        if fact.what == "甲一" and not ready:
            raise NotFound("还没有到")
        note(node(), office, fact.what)
        done.append(fact.what)

    react(ordered=ordered)
    for what, subject in (
        ("甲一", "a"),
        ("甲二", "a"),
        ("乙一", "b"),
        ("甲三", "a"),
        ("乙二", "b"),
    ):
        tell(what, f"urn:zhengtong:probe:{subject}")
        clock.move(milliseconds=1)
    settle(clock)
    assert done == ["乙一", "乙二"]
    ready.append("yes")
    settle(clock)
    assert done == ["乙一", "乙二", "甲一", "甲二", "甲三"]


def test_facts_told_in_one_breath_keep_their_order(
    office: Organisation, react: React, clock: Clock
) -> None:
    done: list[str] = []
    react(ordered=lambda act, fact: done.append(fact.what))
    for number in range(40):
        tell(str(number), "urn:zhengtong:probe:a")
    settle(clock)
    assert done == [str(number) for number in range(40)]


# ── several workers ──


def test_two_workers_share_the_work_and_do_nothing_twice(react: React) -> None:
    office = build.organisation()
    react(only=lambda act, fact: note(node(), office, fact.what))
    expected = sorted(f"{record}-{number}" for record in range(6) for number in range(4))
    for what in expected:
        tell(what, f"urn:zhengtong:probe:{what[0]}")

    def work() -> int:
        rounds = 0
        while Message.objects.filter(pending=True).exists() and rounds < 500:
            rounds += reactions.work()
        return rounds

    outcomes = at_once(work, work)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert titles() == expected


@pytest.mark.parametrize("failed_before", [False, True])
def test_two_workers_with_the_same_message_in_hand_have_one_effect(
    react: React, failed_before: bool
) -> None:
    """A paused worker wakes after its lease and meets the one that took over."""
    office = build.organisation()
    react(only=lambda act, fact: note(node(), office, fact.what))
    messages = [tell(f"{number:02}") for number in range(12)]
    for message in messages if failed_before else ():
        Handling.objects.create(message=message, reaction="only", attempts=1, error="x")

    def work() -> None:
        for message in messages:
            reactions.handle(Message.objects.get(pk=message.pk))

    outcomes = at_once(work, work, work)
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert titles() == [f"{number:02}" for number in range(12)]
    assert not Message.objects.filter(pending=True).exists()
    assert not Handling.objects.filter(done=False).exists()


def test_a_reaction_knows_whom_the_fact_is_for_here(office: Organisation, react: React) -> None:
    far = build.organisation("太康县人民政府", kind="county", node="taikang")
    seen: list[Reacting] = []
    react(only=lambda act, fact: seen.append(act))
    message = tell("汛情", "urn:zhengtong:probe:a")
    Message.objects.filter(pk=message.pk).update(addressees=[str(office.pk), str(far.pk)])
    reactions.work()
    (act,) = seen
    assert act.addressees == (office,)
    assert (act.origin, act.level, act.subject) == ("elsewhere", 1, "urn:zhengtong:probe:a")
    assert act.as_node(office.pk).organisation == office.pk and act.as_node().is_node
