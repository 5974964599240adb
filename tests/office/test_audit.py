"""The auditor's page."""

from __future__ import annotations

import pytest

from tests import build
from tests.office.conftest import Desk
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.kernel.errors import Denied

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_auditor_follows_one_document_and_finds_what_was_denied(desk: Desk) -> None:
    city, county = build.office(), build.office("扶沟县人民政府", kind="county")
    auditor = build.person(city.organisation, ["audit.read"], name="孙慎行")
    drafted = outgoing.draft(city.clerk, build.draft([county.organisation]))
    other = outgoing.draft(city.clerk, build.draft([county.organisation]))
    outgoing.submit(city.clerk, drafted)
    with pytest.raises(Denied):
        outgoing.review(city.clerk, drafted, agree=True)
    outgoing.review(city.leader, drafted, agree=True)
    outgoing.issue(city.leader, drafted, agree=True)
    build.settle()
    outgoing.dispatch(city.clerk, drafted)
    build.settle()
    received = queries.incoming_of(county.clerk, drafted.pk)
    assert received is not None
    incoming.sign_for(county.clerk, received)
    build.settle()

    client = desk(auditor)
    everything = client.get("/audit/").content.decode()
    for words in ("登录", "拟稿", "签发", "登记机关", "待封存", "被拒绝"):
        assert words in everything
    story = client.get("/audit/", {"object": drafted.urn}).content.decode()
    order = [story.index(f">{word}</b>") for word in ("拟稿", "送核稿", "签发", "分发")]
    assert order == sorted(order)
    assert "记录送达进度" in story
    assert other.urn not in story
    # The county's own acts stand in the county's log, not in this auditor's.
    assert ">签收</b>" not in story
    denied = client.get("/audit/?outcome=denied").content.decode()
    assert "的职责" in denied
    assert ">拟稿</b>" not in denied
    by_name = client.get("/audit/", {"person": "王远岑"}).content.decode()
    assert ">核稿</b>" in by_name
    assert ">拟稿</b>" not in by_name
    assert "没有符合条件的记录" in client.get("/audit/?since=2099-01-01").content.decode()
    assert client.get("/audit/?verb=nonsense&since=x&page=y").status_code == 200


def test_only_the_auditor_sees_the_log_and_its_entry_in_the_navigation(desk: Desk) -> None:
    city = build.office()
    client = desk(city.clerk)
    assert client.get("/audit/").status_code == 403
    assert "/audit/" not in client.get("/").content.decode()
    auditor = build.person(city.organisation, ["audit.read"])
    assert 'href="/audit/"' in desk(auditor).get("/").content.decode()
