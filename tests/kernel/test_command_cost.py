"""What a command costs in statements, and what it is called."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import build
from tests.kernel.probes import clerk_of, probe, saved_task
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.capabilities.documents.messages import Issued
from zhengtong.kernel import commands
from zhengtong.kernel.commands import Act, must_find
from zhengtong.kernel.directory import commands as directory
from zhengtong.kernel.errors import NotFound
from zhengtong.kernel.tasks import Task

pytestmark = pytest.mark.django_db(transaction=True)


@probe()
def make(act: Act) -> Task:
    task = saved_task(act.actor.organisation)
    act.tell(Issued(task.pk))
    return task


@probe("probe.change")
def change(act: Act, task: Task, title: str) -> Task:
    task.title = title
    task.save(update_fields=["title"])
    return task


def statements(run: Any) -> int:
    with CaptureQueriesContext(connection) as asked:
        run()
    around = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return len([q for q in asked.captured_queries if not q["sql"].startswith(around)])


def test_a_simple_command_takes_few_statements() -> None:
    office = build.organisation()
    clerk, task = clerk_of(office, "probe.change", "probe.make"), saved_task(office)
    # record, change, audit, then the result under its label
    assert statements(lambda: change(clerk, task, "新")) <= 5
    assert statements(lambda: make(clerk)) <= 6


def test_the_house_commands_take_at_most_twelve_statements() -> None:
    city, county = build.office(), build.office("扶沟县人民政府", kind="county")
    drafted = outgoing.draft(city.clerk, build.draft([county.organisation]))
    outgoing.submit(city.clerk, drafted)
    outgoing.review(city.leader, drafted, agree=True)
    issued = outgoing.issue(city.leader, drafted, agree=True)
    build.settle()
    assert statements(lambda: outgoing.dispatch(city.clerk, issued)) <= 12
    build.settle()
    received = queries.incoming(county.clerk).get()
    assert statements(lambda: incoming.sign_for(county.clerk, received)) <= 12


def test_a_name_belongs_to_one_command() -> None:
    def impostor(act: Act) -> None: ...

    with pytest.raises(ValueError, match=r"two commands are called directory\.appoint"):
        commands.command("directory.appoint", title="任职")(impostor)
    assert commands.registry["directory.appoint"] is directory.appoint


def test_what_is_not_found_is_told_in_words() -> None:
    office = build.organisation()
    with pytest.raises(NotFound, match="没有找到这条记录，或您无权查看"):
        must_find(Task.objects.visible_to(clerk_of(office)), pk=office.pk)
