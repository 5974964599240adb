"""Searching the public site as a visitor does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from django.test import RequestFactory

from zhengtong.capabilities.portal.domain.address import article_path
from zhengtong.capabilities.portal.tests.stage import PublicNode
from zhengtong.capabilities.portal.web.public import search

TOPICS = ("防汛", "入学", "医保", "供暖", "公交", "农田水利", "营商环境", "政务服务")


def ask(query: str) -> tuple[int, str]:
    answer = search(RequestFactory().get(f"/search?{query}"))
    return answer.status_code, answer.content.decode()


def addresses(page: str) -> list[str]:
    return re.findall(r'<h3><a href="([^"]+)"', page)


@pytest.fixture
def filled(public: PublicNode) -> PublicNode:
    for number, topic in enumerate(TOPICS):
        when = datetime(2026, 1 + number, 3, 16, 30, tzinfo=UTC)  # already the 4th in China
        where = {"site": "shuili", "column": "wenjian"} if number % 2 else {}
        fact = public.article(
            title=f"关于{topic}工作的通知",
            summary="",
            body=f"现将{topic}有关事项通知如下。",
            published_at=when,
            updated_at=when,
            **where,
        )
        public.arrive(fact, fact.article)
    public.learn()
    return public


def test_any_two_characters_of_a_title_find_it(filled: PublicNode) -> None:
    for topic in TOPICS:
        title = f"关于{topic}工作"
        for pair in {title[at : at + 2] for at in range(2, len(title) - 1)}:
            status, page = ask(f"q={quote(pair)}")
            assert status == 200
            shown = re.sub("<[^>]+>", "", page)
            assert f"关于{topic}工作的通知" in shown, pair


def test_hits_are_marked_and_lead_to_the_page(filled: PublicNode) -> None:
    _, page = ask("q=" + quote("医保"))
    assert "找到 1 条" in page and "<mark>医保</mark>" in page
    (address,) = addresses(page)
    filled.settle()
    assert filled.store.read(address) is not None


def test_site_column_and_dates_narrow(filled: PublicNode) -> None:
    everything = len(addresses(ask("q=" + quote("通知"))[1]))
    assert everything == len(TOPICS)
    assert len(addresses(ask(f"q={quote('通知')}&in=shuili")[1])) == 4
    assert len(addresses(ask(f"q={quote('通知')}&in=zhoukou/zcwj")[1])) == 4
    assert addresses(ask(f"q={quote('通知')}&in=shuili/dongtai")[1]) == []
    days = "since=2026-02-04&until=2026-02-04"
    assert len(addresses(ask(f"q={quote('通知')}&{days}")[1])) == 1
    _, page = ask(f"q={quote('通知')}&since=2026-13-99")
    assert "不是日期" in page and 'value="2026-13-99"' in page
    _, page = ask(f"q={quote('通知')}&since=2026-03-01&until=2026-02-01")
    assert "早于" in page


def test_one_character_looks_in_titles_and_says_so(filled: PublicNode) -> None:
    _, page = ask("q=" + quote("暖"))
    assert len(addresses(page)) == 1 and "只输入了一个字" in page


def test_nothing_found_and_nothing_asked_are_of_use(filled: PublicNode) -> None:
    _, page = ask("q=" + quote("绝无此事"))
    assert "没有找到“绝无此事”" in page and "政策文件" in page
    _, page = ask("q=")
    assert "输入两个以上的字" in page
    _, page = ask(f"q={quote('绝无')}&in=shuili")
    assert "去掉范围限制" in page


def test_what_is_typed_comes_back_as_text(filled: PublicNode) -> None:
    for typed in ("<script>alert(1)</script>", '"><img src=x onerror=1>', "a" * 5000, "%00\x00"):
        status, page = ask("q=" + quote(typed))
        assert status == 200 and "<script>alert" not in page and "<img src=x" not in page


def test_many_hits_come_in_pages(public: PublicNode) -> None:
    for number in range(23):
        fact = public.article(title=f"第{number}号防汛通知", version=1)
        public.arrive(fact, fact.article)
    public.learn()
    seen = []
    for number in (1, 2, 3):
        seen += addresses(ask(f"q={quote('防汛')}&page={number}")[1])
    assert len(seen) == len(set(seen)) == 23
    assert addresses(ask(f"q={quote('防汛')}&page=99")[1]) == []
    assert addresses(ask(f"q={quote('防汛')}&page=x")[1]) == seen[:10]


def test_a_withdrawn_article_is_not_found_at_once(filled: PublicNode) -> None:
    fact = filled.publish(filled.article(title="临时停水公告"))
    assert addresses(ask("q=" + quote("停水"))[1]) == [article_path(fact.article)]
    filled.withdraw(fact)
    assert addresses(ask("q=" + quote("停水"))[1]) == []
