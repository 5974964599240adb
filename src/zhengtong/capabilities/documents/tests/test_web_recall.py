"""The pages of 撤回 and 补发: what both sides are offered, told, and no longer shown."""

from __future__ import annotations

import pytest

from tests import build
from tests.office.conftest import sign_in, token
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming
from zhengtong.capabilities.documents.tests.test_recall import REASON, Sent
from zhengtong.capabilities.documents.tests.test_web_outgoing import act

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_sender_recalls_from_chosen_units_and_follows_what_became_of_it() -> None:
    sent = Sent("扶沟县人民政府", "沈丘县人民政府")
    signing, waiting = sent.counties
    incoming.sign_for(signing.clerk, sent.received(signing))
    build.settle()
    client, url = sign_in(sent.city.clerk), f"/documents/{sent.document.pk}/"
    page = client.get(url).content.decode()
    for words in ("确认撤回", "尚未签收的单位", "已经签收的单位", "全部收文单位（2 个）"):
        assert words in page

    # Nothing chosen, nothing written: both said at their fields.
    empty = act(client, url, "recall", reason=" ")
    assert empty.status_code == 422
    for name, words in (("units", "请选择要撤回的单位"), ("reason", "请写明撤回的理由")):
        error = empty.content.decode().split(f'id="recallform_{name}_error"')[1][:200]
        assert words in error
    # What was typed and ticked comes back.
    one = str(waiting.organisation.pk)
    long = act(client, url, "recall", units=[one], reason="<错>" * 1000).content.decode()
    assert "最多 2000 字" in long
    assert "&lt;错&gt;&lt;错&gt;" in long
    panel = long.split("/recall")[1].split("</form>")[0]
    assert "checked" in panel.split(f'value="{one}"')[1][:80]

    page = act(client, url, "recall", units=["all:holding"], reason="<b>附件有误").content.decode()
    assert "已发出撤回" in page
    assert page.count("撤回中") == 1
    assert page.count("请求撤回") == 1, "that one has signed for it, as we already know"
    assert "&lt;b&gt;附件有误" in page
    assert "确认撤回" not in page
    build.settle()
    act(
        sign_in(signing.clerk),
        f"/documents/incoming/{sent.received(signing).pk}/",
        "recall",
        decision="decline",
        reason="已转发各乡镇。",
    )
    build.settle()
    progress = client.get(f"{url}progress").content.decode()
    for words in ("已撤回", "未同意", "未同意撤回：已转发各乡镇。"):
        assert words in progress
    assert "撤回 1" in client.get("/documents/outgoing/").content.decode()


def test_what_was_recalled_shows_who_when_and_why_and_nothing_of_the_document() -> None:
    sent = Sent()
    received = sent.received()
    client = sign_in(sent.county.clerk)
    url = f"/documents/incoming/{received.pk}/"
    form = {"csrfmiddlewaretoken": token(client.get(url).content.decode())}
    sent.recall()
    build.settle()
    late = client.post(f"{url}sign_for", form)
    assert late.status_code == 409
    assert "来文机关已撤回此件" in late.content.decode()
    page = client.get(url).content.decode()
    for words in ("周口市人民政府办公室（李明禾）于", "撤回了此件", REASON, "尚未签收"):
        assert words in page
    for shown in (page, late.content.decode(), client.get("/documents/incoming/").content.decode()):
        assert sent.document.title not in shown
        assert "落实责任" not in shown
    (document,) = queries.documents(sent.city.clerk)
    for address in ("", f"files/{document.rendition_id}", "evidence"):
        assert client.get(f"/documents/{document.pk}/{address}").status_code == 404
    listing = client.get("/documents/incoming/?state=recalled").content.decode()
    assert "已撤回的来文" in listing
    assert document.number in listing
    assert sent.document.title not in client.get("/").content.decode()


def test_the_registry_answers_a_request_on_the_page_of_the_document() -> None:
    sent = Sent()
    incoming.sign_for(sent.county.clerk, sent.received())
    build.settle()
    sent.recall()
    build.settle()
    clerk, leader = sign_in(sent.county.clerk), sign_in(sent.county.leader)
    home = clerk.get("/").content.decode()
    assert "来文机关请求撤回" in home
    url = f"/documents/incoming/{sent.received().pk}/"
    page = clerk.get(url).content.decode()
    for words in ("来文机关请求撤回", REASON, "确认同意", "不同意撤回</button>", "登记并编号"):
        assert words in page
    seen = leader.get(url).content.decode()
    assert REASON in seen
    assert "不同意撤回</button>" not in seen
    assert "请求撤回" in clerk.get("/documents/incoming/").content.decode()

    silent = act(clerk, url, "recall", decision="decline", reason=" ")
    assert silent.status_code == 422
    assert "请写明理由" in silent.content.decode().split('id="id_reason_error"')[1][:200]
    page = act(clerk, url, "recall", decision="agree", reason="同意。").content.decode()
    assert "已同意撤回" in page
    assert "本单位已同意" in page
    assert sent.document.title not in page
    again = act(clerk, "/documents/incoming/", f"{sent.received().pk}/recall", decision="agree")
    assert again.status_code == 409


def test_the_sender_sends_it_to_further_units_and_again() -> None:
    sent = Sent("扶沟县人民政府", "沈丘县人民政府")
    returning, keeping = sent.counties
    further = build.office("项城市人民政府", kind="county")
    client, url = sign_in(sent.city.clerk), f"/documents/{sent.document.pk}/"
    back = sent.received(returning)
    incoming.return_document(returning.clerk, back, "盖章不清。", step="sign_for")
    build.settle()
    panel = client.get(url).content.decode().split("/resend")[1].split("</form>")[0]
    assert str(returning.organisation.pk) in panel
    assert str(further.organisation.pk) in panel
    assert str(keeping.organisation.pk) not in panel
    empty = act(client, url, "resend")
    assert empty.status_code == 422
    error = empty.content.decode().split('id="resendform_units_error"')[1][:200]
    assert "请选择要补发的单位" in error
    units = [str(item.organisation.pk) for item in (returning, further)]
    page = act(client, url, "resend", units=units).content.decode()
    assert "已补发。" in page
    assert "共 3 个单位" in page
    build.settle()
    assert client.get(f"{url}progress").content.decode().count("已送达") == 4
    assert "待签收" in sign_in(returning.clerk).get("/documents/incoming/").content.decode()


def test_whoever_has_no_duty_is_offered_neither_button() -> None:
    sent = Sent()
    page = sign_in(sent.city.leader).get(f"/documents/{sent.document.pk}/").content.decode()
    assert "确认撤回" not in page
    assert "确认补发" not in page
