"""补发: the same document to further units, and again to those who gave it back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import build
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.capabilities.documents.commands.resend import resend_to
from zhengtong.capabilities.documents.tests.test_recall import Sent
from zhengtong.capabilities.documents.tests.test_web_outgoing import issued
from zhengtong.kernel import moment, tasks
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.errors import Invalid
from zhengtong.kernel.ids import new_id

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_is_sent_to_a_further_unit_and_again_to_those_who_gave_it_back() -> None:
    sent = Sent("扶沟县人民政府", "沈丘县人民政府", "鹿邑县人民政府")
    returning, recalled, keeping = sent.counties
    further = build.office("项城市人民政府", kind="county")
    clerk, document = sent.city.clerk, sent.document
    back = sent.received(returning)
    incoming.return_document(returning.clerk, back, "盖章不清。", step="sign_for")
    sent.recall(recalled)
    build.settle()
    with pytest.raises(Invalid, match="鹿邑县人民政府已经发过，无须补发"):
        resend_to(clerk, document, [further.organisation.pk, keeping.organisation.pk])
    with pytest.raises(Invalid, match="请选择"):
        resend_to(clerk, document, [])
    with pytest.raises(Invalid, match="不在通讯录"):
        resend_to(clerk, document, [new_id()])
    assert not queries.documents(further.clerk).exists(), "a refused choice sends nothing"

    units = [item.organisation.pk for item in (returning, recalled, further)]
    resend_to(clerk, document, units)
    build.settle()
    rows = [
        (row.delivery.organisation.name[:2], row.word) for row in queries.matrix(clerk, document)
    ]
    assert rows == [
        ("扶沟", "已退回"),
        ("扶沟", "已送达"),
        ("沈丘", "已撤回"),
        ("沈丘", "已送达"),
        ("鹿邑", "已送达"),
        ("项城", "已送达"),
    ]
    for office in (returning, recalled, further):
        (task,) = tasks.to_do(office.clerk)
        assert task.kind == "sign_for"
        incoming.sign_for(office.clerk, sent.received(office))
    build.settle()
    assert [row.word for row in queries.matrix(clerk, document)].count("已签收") == 3
    assert [item.outcome for item in queries.incoming(returning.clerk)] == ["", "returned"]
    tally = queries.tallies(clerk, [document])[document.pk]
    assert (tally.total, tally.signed, tally.recalled) == (4, 3, 0)
    assert AuditEntry.objects.filter(verb="documents.resend_to", outcome="done").count() == 1
    with pytest.raises(Invalid, match="无须补发"):
        resend_to(clerk, document, units[:1])


def test_a_time_limit_goes_along_while_it_lasts() -> None:
    city, county = build.office(), build.office("扶沟县人民政府", kind="county")
    further = [build.office(f"第{n}县人民政府", kind="county") for n in range(2)]
    due = moment.now() + timedelta(days=2)
    document = issued(city, [county], due_at=due)
    outgoing.dispatch(city.clerk, document)
    resend_to(city.clerk, document, [further[0].organisation.pk])
    build.settle()
    with moment.fixed(due + timedelta(hours=1)):
        build.settle()
        resend_to(city.clerk, document, [further[1].organisation.pk])
        build.settle()
        words = [row.word for row in queries.matrix(city.clerk, document)]
        assert words == ["逾期", "逾期", "已送达"]
        late = [queries.incoming_of(office.clerk, document.pk) for office in further]
        assert [item.due_at for item in late if item] == [due, None]
