"""The node page: how each link stands, its alarms, and sending again what was refused."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests import build, links
from tests.office.conftest import Desk, token
from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.messages import commands, delays, watch
from zhengtong.kernel.messages.models import Handling, Letter, Message, Neighbour, Sent

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
ADMINISTRATOR = ["links.read", "links.clear", "messages.resend", "messages.retry"]


def refused_letter(to: Neighbour, level: int = 1) -> Letter:
    letter = links.letter(to, number=5, refusal="clock", about=links.message(level=level))
    Sent.objects.filter(letter=letter).update(refusal_detail="off by 900 s")
    return letter


def test_a_refused_letter_is_explained_and_sent_again_once(desk: Desk) -> None:
    city = build.office()
    letter = refused_letter(links.link("shenqiu", last_contact=None))
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


def test_a_letter_that_a_node_further_on_refused_is_explained(desk: Desk) -> None:
    letter = links.letter(links.link("shenqiu"), number=5, refusal="refused_further_on:clock")
    Sent.objects.filter(letter=letter).update(refusal_detail="xihua: off by 900 s")
    page = desk(build.person(build.office().organisation, ADMINISTRATOR)).get("/links/")
    for words in (
        "转送途中有节点没有收下这封信件。据转送节点说明：双方时钟相差过大",
        "xihua: off by 900 s",
        "重发",
    ):
        assert words in page.content.decode(), words


def test_a_letter_above_the_neighbours_ceiling_is_not_sent_again(desk: Desk) -> None:
    city = build.office()
    letter = refused_letter(links.link("shenqiu"), level=3)
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
    letter = refused_letter(links.link("shenqiu", last_contact=None))
    watcher = desk(build.person(city.organisation, ["links.read"]))
    page = watcher.get("/links/").content.decode()
    assert "重发</button>" not in page
    form = {"csrfmiddlewaretoken": token(page)}
    assert watcher.post(f"/links/resend/{letter.pk}", form).status_code == 403
    assert commands.refused().count() == 1
    assert desk(city.clerk).get("/links/").status_code == 403


def test_the_picture_and_the_table_say_how_each_link_stands(desk: Desk) -> None:
    city, now = build.office(), moment.now()
    links.link("henan", is_parent=True, skew_ms=-42_000, version="0.1.0")
    links.link("shenqiu", last_contact=now - HOUR, failures=3, last_error="no route")
    links.link("xihua", suspended=True)
    links.link("taikang", last_contact=None)
    fugou = links.link(
        "fugou",
        log_roots=links.verified(1204),
        witness_size=980,
        certificate_until=now + timedelta(days=5, hours=1),
    )
    links.letter(fugou, lane=0, at=now - timedelta(minutes=3))
    page = desk(build.person(city.organisation, ADMINISTRATOR)).get("/links/").content.decode()
    picture, table = page.split("<svg", 1)[1].split("</svg>")
    for word, tone in (
        ("正常", "ok"),
        ("联系失败", "bad"),
        ("已停用", "idle"),
        ("从未联系", "wait"),
    ):
        assert re.search(rf'<g class="place {tone}">.*?{word}</text>', picture, re.DOTALL), word
        assert f'<span class="status {tone}">' in table
    assert "共 5 个相邻节点，2 个正常，需要处理：沈丘县节点；积压信件 1 封。" in picture
    for words in ("连续失败 3 次：no route", "至多慢 42 秒", "3 分钟", "1204", "剩 5 天", "未启用"):
        assert words in table, words
    assert table.index("沈丘县节点") < table.index("河南省节点"), "trouble stands first"
    assert 'data-refresh-every="15"' in page and 'data-refresh-on="link-alarm"' in page


def test_a_node_without_neighbours_says_so(desk: Desk) -> None:
    client = desk(build.person(build.office().organisation, ADMINISTRATOR))
    page = client.get("/links/").content.decode()
    assert "还没有相邻节点" in page and "<svg" not in page
    assert client.get("/links/nowhere/").status_code == 404


def test_one_links_page_shows_lanes_delays_and_both_logs(desk: Desk) -> None:
    city, now = build.office(), moment.now()
    fugou = links.link("fugou", log_roots=links.verified(1204), witness_size=980)
    links.letter(fugou, lane=2, number=1, sealed=now - timedelta(seconds=4))
    links.receipt(fugou, lane=2, first=1, last=1, at=now)
    links.letter(fugou, lane=3, at=now - HOUR)
    delays.count_new()
    client = desk(build.person(city.organisation, ADMINISTRATOR))
    page = client.get("/links/fugou/").content.decode()
    for words in ("1,204 条，已核对", "980 条，已会签", "abababab", "全天 4 秒，共 1 封", "1 小时"):
        assert words in page, words
    assert page.count('<tr><th scope="row">') >= 4 and "批量" in page
    assert "近 24 小时每小时的中位时延" in page and "<desc>" in page


def test_an_alarm_is_explained_shown_on_the_home_page_and_cleared(desk: Desk) -> None:
    city = build.office()
    keeper = desk(build.person(city.organisation, ADMINISTRATOR))
    given = {"detail": "第 812 条不一致", "announced": False, "proof": b"signed", "times": 3}
    raised = links.alarm(links.link("fugou"), "forked_log", **given)
    watch.look()
    home = keeper.get("/").content.decode()
    assert "节点连接有 1 条告警" in home and "扶沟县节点：对方的存证日志出现分叉" in home
    assert "节点连接有" not in desk(city.clerk).get("/").content.decode()
    page = keeper.get("/links/fugou/").content.decode()
    for words in ("存证异常", "第 812 条不一致", "互相矛盾", "应当怎样办", "立即报告安全管理员"):
        assert words in page, words
    assert "共 3 次" in page
    assert keeper.get(f"/links/proof/{raised.pk}").content == b"signed"
    assert keeper.get("/links/proof/999").status_code == 404
    form = {"csrfmiddlewaretoken": token(page), "back": "/links/fugou/", "reason": " "}
    assert (
        "请写明查到的原因"
        in keeper.post(f"/links/clear/{raised.pk}", form, follow=True).content.decode()
    )
    form["reason"] = "对方误启动了旧备份，已停止。"
    done = keeper.post(f"/links/clear/{raised.pk}", form, follow=True).content.decode()
    assert "告警已解除" in done and "已解除的告警" in done
    assert "节点连接有" not in keeper.get("/").content.decode()
    assert AuditEntry.objects.get(verb="links.clear").detail["reason"] == form["reason"]
    twice = keeper.post(f"/links/clear/{raised.pk}", form, follow=True).content.decode()
    assert "已经解除" in twice


def test_nobody_is_led_away_from_the_house_by_what_a_form_brings_back(desk: Desk) -> None:
    client = desk(build.person(build.office().organisation, ADMINISTRATOR))
    form = {"csrfmiddlewaretoken": token(client.get("/links/").content.decode())}
    for back in ("https://elsewhere.example/", "//elsewhere.example", "/links/\\elsewhere", ""):
        answer = client.post("/links/clear/1", form | {"back": back, "reason": "x"})
        assert answer.headers["Location"] == "/links/", back
