"""The portal with its neighbours: offered by the documents, missing at the public face."""

from __future__ import annotations

import pytest
from django.conf import settings as configured
from django.test import RequestFactory

from tests import build
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.capabilities.portal import messages, queries
from zhengtong.capabilities.portal.commands import releasing
from zhengtong.capabilities.portal.tests import stage
from zhengtong.faces.public.missing import missing
from zhengtong.kernel.baked import BakedStore
from zhengtong.kernel.labels import Level
from zhengtong.kernel.worker import extract_one

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_issued_document_is_offered_reviewed_and_sent() -> None:
    city = stage.city()
    county = build.organisation("扶沟县人民政府", kind="county")
    text = build.draft([county], level=Level.PUBLIC)
    attached = build.upload("巡查表\n一号泵站".encode(), "巡查表.txt")
    drafted = outgoing.draft(city.office.clerk, text, [attached])
    outgoing.submit(city.office.clerk, drafted)
    outgoing.review(city.office.leader, drafted, agree=True)
    outgoing.issue(city.office.leader, drafted, agree=True)
    build.settle()
    outgoing.offer(city.office.clerk, drafted, "六月十日前完成排查。")
    build.settle()
    while extract_one():
        pass

    (article,) = queries.articles(city.first, "waiting")
    releasing.release(city.first, article, stage.column())
    (told,) = stage.told(messages.Published)
    assert told.title == text.title and told.summary == "六月十日前完成排查。"
    assert [file.name for file in told.files] == ["巡查表.txt", f"{text.title}.pdf"]


def test_an_address_without_a_page_gets_the_baked_answer() -> None:
    request = RequestFactory().get("/no/such/page")
    store = BakedStore(configured.NODE.baked)
    assert missing(request).status_code == 503
    store.write("/404.html", "没有找到这一页".encode(), "text/html")
    try:
        answer = missing(request)
        assert answer.status_code == 404 and answer.content.decode() == "没有找到这一页"
    finally:
        store.remove("/404.html")
