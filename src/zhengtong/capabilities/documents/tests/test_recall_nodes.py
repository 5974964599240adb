"""撤回 when issuer and addressee live on different nodes: in order, and believed of nobody else."""

from __future__ import annotations

import pytest

from tests import build
from tests.federation.neighbour import Poser
from zhengtong.capabilities.documents import messages, queries
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.capabilities.documents.commands.recall import recall
from zhengtong.capabilities.documents.commands.resend import resend_to
from zhengtong.capabilities.documents.models import Document
from zhengtong.capabilities.documents.tests.test_recall import REASON, hear
from zhengtong.kernel import moment
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.messages.identity import own_card
from zhengtong.kernel.messages.models import Handling, Letter, Message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fugou() -> Poser:
    """Another node, which this one knows."""
    return Poser(own_card()).admitted()


def test_a_recall_goes_to_another_node_behind_its_document_and_its_answer_is_believed(
    fugou: Poser,
) -> None:
    city = build.office()
    here = build.office("沈丘县人民政府", kind="county")
    there = build.organisation("扶沟县人民政府", kind="county", node="fugou")
    document = outgoing.draft(city.clerk, build.draft([here.organisation, there]))
    outgoing.submit(city.clerk, document)
    outgoing.review(city.leader, document, agree=True)
    outgoing.issue(city.leader, document, agree=True)
    build.settle()
    outgoing.dispatch(city.clerk, document)
    recall(city.clerk, document, [here.organisation.pk, there.pk], REASON)
    build.settle()
    letters = Letter.objects.filter(message__subject=document.urn).order_by("pk")
    kinds = letters.values_list("message__kind", "lane")
    assert list(kinds) == [("documents.dispatched", 2), ("documents.recalled", 2)]

    def words() -> list[str]:
        return [row.word for row in queries.matrix(city.clerk, document)]

    assert words() == ["已撤回", "撤回中"]
    at = moment.now()
    answer = messages.RecallAnswered(document.pk, there.pk, "agreed", "赵听雪", at, "")
    forged = hear(answer, "shenqiu", document.urn)
    build.settle()
    assert words() == ["已撤回", "撤回中"]
    assert "未予采信" in Handling.objects.get(message=forged, dead=True).error
    signed = messages.SignedFor(document.pk, there.pk, "赵听雪", at)
    hear(signed, "fugou", document.urn)
    build.settle()
    assert words() == ["已撤回", "请求撤回"]
    unheard = messages.RecallAnswered(document.pk, there.pk, "perhaps", "赵听雪", at, "")
    odd = hear(unheard, "fugou", document.urn)
    hear(answer, "fugou", document.urn)
    build.settle()
    assert words() == ["已撤回", "已撤回"]
    assert "perhaps" in Handling.objects.get(message=odd, dead=True).error
    resend_to(city.clerk, document, [there.pk])
    assert words() == ["已撤回", "已撤回", "发送中"]


def test_a_document_from_another_node_is_taken_back_by_that_node_alone(fugou: Poser) -> None:
    issuer = build.organisation("扶沟县人民政府", kind="county", node="fugou")
    county = build.office("沈丘县人民政府", kind="county")
    pk, at = new_id(), moment.now()
    urn = f"urn:zhengtong:document:{pk}"
    dispatched = messages.Dispatched(
        document=pk, title="关于防汛的函", document_kind="函", number="扶政函〔2026〕1号",
        body="请支持。", urgency=0, issuing_office=issuer.pk, issuing_name=issuer.name,
        issuer="王远岑", issued_on=moment.today(), addressees=("沈丘县人民政府",), copy_to=(),
        note="", due=None, level=1, share=1, files=(),
    )  # fmt: skip
    recalled = messages.Recalled(pk, (county.organisation.pk,), "赵听雪", at, REASON)

    # A recall that overtook its document is kept, and tried again once that is here.
    early = hear(recalled, "fugou", urn, county.organisation)
    build.settle()
    assert "还没有送达" in Handling.objects.get(message=early).error
    assert not Handling.objects.filter(message=early, dead=True).exists()
    Message.objects.filter(pk=early.pk).update(pending=False)

    hear(dispatched, "fugou", urn, county.organisation)
    forged = hear(recalled, "shenqiu", urn, county.organisation)
    build.settle()
    received = queries.incoming_of(county.clerk, pk)
    assert received is not None and not received.recall
    assert "未予采信" in Handling.objects.get(message=forged, dead=True).error

    Message.objects.filter(pk=early.pk).update(pending=True, claimed_until=None)
    build.settle()
    received = queries.incoming_of(county.clerk, pk)
    assert received is not None and received.outcome == "recalled"
    answer = Letter.objects.get(message__kind="documents.recall_answered")
    assert (answer.destination, answer.message.subject) == ("fugou", urn)
    document = Document.objects.unlabelled("looking in a test").get(pk=pk)
    assert queries.search_entry(document).grants == ()  # type: ignore[union-attr]
