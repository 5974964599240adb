"""撤回 and 补发: what the sender does, what each addressee's node makes of it, and who is heard."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from tests import build
from tests.kernel.probes import at_once
from zhengtong.capabilities.documents import messages, queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.capabilities.documents.commands.recall import answer_recall, recall
from zhengtong.capabilities.documents.commands.resend import resend_to
from zhengtong.capabilities.documents.models import Incoming
from zhengtong.capabilities.documents.tests.test_web_outgoing import issued
from zhengtong.kernel import moment, notices, tasks
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import Denied, HouseError, Invalid, Refused
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.messages.facts import Fact, decode, encode
from zhengtong.kernel.messages.models import Message
from zhengtong.kernel.search import Index, Reader
from zhengtong.kernel.search.indexer import Indexer

pytestmark = pytest.mark.django_db(transaction=True)

REASON = "附件有误，将另行发文。"


class Sent:
    """A document dispatched by a city to one county, or to more."""

    def __init__(self, *names: str) -> None:
        self.city = build.office()
        self.counties = [build.office(name, kind="county") for name in names or ("扶沟县人民政府",)]
        self.county = self.counties[0]
        self.document = issued(self.city, self.counties)
        outgoing.dispatch(self.city.clerk, self.document)
        build.settle()

    def received(self, office: build.Office | None = None) -> Incoming:
        found = queries.incoming_of((office or self.county).clerk, self.document.pk)
        assert found is not None
        return found

    def recall(self, *offices: build.Office, reason: str = REASON) -> None:
        units = [item.organisation.pk for item in offices or self.counties]
        recall(self.city.clerk, self.document, units, reason)

    def matrix(self) -> list[str]:
        return [row.word for row in queries.matrix(self.city.clerk, self.document)]


def hear(fact: Fact, origin: str, subject: str, *to: Organisation) -> Message:
    """A fact that came in a letter from this node."""
    return Message.objects.create(
        id=new_id(),
        kind=fact.kind,
        body=encode(fact),
        level=1,
        subject=subject,
        origin=origin,
        addressees=[str(item.pk) for item in to],
        at=moment.now(),
    )


def told(kind: str) -> list[Any]:
    """The facts of this kind, in the order in which they were told."""
    found = Message.objects.filter(kind=kind).order_by("id")
    return [decode(kind, bytes(item.body)) for item in found]


def test_before_it_is_signed_for_a_recall_takes_effect_and_nothing_is_left_to_open() -> None:
    sent = Sent("扶沟县人民政府", "沈丘县人民政府")
    county, other = sent.counties
    indexer = Indexer()
    indexer.rebuild()
    sent.recall(county)
    assert sent.matrix() == ["撤回中", "已送达"]
    build.settle()
    assert sent.matrix() == ["已撤回", "已送达"]
    received = sent.received(county)
    assert (received.outcome, received.recall_by) == ("recalled", "李明禾")
    assert received.recall_reason == REASON
    assert not tasks.to_do(county.clerk).exists()
    assert not queries.documents(county.clerk).exists()
    assert "撤回了一件公文" in list(notices.after(county.clerk, 0))[-1].text
    for act in (incoming.sign_for, incoming.register):
        with pytest.raises(Refused, match="来文机关已撤回"):
            act(county.clerk, received)
    assert not told("documents.signed_for")
    while indexer.work():
        pass
    assert _found(county) == 0
    assert _found(other) == _found(sent.city) == 1
    indexer.close()
    assert queries.documents(other.clerk).count() == 1
    verbs = set(AuditEntry.objects.filter(outcome="done").values_list("verb", flat=True))
    assert {"documents.recall", "documents.accept_recall", "documents.note_recall"} <= verbs


def _found(office: build.Office) -> int:
    reader = Reader(
        ceiling=2,
        clearance=1,
        organisation=str(office.organisation.pk),
        person=str(office.clerk.person),
        anonymous=False,
    )
    return Index(settings.NODE.index).search("防汛", reader).total


def test_after_it_is_signed_for_a_recall_is_a_request_that_can_be_agreed_to() -> None:
    sent = Sent()
    incoming.sign_for(sent.county.clerk, sent.received())
    build.settle()
    sent.recall()
    build.settle()
    assert sent.matrix() == ["请求撤回"]
    notes = {task.kind: task.note for task in tasks.to_do(sent.county.clerk)}
    assert notes == {"register": "登记", "recall": "来文机关请求撤回"}
    incoming.register(sent.county.clerk, sent.received())
    answer_recall(sent.county.clerk, sent.received(), agree=True)
    build.settle()
    assert sent.matrix() == ["已撤回"]
    for person in (sent.county.clerk, sent.county.leader):
        assert not tasks.to_do(person).exists()
        assert not queries.documents(person).exists()
    with pytest.raises(Refused, match="来文机关已撤回"):
        incoming.instruct(sent.county.leader, sent.received(), "请落实。")
    with pytest.raises(Refused, match="没有待答复"):
        answer_recall(sent.county.clerk, sent.received(), agree=False, reason="晚了")


def test_a_request_is_declined_with_a_reason_and_the_work_goes_on() -> None:
    sent = Sent()
    incoming.sign_for(sent.county.clerk, sent.received())
    sent.recall()
    build.settle()
    with pytest.raises(Invalid) as wrong:
        answer_recall(sent.county.clerk, sent.received(), agree=False, reason="  ")
    assert set(wrong.value.fields) == {"reason"}
    answer_recall(sent.county.clerk, sent.received(), agree=False, reason="已转各乡镇执行。")
    build.settle()
    (row,) = queries.matrix(sent.city.clerk, sent.document)
    assert (row.recall_word, row.delivery.recall_answer) == ("未同意", "已转各乡镇执行。")
    assert [task.kind for task in tasks.to_do(sent.county.clerk)] == ["register"]
    incoming.register(sent.county.clerk, sent.received())
    # The sender may ask once more.
    sent.recall(reason="请再考虑。")
    build.settle()
    assert sent.matrix() == ["请求撤回"]
    assert sent.received().recall_reason == "请再考虑。"


def test_signing_and_recalling_at_the_same_moment_leave_one_truth() -> None:
    for _ in range(3):
        sent = Sent(*[build_name()])
        received = sent.received()
        sent.recall()
        signing, handling = at_once(
            lambda sent=sent, received=received: incoming.sign_for(sent.county.clerk, received),  # type: ignore[misc]
            build.settle,
        )
        build.settle()
        assert handling.error is None
        if signing.error is None:
            assert (sent.matrix(), sent.received().recall) == (["请求撤回"], "asked")
        else:
            assert isinstance(signing.error, HouseError)
            assert (sent.matrix(), sent.received().recall) == (["已撤回"], "recalled")
            assert sent.received().signed_for_at is None


def build_name() -> str:
    return f"第{Organisation.objects.count()}县人民政府"


def test_a_recall_that_comes_twice_takes_effect_once() -> None:
    sent = Sent()
    sent.recall()
    with pytest.raises(Invalid, match="正在撤回"):
        sent.recall()
    build.settle()
    (fact,) = told("documents.recalled")
    hear(fact, settings.NODE.name, sent.document.urn, sent.county.organisation)
    build.settle()
    assert sent.matrix() == ["已撤回"]
    with pytest.raises(Invalid, match="已经撤回"):
        sent.recall()

    asked = Sent("沈丘县人民政府")
    incoming.sign_for(asked.county.clerk, asked.received())
    asked.recall()
    build.settle()
    fact = told("documents.recalled")[-1]
    hear(fact, settings.NODE.name, asked.document.urn, asked.county.organisation)
    build.settle()
    assert [task.kind for task in tasks.to_do(asked.county.clerk)].count("recall") == 1
    answer_recall(asked.county.clerk, asked.received(), agree=False, reason="已执行。")
    build.settle()
    late = messages.RecallAnswered(
        asked.document.pk, asked.county.organisation.pk, "agreed", "李明禾", moment.now(), ""
    )
    hear(late, settings.NODE.name, asked.document.urn)
    build.settle()
    (row,) = queries.matrix(asked.city.clerk, asked.document)
    assert row.recall_word == "未同意", "the first answer counts"


def test_only_those_with_the_duty_recall_and_answer() -> None:
    sent = Sent()
    further = build.organisation("沈丘县人民政府", kind="county")
    for person in (sent.city.leader, sent.county.clerk):  # no duty; an addressee who may read it
        with pytest.raises(Denied):
            recall(person, sent.document, [sent.county.organisation.pk], REASON)
        with pytest.raises(Denied):
            resend_to(person, sent.document, [further.pk])
    incoming.sign_for(sent.county.clerk, sent.received())
    sent.recall()
    build.settle()
    for person in (sent.county.leader, sent.city.clerk):
        with pytest.raises(Denied):
            answer_recall(person, sent.received(), agree=True)
    assert sent.received().recall == "asked"


def test_what_is_wrong_with_a_recall_is_told_at_its_field() -> None:
    sent = Sent()
    clerk, document = sent.city.clerk, sent.document
    stranger = build.organisation("沈丘县人民政府", kind="county")
    for units, reason, words in (
        ([], "", {"units": "请选择", "reason": "请写明"}),
        ([stranger.pk], REASON, {"units": "不是本文的收文单位"}),
        ([new_id()], REASON, {"units": "不在通讯录中"}),
        ([sent.county.organisation.pk], "错" * 2001, {"reason": "最多 2000 字"}),
    ):
        with pytest.raises(Invalid) as wrong:
            recall(clerk, document, units, reason)
        assert set(wrong.value.fields) == set(words)
        assert all(words[name] in text for name, text in wrong.value.fields.items())
    assert not told("documents.recalled")
    draft = outgoing.draft(clerk, build.draft([stranger]))
    with pytest.raises(Refused, match="已发送"):
        recall(clerk, draft, [stranger.pk], REASON)


def test_a_returned_document_needs_no_recall_and_one_on_its_way_back_is_withdrawn() -> None:
    sent = Sent()
    incoming.return_document(sent.county.clerk, sent.received(), "附件缺失。", step="sign_for")
    sent.recall()  # the return has not been heard of
    build.settle()
    assert sent.matrix() == ["已撤回"]
    assert sent.received().withdrawn
    assert not queries.documents(sent.county.clerk).exists()

    other = Sent("沈丘县人民政府")
    incoming.return_document(other.county.clerk, other.received(), "附件缺失。", step="sign_for")
    build.settle()
    with pytest.raises(Invalid, match="无须撤回"):
        other.recall()


def test_what_is_being_taken_back_is_not_reminded_of() -> None:
    sent = Sent()
    sent.recall()
    with pytest.raises(Refused, match="无须催办"):
        outgoing.remind(sent.city.clerk, sent.document, [sent.county.organisation.pk])
