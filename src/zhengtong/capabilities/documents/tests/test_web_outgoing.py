"""The pages of outgoing documents: what each person may do there, and how far the document is."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import build
from tests.office.conftest import sign_in, token
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.kernel.labels import Level

pytestmark = pytest.mark.django_db(transaction=True)


def act(client: Client, url: str, verb: str, **data: Any) -> Any:
    """Press a button on a page as a browser does; the answer after any redirect."""
    form = {"csrfmiddlewaretoken": token(client.get(url).content.decode())}
    return client.post(f"{url}{verb}", form | data, follow=True)


def issued(city: build.Office, to: list[build.Office], **given: Any) -> Any:
    document = outgoing.draft(city.clerk, build.draft([item.organisation for item in to], **given))
    outgoing.submit(city.clerk, document)
    outgoing.review(city.leader, document, agree=True)
    outgoing.issue(city.leader, document, agree=True)
    build.settle()
    return document


def test_a_document_goes_its_way_from_page_to_page() -> None:
    city, county = build.office(), build.office("扶沟县人民政府", kind="county")
    water = build.office("周口市水利局", kind="department")
    document = outgoing.draft(
        city.clerk,
        build.draft([county.organisation], countersigners=(water.organisation.pk,)),
    )
    clerk, leader, signer = (sign_in(x) for x in (city.clerk, city.leader, water.leader))
    url = f"/documents/{document.pk}/"

    page = clerk.get(url).content.decode()
    assert "送核稿" in page
    assert "核稿通过" not in page
    assert "我要办理：" not in leader.get(url).content.decode()
    assert "已送核稿" in act(clerk, url, "submit").content.decode()

    # A return without a reason comes back with the page; the opinion typed is kept.
    empty = act(leader, url, "decide", step="review", decision="return", opinion=" ")
    assert empty.status_code == 422
    assert "请写明理由" in empty.content.decode()
    back = {"step": "review", "decision": "return", "to_step": "draft"}
    after = act(leader, url, "decide", opinion="标题<请>改", **back).content.decode()
    assert "已退回" in after
    assert "标题&lt;请&gt;改" in after
    # The other page still shows the old step: told so, and the opinion is still there.
    stale = act(leader, url, "decide", step="review", decision="agree", opinion="同意，请印发。")
    assert stale.status_code == 409
    assert "已不在“核稿”" in stale.content.decode()

    act(clerk, url, "submit")
    act(leader, url, "decide", step="review", decision="agree")
    page = signer.get(url).content.decode()
    assert "会签同意" in page
    assert "修改</a>" not in page
    act(signer, url, "decide", step="countersign", decision="agree", opinion="无不同意见。")
    page = act(leader, url, "decide", step="issue", decision="agree").content.decode()
    assert "已签发并编号" in page
    assert "周政办〔20" in page
    assert "无不同意见。" in page

    early = act(clerk, url, "dispatch")
    assert early.status_code == 409
    assert "正在排版" in early.content.decode()
    build.settle()
    assert "主送和抄送的 1 个单位" in clerk.get(url).content.decode()
    assert "已发送" in act(clerk, url, "dispatch").content.decode()
    build.settle()
    assert "已送达" in clerk.get(f"{url}progress").content.decode()


def test_the_matrix_names_who_is_late_and_reminds_them_only() -> None:
    city = build.office()
    counties = [build.office(f"{n}县", kind="county") for n in ("扶沟", "沈丘", "鹿邑")]
    document = issued(city, counties)
    outgoing.dispatch(city.clerk, document)
    build.settle()
    signing, returning = (queries.incoming_of(c.clerk, document.pk) for c in counties[:2])
    assert signing is not None
    assert returning is not None
    incoming.sign_for(counties[0].clerk, signing)
    incoming.return_document(counties[1].clerk, returning, "缺<附件>二。", step="sign_for")
    build.settle()
    client, url = sign_in(city.clerk), f"/documents/{document.pk}/"
    page = client.get(url).content.decode()
    for words in ("已签收", "已退回", "未签收", "缺&lt;附件&gt;二。", "共 3 个单位，已签收 1 个"):
        assert words in page
    none = act(client, url, "remind", unit=[], text="请<速>办。")
    assert none.status_code == 409
    assert "无须催办" in none.content.decode()
    assert "请&lt;速&gt;办。" in none.content.decode()
    act(client, url, "remind", unit=[str(counties[0].organisation.pk)])
    act(client, url, "remind", all="1")
    counted = {
        row.delivery.organisation_id: row.delivery.reminders
        for row in queries.matrix(city.clerk, document)
    }
    assert [counted[item.organisation.pk] for item in counties] == [2, 0, 1]


def test_others_see_neither_the_document_nor_that_it_exists() -> None:
    city, county = build.office(), build.office("扶沟县", kind="county")
    stranger = sign_in(build.office("沈丘县", kind="county").clerk)
    document = issued(city, [county])
    outgoing.dispatch(city.clerk, document)
    build.settle()
    url = f"/documents/{document.pk}/"
    form = {"csrfmiddlewaretoken": token(stranger.get("/documents/new").content.decode())}
    for address in (url, f"{url}progress", f"{url}edit"):
        answer = stranger.get(address)
        assert answer.status_code == 404
        assert document.title not in answer.content.decode()
    for verb in ("dispatch", "remind", "offer", "submit", "drop", "nonsense"):
        assert stranger.post(f"{url}{verb}", form).status_code == 404
    # The addressee is led to their own record; the sender's matrix is not theirs.
    addressee = sign_in(county.clerk)
    received = queries.incoming_of(county.clerk, document.pk)
    assert received is not None
    assert addressee.get(url).headers["Location"] == f"/documents/incoming/{received.pk}/"
    assert addressee.get(f"{url}progress").status_code == 404


def test_a_button_that_was_not_offered_is_refused_and_audited() -> None:
    city = build.office()
    document = outgoing.draft(city.clerk, build.draft([city.organisation]))
    client = sign_in(city.leader)
    form = {"csrfmiddlewaretoken": token(client.get("/").content.decode() + _form(client))}
    answer = client.post(f"/documents/{document.pk}/submit", form)
    assert answer.status_code == 403
    assert "没有“送核稿”的职责" in answer.content.decode()


def _form(client: Client) -> str:
    """Any page of this person with a form: signing out is always offered."""
    return client.get("/?tab=done").content.decode()


def test_only_public_documents_are_offered_for_publication_and_once() -> None:
    city = build.office()
    client = sign_in(city.clerk)
    inner = issued(city, [city])
    assert "送公开审查" not in client.get(f"/documents/{inner.pk}/").content.decode()
    public = issued(city, [city], level=Level.PUBLIC)
    page = act(client, f"/documents/{public.pk}/", "offer", summary="一句话").content.decode()
    assert "已送公开审查" in page
    assert 'name="summary"' not in page


def test_a_draft_is_given_up_after_one_question() -> None:
    city = build.office()
    document = outgoing.draft(city.clerk, build.draft([city.organisation]))
    client, url = sign_in(city.clerk), f"/documents/{document.pk}/"
    assert "作废后不能再修改" in client.get(url).content.decode()
    page = act(client, url, "drop").content.decode()
    assert "已作废" in page
    assert "送核稿</button>" not in page
    assert document.title in client.get("/documents/outgoing/?state=dropped").content.decode()


def test_the_list_counts_states_and_asks_little(django_assert_max_num_queries: Any) -> None:
    city, county = build.office(), build.office("扶沟县", kind="county")
    client = sign_in(city.clerk)
    assert "起草公文" in client.get("/documents/outgoing/").content.decode()
    for number in range(12):
        document = issued(city, [county], title=f"关于第{number}件事的通知")
        if number % 2:
            outgoing.dispatch(city.clerk, document)
    with django_assert_max_num_queries(14):
        page = client.get("/documents/outgoing/").content.decode()
    assert "0/1" in page
    assert '已发送 <span class="count">6</span>' in page
    shown = client.get("/documents/outgoing/?state=issued").content.decode()
    assert shown.count("data-row") == 6
    assert "没有符合条件" in client.get("/documents/outgoing/?state=drafting").content.decode()


def test_the_matrix_of_many_units_costs_no_more_than_that_of_one(
    django_assert_max_num_queries: Any,
) -> None:
    city = build.office()
    units = [build.organisation(f"第{n}县", kind="county") for n in range(18)]
    client = sign_in(city.clerk)
    document = outgoing.draft(city.clerk, build.draft(units))
    outgoing.submit(city.clerk, document)
    outgoing.review(city.leader, document, agree=True)
    outgoing.issue(city.leader, document, agree=True)
    build.settle()
    outgoing.dispatch(city.clerk, document)
    with django_assert_max_num_queries(20):
        page = client.get(f"/documents/{document.pk}/").content.decode()
    assert "共 18 个单位" in page
