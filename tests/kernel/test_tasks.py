"""The to-do centre shows everybody what waits for them, and nothing they may not read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from tests import build
from tests.kernel.probes import saved_task
from zhengtong.kernel import moment, notices, tasks
from zhengtong.kernel.directory.actors import Actor, anonymous
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.labels import Level, Share
from zhengtong.kernel.notices import Notice
from zhengtong.kernel.tasks import Task, close_tasks, new_task, open_tasks

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 7, 1, tzinfo=UTC)
SIGN, READ = "documents.sign_for", "documents.read"


@dataclass
class Desk:
    office: Organisation
    about: Task  # any record will do
    li: Actor
    wang: Actor
    other: Actor


@pytest.fixture
def desk() -> Iterator[Desk]:
    with moment.fixed(NOW):
        office = build.organisation()
        county = build.organisation("扶沟县人民政府", kind="county")
        yield Desk(
            office,
            saved_task(office, duty="nobody"),
            build.person(office, [SIGN], name="李明禾"),
            build.person(office, [SIGN, READ], name="王远岑"),
            build.person(county, [SIGN, READ], name="赵听雪"),
        )


def give(desk: Desk, title: str = "签收公文", **given: Any) -> Task:
    values: dict[str, Any] = {
        "owner": desk.office.pk,
        "duty": SIGN,
        "kind": "sign_for",
        "title": title,
        "page": "/documents/1/",
    }
    about = given.pop("about", desk.about)
    task = new_task(about, **(values | given))
    open_tasks([task])
    return task


def titles(found: Any) -> list[str]:
    return [task.title for task in found]


def test_a_task_waits_for_whoever_holds_the_duty_in_the_organisation(desk: Desk) -> None:
    give(desk)
    give(desk, "阅知", duty=READ, reading=True)
    assert titles(tasks.to_do(desk.li)) == titles(tasks.to_do(desk.wang)) == ["签收公文"]
    assert titles(tasks.to_read(desk.wang)) == ["阅知"]
    assert titles(tasks.to_read(desk.li)) == []
    assert titles(tasks.to_do(desk.other)) == titles(tasks.to_read(desk.other)) == []
    assert titles(tasks.to_do(anonymous())) == []


def test_a_task_for_one_person_waits_for_nobody_else(desk: Desk) -> None:
    give(desk, person=desk.wang.person)
    assert titles(tasks.to_do(desk.wang)) == ["签收公文"]
    assert titles(tasks.to_do(desk.li)) == []
    unfit = replace(desk.wang, duties=frozenset())
    assert titles(tasks.to_do(unfit)) == []  # the duty has been taken from him


def test_urgent_ones_lead_then_the_oldest(desk: Desk) -> None:
    urgencies = {"平件一": 0, "特急": 2, "平件二": 0, "加急": 1}
    for minutes, (title, urgency) in enumerate(urgencies.items()):
        with moment.fixed(NOW + timedelta(minutes=minutes)):
            give(desk, title, urgency=urgency)
    assert titles(tasks.to_do(desk.li)) == ["特急", "加急", "平件一", "平件二"]


def test_the_label_hides_a_task_even_from_its_duty(desk: Desk) -> None:
    secret = saved_task(desk.office, level=Level.WORK_SECRET, share=Share.REFUSED)
    task = give(desk, "涉工作秘密事项", about=secret)
    assert (task.level, task.share) == (Level.WORK_SECRET, Share.REFUSED)
    assert titles(tasks.to_do(desk.li)) == []
    cleared = replace(desk.li, clearance=Level.WORK_SECRET)
    assert titles(tasks.to_do(cleared)) == ["涉工作秘密事项"]


def test_what_is_closed_moves_to_done_newest_first(desk: Desk) -> None:
    for number in range(3):
        about = saved_task(desk.office)
        give(desk, f"第{number}件", about=about)
        with moment.fixed(NOW + timedelta(minutes=number)):
            closed = close_tasks(about, owner=desk.office.pk, by=desk.li.person)
        assert closed == 1
    assert titles(tasks.to_do(desk.li)) == []
    assert titles(tasks.done(desk.li)) == ["第2件", "第1件", "第0件"]
    assert titles(tasks.done(desk.wang)) == []


def test_closing_reaches_only_what_was_meant(desk: Desk) -> None:
    give(desk, "按职责")
    give(desk, "另一职责", duty=READ)
    give(desk, "给王", person=desk.wang.person)
    give(desk, "别的单位", owner=desk.other.organisation)
    give(desk, "别的事", about=saved_task(desk.office))
    close = partial(close_tasks, desk.about, owner=desk.office.pk, by=desk.li.person)
    assert close(duties=[READ]) == 1
    assert close(person=desk.li.person) == 1
    assert set(titles(tasks.done(desk.li))) == {"另一职责", "按职责"}
    assert [close(), close()] == [1, 0]
    left = Task.objects.unlabelled("test").filter(closed_at=None, kind="sign_for")
    assert set(titles(left)) == {"别的单位", "别的事"}


def test_what_i_started_is_followed_wherever_it_waits(desk: Desk) -> None:
    give(desk, "我发起的", started_by=desk.li.person)
    assert titles(tasks.started(desk.li)) == ["我发起的"]
    assert titles(tasks.started(desk.wang)) == []


def test_a_long_title_is_cut_to_what_the_list_holds(desk: Desk) -> None:
    assert len(give(desk, "长" * 500, note="注" * 500).title) == 200


# ── notices ──


def heard(actor: Actor, last: int = 0) -> list[str]:
    return [notice.text for notice in notices.after(actor, last)]


def test_a_new_task_is_announced_to_those_it_is_for(desk: Desk) -> None:
    give(desk)
    give(desk, duty=READ, reading=True)
    give(desk, person=desk.wang.person)
    new, reading = "您有一件新的待办事项。", "您有一件新的待阅事项。"
    assert heard(desk.li) == [new]
    assert heard(desk.wang) == [new, reading, new]
    assert heard(desk.other) == []


def test_a_notice_never_quotes_a_title(desk: Desk) -> None:
    give(desk, "关于某事的请示")
    close_tasks(desk.about, owner=desk.office.pk, by=None)
    assert not Notice.objects.filter(text__contains="某事").exists()
    assert {notice.subject for notice in Notice.objects.all()} == {desk.about.urn}


def test_twenty_readers_cost_no_more_statements_than_one(
    desk: Desk, django_assert_num_queries: Any
) -> None:
    readers = [
        new_task(
            desk.about,
            owner=desk.office.pk,
            duty=READ,
            kind="circulate",
            title="传阅",
            page="/",
            person=UUID(int=number),
        )
        for number in range(20)
    ]
    with django_assert_num_queries(2):
        open_tasks(readers)
    assert Task.objects.unlabelled("test").filter(kind="circulate").count() == 20


def test_a_stream_goes_on_after_the_last_it_has_shown(desk: Desk) -> None:
    assert notices.newest() == 0
    for number in range(5):
        notices.notify(desk.office.pk, "progress", f"{number}")
    shown = list(notices.after(desk.li, 0, limit=2))
    assert [notice.text for notice in shown] == ["0", "1"]
    assert heard(desk.li, shown[-1].pk) == ["2", "3", "4"]
    assert heard(desk.li, notices.newest()) == []


def test_a_notice_reaches_a_duty_a_person_or_the_whole_office(desk: Desk) -> None:
    office = desk.office.pk
    notices.notify(office, "x", "全体")
    notices.notify(office, "x", "阅件人", duty=READ)
    notices.notify(office, "x", "李", person=desk.li.person, duty=READ)
    notices.notify(desk.other.organisation, "x", "外单位")
    assert heard(desk.li) == ["全体", "李"]
    assert heard(desk.wang) == ["全体", "阅件人"]
    assert heard(desk.other) == ["外单位"]
    assert heard(anonymous()) == []
