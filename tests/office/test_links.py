"""The network administrator's page, and sending again what was refused."""

from __future__ import annotations

import pytest

from tests import build
from tests.office.conftest import Desk, token
from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.messages import commands
from zhengtong.kernel.messages.models import Handling, Letter, LinkLane, Message, Neighbour, Sent

pytestmark = pytest.mark.django_db(transaction=True)

ADMINISTRATOR = ["links.read", "messages.resend", "messages.retry"]


def neighbour(name: str = "shenqiu", title: str = "沈丘县节点") -> Neighbour:
    made = Neighbour.objects.create(name=name, title=title, zone="private", ceiling=2, card=b"")
    LinkLane.objects.create(neighbour=made, lane=2, sealed=5, receipted=3)
    return made


def refused_letter(to: Neighbour, level: int = 1) -> Letter:
    message = Message.objects.create(
        kind="documents.dispatched", body=b"", level=level, origin="test", at=moment.now()
    )
    letter = Letter.objects.create(
        message=message, neighbour=to, destination=to.name, waiting=False
    )
    Sent.objects.create(
        neighbour=to,
        lane=2,
        sequence=5,
        letter=letter,
        digest=b"",
        chain=b"",
        epoch=1,
        leaf=4,
        envelope=b"",
        refusal="clock",
        refusal_detail="off by 900 s",
    )
    return letter


def test_a_refused_letter_is_explained_and_sent_again_once(desk: Desk) -> None:
    city = build.office()
    letter = refused_letter(neighbour())
    client = desk(build.person(city.organisation, ADMINISTRATOR))
    page = client.get("/links/").content.decode()
    for words in ("沈丘县节点", "从未联系", "双方时钟相差过大", "off by 900 s"):
        assert words in page
    form = {"csrfmiddlewaretoken": token(page)}
    again = client.post(f"/links/resend/{letter.pk}", form, follow=True).content.decode()
    assert "已重新发出" in again
    assert "双方时钟相差过大" not in again
    (waiting,) = Letter.objects.filter(waiting=True)
    assert (waiting.message, waiting.neighbour) == (letter.message, letter.neighbour)
    twice = client.post(f"/links/resend/{letter.pk}", form, follow=True).content.decode()
    assert "不必再发" in twice
    assert Letter.objects.count() == 2
    assert AuditEntry.objects.filter(verb="messages.resend", outcome="done").count() == 1


def test_a_letter_above_the_neighbours_ceiling_is_not_sent_again(desk: Desk) -> None:
    city = build.office()
    letter = refused_letter(neighbour(), level=3)
    client = desk(build.person(city.organisation, ADMINISTRATOR))
    form = {"csrfmiddlewaretoken": token(client.get("/links/").content.decode())}
    answer = client.post(f"/links/resend/{letter.pk}", form, follow=True).content.decode()
    assert "最高只能接收“工作秘密”" in answer
    assert Letter.objects.count() == 1


def test_a_dead_reaction_is_shown_and_gets_another_chance(desk: Desk) -> None:
    city = build.office()
    message = Message.objects.create(
        kind="documents.issued", body=b"", level=1, origin="henan", at=moment.now(), pending=False
    )
    dead = Handling.objects.create(
        message=message, reaction="documents.reactions.x", dead=True, attempts=8, error="出错了"
    )
    client = desk(build.person(city.organisation, ADMINISTRATOR))
    page = client.get("/links/").content.decode()
    assert "出错了" in page
    form = {"csrfmiddlewaretoken": token(page)}
    after = client.post(f"/links/retry/{dead.pk}", form, follow=True).content.decode()
    assert "已重新排队处理" in after
    assert "出错了" not in after
    message.refresh_from_db()
    assert message.pending
    assert "不必重试" in client.post(f"/links/retry/{dead.pk}", form, follow=True).content.decode()


def test_looking_is_not_touching(desk: Desk) -> None:
    city = build.office()
    letter = refused_letter(neighbour())
    watcher = desk(build.person(city.organisation, ["links.read"]))
    page = watcher.get("/links/").content.decode()
    assert "重发</button>" not in page
    form = {"csrfmiddlewaretoken": token(page)}
    assert watcher.post(f"/links/resend/{letter.pk}", form).status_code == 403
    assert commands.refused().count() == 1
    assert desk(city.clerk).get("/links/").status_code == 403
