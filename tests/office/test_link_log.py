"""The log of the links: browsed, searched, exported, each reader under their own label."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest

from tests import build, links
from tests.office.conftest import Desk, token
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.capabilities.documents.models import Document
from zhengtong.kernel import moment
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages import journal
from zhengtong.kernel.messages.journal import Asked
from zhengtong.kernel.messages.models import Arrival, Handling, Letter, Message, Neighbour
from zhengtong.wire.evidence import unpack as unpack_evidence

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
READER = ["links.read", "messages.resend", "links.export_evidence"]


def lines(page: str) -> list[str]:
    """The letters of a page, as direction and kind."""
    return re.findall(r"data-open>([^<]+)</a>", page)


@pytest.fixture
def week(db: None) -> dict[str, Any]:
    """One letter in every state, a minute apart, the first the newest."""
    now = moment.now()
    fugou, shenqiu = links.link("fugou"), links.link("shenqiu")
    links.standing_at(fugou, lane=2, sealed=3, receipted=2)
    links.standing_at(shenqiu, lane=2, sealed=2, receipted=2)
    dead = links.message("portal.baked", origin="shenqiu")
    Handling.objects.create(message=dead, reaction="portal.reactions.x", dead=True, error="出错了")
    made = {
        "waiting": links.letter(fugou, lane=0, at=now - MINUTE),
        "stuck": links.letter(shenqiu, at=now - 2 * MINUTE, problem="oversized: 9 bytes"),
        "underway": links.letter(fugou, number=3, at=now - 3 * MINUTE),
        "delivered": links.letter(fugou, number=1, at=now - 4 * MINUTE, sealed=now - 4 * MINUTE),
        "forwarded": _beyond(links.letter(shenqiu, number=2, at=now - 4.5 * MINUTE)),
        "refused": links.letter(fugou, number=2, at=now - 5 * MINUTE, refusal="clock"),
        "taken": links.arrival(fugou, 1, about=links.message(), at=now - 6 * MINUTE),
        "withheld": links.letter(shenqiu, number=1, at=now - 5.5 * MINUTE, refusal="withheld"),
        "rejected": links.arrival(shenqiu, 7, refusal="unsigned", at=now - 7 * MINUTE),
        "dead": links.arrival(shenqiu, 8, about=dead, at=now - 8 * MINUTE),
    }
    links.receipt(fugou, lane=2, first=1, last=2, at=now - 4 * MINUTE + timedelta(seconds=3))
    return made


def _beyond(letter: Letter) -> Letter:
    """It is for a node behind the neighbour."""
    Letter.objects.filter(pk=letter.pk).update(destination="xihua")
    return letter


def test_every_letter_is_shown_newest_first_with_its_state(
    desk: Desk, week: dict[str, Any]
) -> None:
    client = desk(build.person(build.office().organisation, READER))
    page = client.get("/links/log/").content.decode()
    assert lines(page) == [*["发出：公文"] * 7, "收到：公文", "收到：附件分块", "收到：上网回报"]
    words = (
        "待封装 不能封装 在途 已送达 已到中转节点 被拒收 未交出 已接收 本节点拒收 处理失败".split()
    )
    found = [page.index(f"</span>{word}</span>") for word in words]
    assert found == sorted(found)
    for said in ("特急", "3 秒", "双方时钟相差过大", "来件没有签名", "600 字节", "oversized"):
        assert said in page, said


@pytest.mark.parametrize("state", journal.STATES)
def test_each_state_is_found_by_itself(state: str, week: dict[str, Any]) -> None:
    (found,), following = journal.page(Asked(state=state), 50)
    assert (found.state, found.pk, following) == (state, week[state].pk, None)
    wrong = journal.RECEIVED if found.direction == journal.SENT else journal.SENT
    assert journal.page(Asked(state=state, direction=wrong), 50) == ([], None)


def test_filters_narrow_and_words_find(desk: Desk, week: dict[str, Any]) -> None:
    client = desk(build.person(build.office().organisation, READER))
    today = moment.today()

    def shown(**asked: str) -> int:
        return len(lines(client.get("/links/log/", asked).content.decode()))

    assert shown(neighbour="shenqiu") == 5
    assert shown(direction="received") == 3
    assert shown(kind="portal.baked") == 1
    assert shown(since=f"{today + timedelta(days=1)}") == 0
    assert shown(until=f"{today}") == shown(since=f"{today - timedelta(days=1)}") == 10
    assert shown(until=f"{today - timedelta(days=2)}") == 0
    assert shown(q="3") >= 1, "by its number"
    assert shown(q=str(week["waiting"].message_id)) == 1
    assert shown(q="OVERSIZED") == 1
    assert shown(q="没有这样的词") == 0
    assert shown(q="9" * 40) == 0
    assert (
        "没有符合条件的信件"
        in client.get("/links/log/?state=dead&neighbour=fugou").content.decode()
    )
    absurd = client.get("/links/log/?since=yesterday&state=lost&after=x~y~z&neighbour=%00")
    assert absurd.status_code == 422 and "处需要改正" in absurd.content.decode()


def test_pages_follow_one_another_without_gap_or_repetition(db: None) -> None:
    """Letters and arrivals of one and the same moment too."""
    fugou, now = links.link("fugou"), moment.now()
    told = links.message()
    Letter.objects.bulk_create(
        Letter(
            message=told,
            neighbour=fugou,
            destination="fugou",
            created_at=now - MINUTE * (number // 7),
        )
        for number in range(60)
    )
    Arrival.objects.bulk_create(
        Arrival(
            neighbour=fugou,
            lane=2,
            sequence=number,
            digest=b"",
            chain=b"",
            epoch=1,
            leaf=number,
            envelope=b"",
            at=now - MINUTE * (number // 5),
        )
        for number in range(1, 51)
    )
    seen: list[tuple[str, int]] = []
    after = None
    for _ in range(20):
        found, after = journal.page(Asked(after=after), 7)
        seen += [(line.direction, line.pk) for line in found]
        if after is None:
            break
        assert journal.Place.parse(str(after)) == after
    assert len(seen) == len(set(seen)) == 110
    assert [(it.direction, it.pk) for it in journal.everything(Asked(), 1000, 9)] == seen
    assert len(list(journal.everything(Asked(), 25, 9))) == 25


def dispatched(city: build.Office, to: Neighbour, title: str, level: Level) -> Document:
    """A document whose letter is on its way to a neighbour."""
    clerk = build.person(city.organisation, build.CLERK, clearance=level)
    document = outgoing.draft(clerk, build.draft([city.organisation], title=title, level=level))
    told = Message.objects.create(
        kind="documents.dispatched",
        body=b"",
        level=level,
        subject=document.urn,
        origin="test",
        at=moment.now(),
        pending=False,
    )
    links.letter(to, about=told)
    return document


def test_a_title_is_shown_and_found_only_by_those_who_may_read_the_record(desk: Desk) -> None:
    city, fugou = build.office(), links.link("fugou")
    title = "关于夏粮收购的通知"
    document = dispatched(city, fugou, title, Level.WORK_SECRET)
    (letter,) = Letter.objects.all()
    allowed = desk(build.person(city.organisation, READER, clearance=Level.WORK_SECRET))
    lower = desk(build.person(city.organisation, READER, clearance=Level.INTERNAL))
    for path in ("/links/log/", "/links/log/?q=夏粮", f"/links/log/sent/{letter.pk}/"):
        assert title in allowed.get(path).content.decode()
        assert title not in lower.get(path).content.decode()
    assert lines(lower.get("/links/log/").content.decode()) == ["发出：公文"]
    assert lines(lower.get("/links/log/?q=夏粮").content.decode()) == []
    assert title not in export(lower) and title in export(allowed)
    evidence = allowed.get(f"/links/log/sent/{letter.pk}/evidence")
    assert unpack_evidence(evidence.content).about.document == document.urn
    assert lower.get(f"/links/log/sent/{letter.pk}/evidence").status_code == 404
    without = desk(build.person(city.organisation, ["links.read"], clearance=Level.WORK_SECRET))
    assert "导出证据文件" not in without.get(f"/links/log/sent/{letter.pk}/").content.decode()
    assert without.get(f"/links/log/sent/{letter.pk}/evidence").status_code == 403


def export(client: Any, query: str = "") -> str:
    answer = client.get(f"/links/log/export{query}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return b"".join(answer.streaming_content).decode("utf-8-sig")


def test_the_table_is_one_that_a_spreadsheet_can_open(desk: Desk, week: dict[str, Any]) -> None:
    client = desk(build.person(build.office().organisation, READER))
    Letter.objects.filter(pk=week["stuck"].pk).update(problem="=HYPERLINK(1),\n二")
    rows = list(csv.DictReader(io.StringIO(export(client), newline="")))
    assert [row["状态"] for row in rows[:3]] == ["待封装", "不能封装", "在途"]
    assert rows[1]["原因"] == "'=HYPERLINK(1),\n二"
    assert rows[3]["时延（秒）"] == "3.000"
    assert len(rows) == 10
    assert len(list(csv.reader(io.StringIO(export(client, "?direction=received"))))) == 4


def test_a_letters_page_tells_its_whole_history(desk: Desk, week: dict[str, Any]) -> None:
    client = desk(build.person(build.office().organisation, READER))

    def page(direction: str, state: str) -> str:
        return client.get(f"/links/log/{direction}/{week[state].pk}/").content.decode()

    delivered = page("sent", "delivered")
    story = ["办理产生", "列为发往扶沟县节点的普通件", "加密封装为第 1 号", "签名确认已存妥"]
    found = [delivered.index(words) for words in story]
    assert found == sorted(found)
    assert "<strong>本节点</strong> 办理产生这封信件" in delivered
    assert "没有回执的信件会一直重送" in page("sent", "underway")
    assert "等待封装" in page("sent", "waiting")
    assert "oversized" in page("sent", "stuck")
    dead = page("received", "dead")
    assert "收妥第 8 号" in dead and "出错了" in dead and "已放弃" in dead
    assert "来件没有签名" in page("received", "rejected")
    assert client.get("/links/log/sent/999999/").status_code == 404

    withheld = page("sent", "withheld")
    assert "信件密级高于收信节点的最高密级" in withheld and ">重发</button>" in withheld
    hashed = links.arrival(Neighbour.objects.get(name="fugou"), 2, refusal="withheld")
    taken = client.get(f"/links/log/received/{hashed.pk}/").content.decode()
    assert "只收到第 2 号信件的哈希，发信方没有交出信件" in taken

    refused = page("sent", "refused")
    assert "双方时钟相差过大" in refused and "签名拒收" in refused
    form = {"csrfmiddlewaretoken": token(refused), "back": f"/links/log/sent/{week['refused'].pk}/"}
    again = client.post(f"/links/resend/{week['refused'].pk}", form, follow=True).content.decode()
    assert "已重新发出。" in again and "重新发出的信件" in again and ">重发</button>" not in again


def test_the_way_of_a_letter_is_told_as_far_as_it_is_known_here(
    desk: Desk, week: dict[str, Any]
) -> None:
    client = desk(build.person(build.office().organisation, READER))

    def page(letter: Letter) -> str:
        return client.get(f"/links/log/sent/{letter.pk}/").content.decode()

    assert "还没有任何节点的回执" in page(week["underway"])
    assert "送达路径" not in page(week["waiting"]), "it has no number yet"
    assert "由其转送" not in page(week["delivered"])
    forwarded = page(week["forwarded"])
    assert "收件节点“xihua”是否收到尚不能证明" in forwarded
    through = links.message(origin="henan")
    passed_on = page(_beyond(links.letter(week["underway"].neighbour, number=4, about=through)))
    assert "本节点只转送这封信件" in passed_on and "送回来源节点 henan" in passed_on
    assert "收件节点" not in passed_on, "its receipt never comes here"


def test_only_the_administrators_of_the_network_look_at_the_log(
    desk: Desk, week: dict[str, Any]
) -> None:
    clerk = desk(build.office().clerk)
    for path in ("", "export", f"sent/{week['waiting'].pk}/", f"received/{week['dead'].pk}/"):
        assert clerk.get(f"/links/log/{path}").status_code == 403, path
    assert clerk.get("/links/fugou/").status_code == 403
