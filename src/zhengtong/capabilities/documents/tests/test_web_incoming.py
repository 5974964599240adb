"""The pages of incoming documents, from signing for to closing, and their files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests import build
from tests.office.conftest import sign_in, token
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.capabilities.documents.tests.test_web_outgoing import act
from zhengtong.kernel import files, moment

pytestmark = pytest.mark.django_db(transaction=True)


class Road:
    """A city's notice with one attachment, lying before a county as 待签收."""

    def __init__(self, *, name: str = "检修清单.txt", **given: Any) -> None:
        self.city = build.office()
        self.county = build.office("扶沟县人民政府", kind="county")
        text = build.draft([self.county.organisation], **given)
        self.upload = build.upload("川汇区 十二处".encode(), name)
        self.document = outgoing.draft(self.city.clerk, text, [self.upload])
        outgoing.submit(self.city.clerk, self.document)
        outgoing.review(self.city.leader, self.document, agree=True)
        outgoing.issue(self.city.leader, self.document, agree=True)
        build.settle()
        outgoing.dispatch(self.city.clerk, self.document)
        build.settle()
        received = queries.incoming_of(self.county.clerk, self.document.pk)
        assert received is not None
        self.received = received
        self.url = f"/documents/incoming/{received.pk}/"


def test_a_document_is_signed_for_registered_instructed_read_and_closed() -> None:
    road = Road(body="一、<b>排查</b>隐患。", due_at=moment.now() + timedelta(days=3))
    reader = build.person(road.county.organisation, ["documents.read"], name="赵听雪")
    clerk, leader = sign_in(road.county.clerk), sign_in(road.county.leader)
    page = clerk.get(road.url).content.decode()
    assert "&lt;b&gt;排查&lt;/b&gt;隐患" in page
    assert "检修清单.txt" in page
    assert "签收</button>" in page
    assert "签收</button>" not in leader.get(road.url).content.decode()
    assert "来文机关已得到回执" in act(clerk, road.url, "sign_for").content.decode()
    again = act(clerk, road.url, "sign_for")
    assert again.status_code == 409
    assert "收〔20" in act(clerk, road.url, "register").content.decode()

    silent = act(leader, road.url, "instruct", opinion="", readers=[str(reader.person)])
    assert silent.status_code == 422
    assert "请写明理由或意见" in silent.content.decode()
    assert "checked" in silent.content.decode().split(f'value="{reader.person}"')[1][:60]
    foreign = {"opinion": "请<速>办。", "readers": [str(road.city.clerk.person)]}
    refused = act(leader, road.url, "instruct", **foreign)
    assert refused.status_code == 422
    assert "请&lt;速&gt;办。" in refused.content.decode()
    page = act(leader, road.url, "instruct", opinion="请落实。", readers=[str(reader.person)])
    assert "送 1 人传阅" in page.content.decode()
    assert "已阅" in act(sign_in(reader), road.url, "circulate").content.decode()
    assert "确认办结" in clerk.get(road.url).content.decode()
    page = act(clerk, road.url, "close", opinion="已全部完成。").content.decode()
    for words in ("已办结", "请落实。", "已全部完成。"):
        assert words in page
    assert "我要办理：" not in page


def test_a_return_needs_its_reason_and_is_final() -> None:
    road = Road()
    clerk = sign_in(road.county.clerk)
    empty = act(clerk, road.url, "return", step="sign_for", reason="  ")
    assert empty.status_code == 422
    assert "请写明理由" in empty.content.decode()
    long = act(clerk, road.url, "return", step="sign_for", reason="缺" * 2001)
    assert "最多 2000 字" in long.content.decode()
    assert "缺" * 2001 in long.content.decode()
    page = act(clerk, road.url, "return", step="sign_for", reason="缺附件二。").content.decode()
    assert "已退回来文机关" in page
    assert "我要办理：" not in page
    assert "已退回" in clerk.get("/documents/incoming/?state=returned").content.decode()


def test_only_the_addressee_sees_its_incoming_document() -> None:
    road = Road()
    for person in (road.city.clerk, build.office("沈丘县", kind="county").clerk):
        client = sign_in(person)
        answer = client.get(road.url)
        assert answer.status_code == 404
        assert road.document.title not in answer.content.decode()
        form = {"csrfmiddlewaretoken": token(client.get("/documents/new").content.decode())}
        assert client.post(f"{road.url}sign_for", form).status_code == 404
        listing = client.get("/documents/incoming/").content.decode()
        assert road.document.title not in listing


def test_what_waits_to_be_signed_for_stands_first_and_the_list_asks_little(
    django_assert_max_num_queries: Any,
) -> None:
    road = Road()
    clerk = sign_in(road.county.clerk)
    act(clerk, road.url, "sign_for")
    for number in range(6):
        text = build.draft([road.county.organisation], title=f"关于第{number}件事的通知")
        document = outgoing.draft(road.city.clerk, text)
        outgoing.submit(road.city.clerk, document)
        outgoing.review(road.city.leader, document, agree=True)
        outgoing.issue(road.city.leader, document, agree=True)
        build.settle()
        outgoing.dispatch(road.city.clerk, document)
        build.settle()
    with django_assert_max_num_queries(14):
        page = clerk.get("/documents/incoming/").content.decode()
    assert page.index("关于第0件事的通知") < page.index(road.document.title)
    assert '待签收 <span class="count">6</span>' in page
    waiting = clerk.get("/documents/incoming/?state=waiting").content.decode()
    assert road.document.title not in waiting


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_files_come_with_their_chinese_names_and_nothing_can_run_in_them() -> None:
    road = Road(name='清单 "一";.txt')
    base = f"/documents/{road.document.pk}/files/"
    client = sign_in(road.county.clerk)
    sha256 = road.upload[0].pk
    answer = client.get(base + sha256)
    assert body(answer).decode() == "川汇区 十二处"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename*=utf-8''")
    assert quote("清单") in disposition
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    document = queries.documents(road.county.clerk).get(pk=road.document.pk)
    pdf = client.get(base + str(document.rendition_id))
    assert pdf.headers["Content-Disposition"].startswith("inline")
    assert body(pdf).startswith(b"%PDF")
    saved = client.get(f"{base}{document.rendition_id}?download=1")
    assert saved.headers["Content-Disposition"].startswith("attachment")
    saved.close()


def test_a_file_is_had_only_through_a_document_that_carries_it_and_that_one_may_see() -> None:
    road = Road()
    sha256 = road.upload[0].pk
    stranger = sign_in(build.office("沈丘县", kind="county").clerk)
    assert stranger.get(f"/documents/{road.document.pk}/files/{sha256}").status_code == 404
    clerk = sign_in(road.county.clerk)
    other, _ = build.upload(b"something else", "other.txt")
    for name in (other.pk, "0" * 64, "..%2F..%2Fnode.toml", "x"):
        answer = clerk.get(f"/documents/{road.document.pk}/files/{name}")
        assert answer.status_code == 404, name
    files.path_of(sha256).unlink()
    gone = clerk.get(f"/documents/{road.document.pk}/files/{sha256}")
    assert gone.status_code == 404
    assert "还没有传到本节点" in gone.content.decode()
