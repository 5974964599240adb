"""The release office's pages, as an officer in a browser uses them."""

from __future__ import annotations

import pytest
from django.test import Client

from tests import build
from tests.office.conftest import sign_in, token
from zhengtong.capabilities.portal import messages
from zhengtong.capabilities.portal.commands import releasing
from zhengtong.capabilities.portal.models import Article
from zhengtong.capabilities.portal.tests import stage
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import node_actor

pytestmark = pytest.mark.django_db(transaction=True)

IDENTITY = "11010519491231002X"


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def send(client: Client, article: Article, verb: str, **values: object) -> tuple[int, str]:
    """Fill in a form on the article's page and send it; the page that follows."""
    seen = page(client, f"/portal/{article.pk}/")
    data = {"csrfmiddlewaretoken": token(seen), **values}
    answer = client.post(f"/portal/{article.pk}/{verb}", data)
    if answer.status_code == 302:
        return 302, page(client, answer["Location"])
    return answer.status_code, answer.content.decode()


def test_from_the_list_to_the_web_and_off_it_again() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation)
    desk = sign_in(city.first)
    assert article.title in page(desk, "/portal/")
    status, shown = send(desk, article, "release", column=stage.column().pk, summary="要点。")
    assert status == 302 and "正在上网" in shown and "索引号" in shown
    url = "https://www.zhoukou.example/content/x.html"
    releasing.note_online(node_actor(), messages.Baked(article.pk, 1, url, moment.now()))
    shown = page(desk, f"/portal/{article.pk}/")
    assert "已上网" in shown and url in shown
    assert article.title in page(desk, "/portal/?state=out")

    status, shown = send(desk, article, "withdraw", reason="")
    assert status == 422 and "请写明理由" in shown
    status, shown = send(desk, article, "withdraw", reason="数字有误")
    assert status == 302 and "撤下中" in shown and "数字有误" in shown
    releasing.note_removed(node_actor(), messages.Removed(article.pk, 1, moment.now()))
    assert "已撤下" in page(desk, f"/portal/{article.pk}/")


def test_two_people_and_masked_findings() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation, body=f"身份证{IDENTITY}", summary="名单")
    first, second = sign_in(city.first), sign_in(city.second)
    shown = page(first, f"/portal/{article.pk}/")
    assert "须核对 1 处" in shown and "110*************2X" in shown
    status, shown = send(first, article, "release", column=stage.column().pk, summary="我写的摘要")
    assert status == 422 and "交第二人复核" in shown and "我写的摘要" in shown
    status, shown = send(
        first, article, "release", column=stage.column().pk, confirm_personal_data="on"
    )
    assert status == 302 and "等待复核" in shown and "我要办理：公开复核" not in shown
    assert "我要办理：公开复核" in page(second, f"/portal/{article.pk}/")
    status, shown = send(second, article, "confirm")
    assert status == 302 and "正在上网" in shown


def test_wrong_values_come_back_with_their_fields() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation)
    desk = sign_in(city.first)
    status, shown = send(desk, article, "release", column="99999", summary="长" * 301)
    assert status == 422 and shown.count('class="error"') >= 2 and "长" * 301 in shown
    status, shown = send(desk, article, "reject", reason="不宜公开")
    assert status == 302 and "已退回" in shown
    assert article.title in page(desk, "/portal/?state=rejected")


def test_a_correction_is_reviewed_again() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation)
    desk = sign_in(city.first)
    form = page(desk, f"/portal/{article.pk}/revise")
    data = {"csrfmiddlewaretoken": token(form), "title": "", "body": "新正文", "summary": ""}
    answer = desk.post(f"/portal/{article.pk}/revise", data)
    assert answer.status_code == 422 and "请填写标题" in answer.content.decode()
    assert "新正文" in answer.content.decode()
    answer = desk.post(f"/portal/{article.pk}/revise", data | {"title": "新标题"})
    assert answer.status_code == 302
    shown = page(desk, f"/portal/{article.pk}/")
    assert "新标题" in shown and "新正文" in shown and "待审" in shown


def test_strangers_find_nothing_and_clerks_no_buttons() -> None:
    city = stage.city()
    elsewhere = build.office("沈丘县人民政府", kind="county")
    article = stage.offer(city.office.organisation)
    assert sign_in(elsewhere.clerk).get(f"/portal/{article.pk}/").status_code == 404
    clerk = sign_in(city.office.clerk)
    shown = page(clerk, f"/portal/{article.pk}/")
    assert "我要办理：" not in shown and "不予公开" not in shown
    status, _ = send(clerk, article, "reject", reason="没有职责")
    assert status == 403
    assert Client().get(f"/portal/{article.pk}/").status_code == 302


def test_what_a_document_says_stays_text() -> None:
    city = stage.city()
    evil = "<script>alert(1)</script>"
    attached = stage.stored(b"text", "x.txt")
    attached = type(attached)(attached.sha256, f"{evil}.txt", attached.size, "text/plain")
    article = stage.offer(
        city.office.organisation, title=evil, body=evil, number=evil, attached=[attached]
    )
    desk = sign_in(city.first)
    for address in ("/portal/", f"/portal/{article.pk}/", f"/portal/{article.pk}/revise"):
        assert evil not in page(desk, address)
    answer = desk.get(f"/portal/{article.pk}/files/0")
    assert answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer["Content-Security-Policy"]
    assert b"".join(answer.streaming_content) == b"text"  # type: ignore[attr-defined]


def test_the_list_asks_the_database_no_more_for_more_articles(
    django_assert_max_num_queries: object,
) -> None:
    city = stage.city()
    for _ in range(12):
        stage.offer(city.office.organisation)
    desk = sign_in(city.first)
    with django_assert_max_num_queries(30):  # type: ignore[operator]
        page(desk, "/portal/")
