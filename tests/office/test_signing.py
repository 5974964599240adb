"""Signing in and out, and the door that is shut to everybody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests import build
from tests.office.conftest import Desk, sign_in
from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.directory import commands as directory
from zhengtong.kernel.directory.models import Person
from zhengtong.kernel.directory.sessions import OpenSession

pytestmark = pytest.mark.django_db(transaction=True)

OPEN = {
    "/sign-in",
    "/sign-out",
    "/exchange",
    "/exchange/join",
    "/exchange/rekey",
    "/livez",
    "/readyz",
    "/metrics",
}
SAMPLES = {
    "uuid": "01a20989-15d9-7e1c-8de7-3e79b0f0c8ab",
    "int": "1",
    "slug": "submit",
    "str": "a",
    "path": "a",
}


def addresses() -> Iterator[str]:
    """One sample address of every pattern of the office."""

    def walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
        for item in patterns:
            here = before + str(item.pattern)
            if isinstance(item, URLResolver):
                yield from walk(item.url_patterns, here)
            else:
                yield "/" + re.sub(r"<(\w+):\w+>", lambda found: SAMPLES[found[1]], here)

    yield from walk(get_resolver().url_patterns, "")


def test_every_page_asks_a_stranger_to_sign_in_and_remembers_where_he_wanted_to_go() -> None:
    found = [item for item in addresses() if item not in OPEN]
    assert len(found) > 15
    for address in found:
        answer = Client().get(address)
        assert answer.status_code == 302, address
        assert answer.headers["Location"] == "/sign-in?next=" + address.replace("/", "%2F")
        assert Client().post(address).headers["Location"] == "/sign-in"


def test_a_page_that_renews_itself_after_the_end_is_left_as_it_is() -> None:
    answer = Client().get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/documents/incoming/?state=waiting", "/documents/incoming/?state=waiting"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/sign-in", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_to_the_wanted_page_of_this_site_only(wanted: str, reached: str) -> None:
    build.office()
    answer = Client().post(
        "/sign-in", {"name": "user1", "password": build.PASSWORD, "next": wanted}
    )
    assert answer.headers["Location"] == reached


def test_a_wrong_password_says_no_more_than_a_wrong_name_and_keeps_the_name() -> None:
    build.office()
    answers = [
        Client().post("/sign-in", {"name": name, "password": "not-it-at-all"}).content.decode()
        for name in ("user1", "nobody")
    ]
    for name, page in zip(("user1", "nobody"), answers, strict=True):
        assert "用户名或密码不正确" in page
        assert f'value="{name}"' in page
        assert "not-it-at-all" not in page
    denied = AuditEntry.objects.filter(verb="directory.sign_in", outcome="denied")
    assert [set(item.detail) for item in denied.order_by("id")] == [{"person"}, set()]
    assert "nobody" not in str(list(denied.values()))


def test_after_five_failures_even_the_right_password_has_to_wait() -> None:
    build.office()
    for _ in range(5):
        Client().post("/sign-in", {"name": "user1", "password": "wrong-wrong"})
    answer = Client().post("/sign-in", {"name": "user1", "password": build.PASSWORD})
    assert answer.status_code == 429
    assert "15 分钟后再试" in answer.content.decode()


def test_the_session_key_changes_at_sign_in_and_dies_at_sign_out(desk: Desk) -> None:
    city = build.office()
    client = Client()
    client.get("/sign-in")
    session = client.session
    session["planted"] = "yes"
    session.save()
    client.cookies["session-test"] = session.session_key or ""
    client.post("/sign-in", {"name": "user1", "password": build.PASSWORD})
    fresh = client.session
    assert fresh.session_key != session.session_key
    assert "planted" not in fresh
    assert client.get("/").status_code == 200
    client.post("/sign-out")
    assert client.get("/").status_code == 302
    assert not Session.objects.filter(session_key=fresh.session_key).exists()
    verbs = AuditEntry.objects.filter(actor=city.clerk.urn, verb__contains="sign_")
    assert list(verbs.order_by("id").values_list("verb", flat=True)) == [
        "directory.sign_in",
        "directory.sign_out",
    ]


def test_the_fourth_session_ends_the_first_and_says_so(desk: Desk) -> None:
    city = build.office()
    first, second, third, fourth = (desk(city.clerk) for _ in range(4))
    assert first.get("/").status_code == 302
    assert all(each.get("/").status_code == 200 for each in (second, third))
    assert "最早的 1 处已退出" in fourth.get("/").content.decode()
    assert "最早的" not in fourth.get("/").content.decode()  # said once
    assert OpenSession.objects.filter(person=city.clerk.person).count() == 3


def test_a_session_ends_when_idle_when_old_and_when_the_password_changes(desk: Desk) -> None:
    city = build.office()
    now = moment.now()
    idle, changed = desk(city.clerk), desk(city.clerk)
    with moment.fixed(now + timedelta(minutes=29)):
        assert idle.get("/").status_code == 200
    with moment.fixed(now + timedelta(minutes=58)):
        assert idle.get("/").status_code == 200  # it was seen 29 minutes ago
    with moment.fixed(now + timedelta(minutes=80)):  # the page renews itself: nobody is there
        assert idle.get("/", headers={"HX-Request": "true"}).status_code == 200
    with moment.fixed(now + timedelta(minutes=89)):
        assert idle.get("/").status_code == 302
    person = Person.objects.get(sign_in_name="user1")
    directory.set_password(build.administrator(), person, "another-password")
    assert changed.get("/").status_code == 302


def test_somebody_without_a_post_is_told_whom_to_ask(desk: Desk) -> None:
    directory.add_person(
        build.administrator(), sign_in_name="user1", name="无岗", password=build.PASSWORD
    )
    client = Client()
    client.post("/sign-in", {"name": "user1", "password": build.PASSWORD})
    answer = client.get("/")
    assert answer.status_code == 403
    assert "没有在任岗位" in answer.content.decode()


def test_a_form_without_its_token_is_refused() -> None:
    city = build.office()
    client = sign_in(city.clerk)
    answer = client.post("/documents/new", {"title": "关于某事的通知"})
    assert answer.status_code == 403
    assert "页面已过期" in answer.content.decode()


def test_every_page_forbids_foreign_scripts_frames_and_caching(desk: Desk) -> None:
    answer = desk(build.office().clerk).get("/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
