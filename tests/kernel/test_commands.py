"""A command does all of it or none of it, for those who may, and says so in the audit log."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from tests import build
from tests.kernel.probes import (
    at_once,
    clerk_of,
    everything,
    failing_insert,
    probe,
    saved_task,
    task_of,
)
from zhengtong.capabilities.documents.messages import Issued
from zhengtong.kernel import commands
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.commands import Act, NestedCommand
from zhengtong.kernel.directory.actors import Actor, anonymous
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import AboveCeiling, Denied, Invalid, Refused
from zhengtong.kernel.labels import Level, Share
from zhengtong.kernel.messages.models import Message
from zhengtong.kernel.notices import Notice, notify
from zhengtong.kernel.records import grant
from zhengtong.kernel.tasks import Task

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def office() -> Organisation:
    return build.organisation()


@probe()
def make(act: Act, title: str = "核对值班表", level: Level = Level.INTERNAL) -> Task:
    """Create a task, notify its owner, tell a fact: something in every table a command writes."""
    task = saved_task(act.actor.organisation, title=title, level=level)
    notify(act.actor.organisation, "task", "您有一件新的待办事项。")
    act.tell(Issued(task.pk))
    return task


@probe("probe.change")
def change(act: Act, task: Task, title: str) -> Task:
    task.title = title
    task.save(update_fields=["title"])
    return task


def left_behind() -> dict[str, int]:
    """How many rows a command has left in each kind of table."""
    return {
        model.__name__: everything(model).count() for model in (Task, Notice, Message, AuditEntry)
    }


def entries(verb: str = "probe.make") -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(verb=verb).order_by("pk"))


# ── who may ──


def test_who_holds_the_duty_may_and_the_log_says_who_did_what(office: Organisation) -> None:
    clerk = clerk_of(office)
    made = make(clerk)
    (entry,) = entries()
    assert (entry.outcome, entry.actor, entry.organisation) == ("done", clerk.urn, office.pk)
    assert entry.objects_named == [made.urn]
    (message,) = Message.objects.all()
    assert entry.detail == {"told": [f"documents.issued {message.pk}"]}


def test_without_the_duty_it_is_denied_and_only_the_denial_is_kept(office: Organisation) -> None:
    stranger = clerk_of(office, "probe.other")
    before = left_behind()
    with pytest.raises(Denied, match="您的岗位没有“试办”的职责"):
        make(stranger)
    assert left_behind() == before | {"AuditEntry": before["AuditEntry"] + 1}
    (entry,) = entries()
    assert (entry.outcome, entry.actor) == ("denied", stranger.urn)
    assert "试办" in entry.reason


def test_a_denial_within_the_body_undoes_what_was_done_before_it(office: Organisation) -> None:
    @probe()
    def half(act: Act) -> None:
        saved_task(act.actor.organisation)
        raise Denied("只有本人可以办理。")

    before = left_behind()
    with pytest.raises(Denied):
        half(clerk_of(office))
    assert everything(Task).count() == before["Task"]
    assert [entry.reason for entry in entries()] == ["只有本人可以办理。"]


@pytest.mark.parametrize("error", [Refused("不行。"), Invalid({"title": "长"}), ValueError("x")])
def test_an_error_in_the_body_leaves_nothing(office: Organisation, error: Exception) -> None:
    @probe()
    def half(act: Act) -> None:
        saved_task(act.actor.organisation)
        notify(office.pk, "task", "x")
        raise error

    clerk = clerk_of(office)
    before = left_behind()
    with pytest.raises(type(error)):
        half(clerk)
    assert left_behind() == before


def test_nobody_in_particular_may_do_nothing(office: Organisation) -> None:
    with pytest.raises(Denied):
        make(anonymous())


@pytest.mark.parametrize("not_an_actor", [None, "李明禾", 7])
def test_without_an_actor_there_is_no_command(office: Organisation, not_an_actor: Any) -> None:
    before = left_behind()
    with pytest.raises(TypeError, match="first argument is the actor"):
        make(not_an_actor)
    assert left_behind() == before


# ── on which records ──


def test_a_record_of_another_organisation_is_out_of_reach(office: Organisation) -> None:
    theirs = saved_task(build.organisation("扶沟县人民政府", kind="county"))
    clerk = clerk_of(office, "probe.change")
    with pytest.raises(Denied, match="没有找到这条记录，或您无权办理"):
        change(clerk, theirs, "我的")
    assert everything(Task).get().title == "核对值班表"
    assert [entry.outcome for entry in entries("probe.change")] == ["denied"]
    grant(theirs, [office], "协办")
    assert change(clerk, theirs, "一起办").title == "一起办"


def test_a_record_that_is_gone_is_told_like_one_out_of_reach(office: Organisation) -> None:
    with pytest.raises(Denied, match="没有找到这条记录，或您无权办理"):
        change(clerk_of(office, "probe.change"), task_of(office), "x")


def test_the_record_is_read_afresh(office: Organisation) -> None:
    stale = saved_task(office)
    everything(Task).update(note="刚刚改的")

    @probe("probe.change")
    def read(act: Act, task: Task) -> str:
        return task.note

    assert read(clerk_of(office, "probe.change"), stale) == "刚刚改的"


def hidden_in(office: Organisation) -> tuple[Task, Task]:
    return saved_task(office), saved_task(build.organisation("沈丘县人民政府", kind="county"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda mine, theirs: [mine, theirs],
        lambda mine, theirs: (theirs,),
        lambda mine, theirs: ["x", theirs],
    ],
)
def test_records_in_a_list_are_judged_one_by_one(office: Organisation, wrap: Any) -> None:
    @probe("probe.change")
    def take(act: Act, tasks: Any, *, more: Any = None) -> None:
        pytest.fail("the body must not run")

    clerk = clerk_of(office, "probe.change")
    wrapped = wrap(*hidden_in(office))
    for given in ((wrapped,), {"tasks": wrapped}, {"tasks": None, "more": wrapped}):
        with pytest.raises(Denied):
            take(clerk, **given) if isinstance(given, dict) else take(clerk, *given)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda mine, theirs: {mine, theirs},
        lambda mine, theirs: {"a": theirs},
        lambda mine, theirs: Task.objects.unlabelled("test"),
        lambda mine, theirs: [[theirs]],
    ],
)
def test_records_wrapped_in_anything_else_are_refused(office: Organisation, wrap: Any) -> None:
    @probe("probe.change")
    def take(act: Act, tasks: Any) -> None:
        pytest.fail("the body must not run")

    with pytest.raises(TypeError, match="record"):
        take(clerk_of(office, "probe.change"), wrap(*hidden_in(office)))


# ── with what result ──


def test_nothing_above_the_ceiling_is_stored(office: Organisation) -> None:
    clerk = clerk_of(office)
    before = left_behind()
    with pytest.raises(AboveCeiling, match=r"最高只能处理“工作秘密”.*不能保存“秘密”"):
        make(clerk, "涉密事项", Level.SECRET)
    assert left_behind() == before


def test_nor_when_it_is_one_of_several_results(office: Organisation) -> None:
    @probe()
    def several(act: Act) -> list[Task]:
        return [saved_task(office), saved_task(office, level=Level.SECRET)]

    clerk = clerk_of(office)
    before = left_behind()
    with pytest.raises(AboveCeiling):
        several(clerk)
    assert left_behind() == before


def test_nor_when_a_record_at_hand_is_raised(office: Organisation) -> None:
    @probe("probe.change")
    def raise_level(act: Act, task: Task) -> None:
        task.level = Level.CONFIDENTIAL
        task.save()

    task = saved_task(office)
    with pytest.raises(AboveCeiling):
        raise_level(clerk_of(office, "probe.change"), task)
    assert everything(Task).get().level == Level.INTERNAL


def test_nobody_makes_what_he_could_not_read(office: Organisation) -> None:
    clerk = clerk_of(office, clearance=Level.INTERNAL)
    before = left_behind()["Task"]
    with pytest.raises(Denied, match="超出您的可见范围"):
        make(clerk, level=Level.WORK_SECRET)
    other = build.organisation("扶沟县人民政府", kind="county")

    @probe()
    def for_others(act: Act) -> list[Task]:
        return [saved_task(other, share=Share.REFUSED)]

    with pytest.raises(Denied):
        for_others(clerk)
    assert left_behind()["Task"] == before


def test_every_record_made_is_in_the_log(office: Organisation) -> None:
    @probe()
    def several(act: Act) -> list[Task]:
        return [saved_task(office), saved_task(office)]

    made = several(clerk_of(office))
    assert entries()[0].objects_named == [task.urn for task in made]


def test_a_fact_travels_under_the_label_of_what_the_command_made(office: Organisation) -> None:
    made = make(clerk_of(office, clearance=Level.WORK_SECRET), level=Level.WORK_SECRET)
    (message,) = Message.objects.all()
    assert (message.level, message.subject) == (Level.WORK_SECRET, made.urn)


def test_a_fact_for_an_unknown_node_stops_the_command(office: Organisation) -> None:
    far = build.organisation("太康县人民政府", kind="county", node="taikang")

    @probe()
    def send(act: Act) -> Task:
        task = saved_task(office)
        act.tell(Issued(task.pk), to=[far])
        return task

    clerk = clerk_of(office)
    before = left_behind()
    with pytest.raises(Refused, match="尚未与节点 taikang 建立连接"):
        send(clerk)
    assert left_behind() == before


# ── one transaction, and one only ──


@probe("probe.outer")
def outer(act: Act) -> None:
    make(act.actor)


def test_commands_do_not_call_commands(office: Organisation) -> None:
    clerk = clerk_of(office, "probe.outer", "probe.make")
    before = left_behind()
    with pytest.raises(NestedCommand, match=r"probe.make was called inside probe.outer"):
        outer(clerk)
    assert left_behind() == before
    assert make(clerk)  # and the refusal is over when the outer one is


def test_a_command_is_not_part_of_somebody_elses_transaction(office: Organisation) -> None:
    clerk = clerk_of(office)
    before = left_behind()
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        make(clerk)
    assert left_behind() == before


@pytest.mark.django_db(transaction=False)
def test_both_hold_inside_the_transaction_of_a_test() -> None:
    office = build.organisation()
    clerk = clerk_of(office, "probe.outer", "probe.make")
    with pytest.raises(NestedCommand):
        outer(clerk)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        make(clerk)
    assert make(clerk)


def test_two_changes_of_one_record_follow_one_another(office: Organisation) -> None:
    task = saved_task(office, urgency=0)

    @probe("probe.change")
    def raise_urgency(act: Act, task: Task) -> None:
        task.urgency += 1
        task.save(update_fields=["urgency"])

    clerk = clerk_of(office, "probe.change")
    outcomes = at_once(*[lambda: raise_urgency(clerk, task)] * 4)
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert everything(Task).get().urgency == 4


def test_if_the_log_cannot_be_written_nothing_is(office: Organisation) -> None:
    clerk = clerk_of(office)
    before = left_behind()
    with failing_insert("kernel_auditentry", "no more rows"):
        with pytest.raises(Exception, match="no more rows"):
            make(clerk)
        with pytest.raises(Exception, match="no more rows"):
            make(clerk_of_without_duty(clerk))
    assert left_behind() == before
    assert make(clerk)


def clerk_of_without_duty(clerk: Actor) -> Actor:
    return Actor(clerk.name, clerk.urn, clerk.organisations, frozenset(), person=clerk.person)


# ── after the commit ──


def test_what_follows_the_commit_cannot_make_it_look_undone(
    office: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def fail() -> None:
        raise OSError(9, "Bad file descriptor")

    @probe()
    def wake(act: Act) -> Task:
        act.after_commit(lambda: ran.append("first"))
        act.after_commit(fail)
        act.after_commit(lambda: ran.append("last"))
        return saved_task(office)

    def broken_bell() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(commands, "ring", broken_bell)
    made = wake(clerk_of(office))
    assert everything(Task).get() == made
    assert ran == ["first", "last"]


def test_nothing_follows_a_rollback(office: Organisation) -> None:
    ran: list[str] = []

    @probe()
    def fail(act: Act) -> None:
        act.after_commit(lambda: ran.append("x"))
        raise Refused("不行。")

    with pytest.raises(Refused):
        fail(clerk_of(office))
    assert ran == []
