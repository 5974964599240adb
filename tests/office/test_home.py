"""The to-do list: its tabs, its bulk act, its frugality."""

from __future__ import annotations

from typing import Any

import pytest

from tests import build
from tests.office.conftest import Desk, token
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.kernel import tasks
from zhengtong.kernel.directory.actors import Actor

pytestmark = pytest.mark.django_db(transaction=True)


def circulated(city: build.Office, county: build.Office, reader: Actor, title: str) -> None:
    """A notice of the city, circulated to a reader of the county."""
    drafted = outgoing.draft(city.clerk, build.draft([county.organisation], title=title))
    outgoing.submit(city.clerk, drafted)
    outgoing.review(city.leader, drafted, agree=True)
    outgoing.issue(city.leader, drafted, agree=True)
    build.settle()
    outgoing.dispatch(city.clerk, drafted)
    build.settle()
    received = queries.incoming_of(county.clerk, drafted.pk)
    assert received is not None
    incoming.sign_for(county.clerk, received)
    incoming.register(county.clerk, received)
    incoming.instruct(county.leader, received, "请阅。", [reader.person] if reader.person else [])


def test_a_new_desk_is_empty_and_says_what_will_come(desk: Desk) -> None:
    client = desk(build.office().clerk)
    for tab, words in (
        ("", "没有待办事项"),
        ("reading", "没有待阅文件"),
        ("done", "还没有办理过"),
        ("started", "还没有发起过"),
        ("nonsense", "没有待办事项"),
    ):
        assert words in client.get(f"/?tab={tab}").content.decode()


def test_a_matter_moves_through_the_tabs(desk: Desk) -> None:
    city = build.office()
    client = desk(city.clerk)
    drafted = outgoing.draft(city.clerk, build.draft([city.organisation], urgency=2))
    page = client.get("/").content.decode()
    assert drafted.title in page
    assert "特急" in page
    assert f'href="/documents/{drafted.pk}/"' in page
    outgoing.submit(city.clerk, drafted)
    assert drafted.title not in client.get("/").content.decode()
    assert drafted.title in client.get("/?tab=done").content.decode()
    started = client.get("/?tab=started").content.decode()
    assert started.count(drafted.title) == 1  # once, though two steps have been opened
    assert "核稿" in started
    assert client.get("/notices/count").json() == {"todo": 0, "read": 0}


def test_titles_are_shown_as_text_whatever_is_in_them(desk: Desk) -> None:
    city = build.office()
    title = "关于<script>alert(1)</script>\"'&的通知"
    outgoing.draft(city.clerk, build.draft([city.organisation], title=title))
    page = desk(city.clerk).get("/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_ticked_readings_are_read_and_the_rest_is_reported(desk: Desk) -> None:
    city, county = build.office(), build.office("扶沟县人民政府", kind="county")
    reader = build.person(county.organisation, ["documents.read"], name="赵听雪")
    for title in ("关于甲事的通知", "关于乙事的通知", "关于丙事的通知"):
        circulated(city, county, reader, title)
    client = desk(reader)
    page = client.get("/?tab=reading").content.decode()
    ids = [str(item.pk) for item in tasks.to_read(reader)]
    assert all(f'value="{pk}"' in page for pk in ids)
    done = {"task": ids[:2], "csrfmiddlewaretoken": token(page)}
    after = client.post("/read", done, follow=True).content.decode()
    assert "2 件已阅。" in after
    assert tasks.to_read(reader).count() == 1
    again = client.post("/read", done, follow=True).content.decode()
    assert "0 件已阅，其余未成功" in again
    assert "2 件已不在待阅列表中" in again
    nothing = {"csrfmiddlewaretoken": token(page), "task": ["nonsense"]}
    assert "没有选中文件" in client.post("/read", nothing, follow=True).content.decode()


def test_the_list_asks_as_much_for_forty_as_for_one(
    desk: Desk, django_assert_max_num_queries: Any
) -> None:
    city = build.office()
    client = desk(city.clerk)
    for number in range(25):
        text = build.draft([city.organisation], title=f"关于第{number}件事的通知")
        outgoing.draft(city.clerk, text)
    with django_assert_max_num_queries(16):
        page = client.get("/").content.decode()
    assert "共 25 项" in page
    with django_assert_max_num_queries(16):
        client.get("/?tab=started&page=2")
