"""One document from draft to closing, between organisations of one node."""

from __future__ import annotations

import pytest

from tests import build
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.kernel import tasks
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.errors import Denied, Refused

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_notice_goes_out_and_is_dealt_with() -> None:
    city = build.office()
    county = build.office("扶沟县人民政府", kind="county")
    drafted = outgoing.draft(city.clerk, build.draft([county.organisation]))
    outgoing.submit(city.clerk, drafted)
    assert [task.kind for task in tasks.to_do(city.leader)] == ["review"]
    outgoing.review(city.leader, drafted, agree=True)
    issued = outgoing.issue(city.leader, drafted, agree=True)
    assert issued.number.startswith("周政办〔20") and issued.number.endswith("〕1号")
    build.settle()
    outgoing.dispatch(city.clerk, issued)
    build.settle()

    (waiting,) = tasks.to_do(county.clerk)
    assert (waiting.note, waiting.title) == ("签收", "关于做好汛期防汛准备工作的通知")
    (received,) = queries.incoming(county.clerk)
    (row,) = queries.matrix(city.clerk, issued)
    assert row.word == "已送达"

    incoming.sign_for(county.clerk, received)
    incoming.register(county.clerk, received)
    reader = build.person(county.organisation, build.CLERK, name="赵听雪")
    assert reader.person
    incoming.instruct(county.leader, received, "请认真落实。", [reader.person])
    (reading,) = tasks.to_read(reader)
    assert reading.note == "传阅"
    incoming.read(reader, received)
    incoming.close(county.clerk, received)
    build.settle()
    (row,) = queries.matrix(city.clerk, issued)
    assert row.word == "已批阅"
    assert row.delivery.signed_for_by == "李明禾"
    assert not tasks.to_do(county.clerk).exists()
    verbs = set(AuditEntry.objects.filter(outcome="done").values_list("verb", flat=True))
    assert {"documents.dispatch", "documents.sign_for", "documents.instruct"} <= verbs


def test_a_return_needs_a_reason_and_the_sender_sees_it() -> None:
    city = build.office()
    county = build.office("沈丘县人民政府", kind="county")
    issued = _issued(city, county)
    outgoing.dispatch(city.clerk, issued)
    build.settle()
    (received,) = queries.incoming(county.clerk)
    with pytest.raises(Exception, match="理由"):
        incoming.return_document(county.clerk, received, "  ", step="sign_for")
    incoming.return_document(county.clerk, received, "附件缺失，请补齐。", step="sign_for")
    build.settle()
    (row,) = queries.matrix(city.clerk, issued)
    assert row.word == "已退回"
    assert row.delivery.return_reason == "附件缺失，请补齐。"
    with pytest.raises(Refused):
        incoming.sign_for(county.clerk, received)


def test_another_organisation_sees_nothing_before_it_is_addressed() -> None:
    city = build.office()
    county = build.office("沈丘县人民政府", kind="county")
    stranger = build.office("扶沟县人民政府", kind="county")
    issued = _issued(city, county)
    assert not queries.documents(county.clerk).exists()
    outgoing.dispatch(city.clerk, issued)
    build.settle()
    assert queries.documents(county.clerk).count() == 1
    assert not queries.documents(stranger.clerk).exists()
    with pytest.raises(Denied):
        outgoing.remind(stranger.clerk, issued, [county.organisation.pk])
    assert AuditEntry.objects.filter(outcome="denied", verb="documents.remind").count() == 1


def test_countersigners_must_all_agree_before_issue() -> None:
    city = build.office()
    finance = build.office("周口市财政局", kind="department")
    water = build.office("周口市水利局", kind="department")
    text = build.draft(
        [finance.organisation],
        countersigners=(finance.organisation.pk, water.organisation.pk),
    )
    drafted = outgoing.draft(city.clerk, text)
    outgoing.submit(city.clerk, drafted)
    outgoing.review(city.leader, drafted, agree=True)
    outgoing.countersign(finance.leader, drafted, agree=True)
    with pytest.raises(Refused):
        outgoing.issue(city.leader, drafted, agree=True)
    outgoing.countersign(water.leader, drafted, agree=True)
    assert outgoing.issue(city.leader, drafted, agree=True).number


def _issued(city: build.Office, county: build.Office):  # type: ignore[no-untyped-def]
    drafted = outgoing.draft(city.clerk, build.draft([county.organisation]))
    outgoing.submit(city.clerk, drafted)
    outgoing.review(city.leader, drafted, agree=True)
    issued = outgoing.issue(city.leader, drafted, agree=True)
    build.settle()
    return issued
