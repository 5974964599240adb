"""What the sender learns of a dispatched document: reminders, overdue, and whose word counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import build
from zhengtong.capabilities.documents import messages, queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.capabilities.documents.models import Document
from zhengtong.kernel import moment, notices, tasks
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.messages.facts import encode
from zhengtong.kernel.messages.models import Handling, Message

pytestmark = pytest.mark.django_db(transaction=True)


def _dispatched(city: build.Office, *offices: build.Office, **given: object) -> Document:
    text = build.draft([item.organisation for item in offices], **given)
    document = outgoing.draft(city.clerk, text)
    outgoing.submit(city.clerk, document)
    outgoing.review(city.leader, document, agree=True)
    document = outgoing.issue(city.leader, document, agree=True)
    build.settle()
    outgoing.dispatch(city.clerk, document)
    build.settle()
    return document


def _words(city: build.Office, document: Document) -> list[str]:
    return [row.word for row in queries.matrix(city.clerk, document)]


def test_a_reminder_moves_the_task_up_and_says_so() -> None:
    city = build.office()
    county = build.office("扶沟县人民政府", kind="county")
    document = _dispatched(city, county)
    outgoing.remind(city.clerk, document, [county.organisation.pk], "请于今日签收。")
    build.settle()
    (task,) = tasks.to_do(county.clerk)
    assert task.urgency == 2
    assert "请于今日签收" in task.note
    assert "来文机关催办" in list(notices.after(county.clerk, 0))[-1].text
    (row,) = queries.matrix(city.clerk, document)
    assert row.delivery.reminders == 1


def test_whoever_has_dealt_with_it_is_not_reminded() -> None:
    city = build.office()
    county = build.office("扶沟县人民政府", kind="county")
    document = _dispatched(city, county)
    (received,) = queries.incoming(county.clerk)
    incoming.return_document(county.clerk, received, "附件缺失。", step="sign_for")
    build.settle()
    with pytest.raises(Refused, match="无须催办"):
        outgoing.remind(city.clerk, document, [county.organisation.pk])


def test_past_its_limit_a_unit_that_has_not_read_is_overdue() -> None:
    city = build.office()
    quick = build.office("扶沟县人民政府", kind="county")
    slow = build.office("沈丘县人民政府", kind="county")
    due = moment.now() + timedelta(days=2)
    document = _dispatched(city, quick, slow, due_at=due)
    (received,) = queries.incoming(quick.clerk)
    incoming.sign_for(quick.clerk, received)
    incoming.register(quick.clerk, received)
    incoming.instruct(quick.leader, received, "请落实。")
    build.settle()
    with moment.fixed(due - timedelta(seconds=1)):
        build.settle()
        assert _words(city, document) == ["已批阅", "已送达"]
    with moment.fixed(due + timedelta(seconds=1)):
        build.settle()
        assert _words(city, document) == ["已批阅", "逾期"]


def test_nobody_can_sign_in_the_name_of_another_nodes_organisation() -> None:
    city = build.office()
    county = build.office("扶沟县人民政府", kind="county")
    document = _dispatched(city, county)
    forged = messages.SignedFor(document.pk, county.organisation.pk, "冒名者", moment.now())
    message = Message.objects.create(
        id=new_id(),
        kind=forged.kind,
        body=encode(forged),
        level=document.level,
        subject=document.urn,
        origin="elsewhere",
        at=moment.now(),
    )
    build.settle()
    assert _words(city, document) == ["已送达"]
    assert "未予采信" in Handling.objects.get(message=message, dead=True).error


def test_the_first_word_counts_when_facts_come_twice() -> None:
    city = build.office()
    county = build.office("扶沟县人民政府", kind="county")
    document = _dispatched(city, county)
    (received,) = queries.incoming(county.clerk)
    incoming.sign_for(county.clerk, received)
    build.settle()
    again = messages.SignedFor(document.pk, county.organisation.pk, "后来者", moment.now())
    Message.objects.create(
        id=new_id(),
        kind=again.kind,
        body=encode(again),
        level=document.level,
        subject=document.urn,
        origin="test",
        at=moment.now(),
    )
    build.settle()
    (row,) = queries.matrix(city.clerk, document)
    assert row.delivery.signed_for_by == "李明禾"


def test_a_dropped_draft_keeps_its_record_but_can_go_no_further() -> None:
    city = build.office()
    county = build.office("扶沟县人民政府", kind="county")
    document = outgoing.draft(city.clerk, build.draft([county.organisation]))
    outgoing.drop(city.clerk, document, "不再需要")
    with pytest.raises(Refused):
        outgoing.submit(city.clerk, document)
    assert [item.state for item in queries.outgoing(city.clerk)] == ["dropped"]
    assert not tasks.to_do(city.clerk).exists()


def test_a_dispatched_documents_pdf_is_never_replaced() -> None:
    city = build.office()
    county = build.office("扶沟县人民政府", kind="county")
    document = _dispatched(city, county)
    (before,) = queries.documents(city.clerk)
    outgoing.lay_out(node_actor(), document)
    (after,) = queries.documents(city.clerk)
    assert before.rendition_id == after.rendition_id is not None
