"""Searching from the office: what is found, by whom, and what is said when nothing is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import build
from tests.office.conftest import Desk
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.kernel.search.indexer import Indexer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def indexer() -> Iterator[Indexer]:
    indexer = Indexer()
    indexer.rebuild()
    yield indexer
    indexer.close()


def test_a_document_is_found_marked_and_led_to_by_its_own_office_only(
    desk: Desk, indexer: Indexer
) -> None:
    city, other = build.office(), build.office("沈丘县人民政府", kind="county")
    title = "关于<b>涵闸</b>检修的通知"
    text = build.draft([other.organisation], title=title, body="逐一检查涵闸。")
    drafted = outgoing.draft(city.clerk, text)
    while indexer.work():
        pass
    client = desk(city.clerk)
    page = client.get("/search?q=涵闸").content.decode()
    assert f'href="/documents/{drafted.pk}/"' in page
    assert "<mark>涵闸</mark>" in page
    assert "<b>涵闸" not in page
    assert "找到 1 条" in page
    assert "没有找到" in desk(other.clerk).get("/search?q=涵闸").content.decode()
    assert "没有找到" in client.get("/search?q=涵闸&since=2099-01-01").content.decode()
    assert "没有找到" in client.get("/search?q=涵闸&kind=article").content.decode()
    assert "找到 1 条" in client.get("/search?q=涵闸&since=nonsense").content.decode()
    assert client.get("/search?q=涵闸&page=999999999999").status_code == 200


@pytest.mark.parametrize(("query", "words"), [("", "要找什么"), ("！？", "至少输入一个汉字")])
def test_a_question_that_asks_nothing_is_answered_with_help(
    desk: Desk, query: str, words: str
) -> None:
    assert words in desk(build.office().clerk).get("/search", {"q": query}).content.decode()
