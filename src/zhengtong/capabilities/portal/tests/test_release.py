"""The gate between the office and the public: what passes, what is refused, what is told."""

from __future__ import annotations

import io

import pytest

from tests import build
from zhengtong.capabilities.portal import messages, queries
from zhengtong.capabilities.portal.commands import offering, releasing
from zhengtong.capabilities.portal.models import Article
from zhengtong.capabilities.portal.tests import stage
from zhengtong.kernel import files, moment, tasks
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.errors import AboveCeiling, Denied, Invalid, Refused
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages.facts import FileRef, decode, encode
from zhengtong.kernel.messages.models import Message
from zhengtong.kernel.worker import extract_one

pytestmark = pytest.mark.django_db(transaction=True)

IDENTITY = "11010519491231002X"


def fresh(article: Article) -> Article:
    return Article.objects.unlabelled("test").get(pk=article.pk)


def test_what_is_released_travels_whole_to_the_public_node() -> None:
    city = stage.city()
    table = stage.stored("巡查表\n一号泵站".encode(), "巡查表.txt")
    article = stage.offer(city.office.organisation, attached=[table], summary="六月十日前完成。")
    (task,) = tasks.to_do(city.first)
    assert task.page == f"/portal/{article.pk}/"
    assert not tasks.to_do(city.office.clerk).exists()
    done = releasing.release(city.first, article, stage.column())

    assert done.state == "released" and done.open and done.version == 1
    assert not tasks.to_do(city.first).exists()
    assert ("portal.published", stage.PORTAL) in stage.letters()
    (told,) = stage.told(messages.Published)
    assert (told.title, told.body) == (article.title, article.body)
    assert (told.site, told.column, told.summary) == ("zhoukou", "zcwj", "六月十日前完成。")
    assert told.files == (table,)
    row = Message.objects.get(kind="portal.published")
    assert row.level == Level.PUBLIC and row.subject == article.urn
    assert decode(row.kind, encode(told)) == told


def test_a_file_not_yet_checked_holds_the_release_up() -> None:
    city = stage.city()
    file = files.store(io.BytesIO(b"text"), "a.txt")
    reference = FileRef(file.sha256, "a.txt", file.size, file.media_type)
    article = stage.offer(city.office.organisation, attached=[reference])
    with pytest.raises(Refused, match=r"附件正在检查：a\.txt"):
        releasing.release(city.first, article, stage.column())
    assert fresh(article).state == "offered"
    while extract_one():
        pass
    assert releasing.release(city.first, article, stage.column()).state == "released"


def test_only_public_documents_pass() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation, level=int(Level.INTERNAL))
    with pytest.raises(AboveCeiling, match="只有“公开”"):
        releasing.release(city.first, article, stage.column())
    assert stage.letters() == [] and fresh(article).state == "offered"


def test_who_has_not_the_duty_is_denied_and_that_is_audited() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation)
    with pytest.raises(Denied):
        releasing.release(city.office.clerk, article, stage.column())
    assert AuditEntry.objects.filter(verb="portal.release", outcome="denied").count() == 1


def test_without_a_public_node_nothing_is_released() -> None:
    city = stage.city(connected=False)
    article = stage.offer(city.office.organisation)
    with pytest.raises(Refused, match="外网节点未接入"):
        releasing.release(city.first, article, stage.column())
    assert not fresh(article).open


@pytest.mark.parametrize("where", ["title", "body", "summary", "name", "attachment"])
def test_personal_data_anywhere_needs_a_second_person(where: str) -> None:
    city = stage.city()
    secret = f"身份证{IDENTITY}"
    name = f"{secret}.txt" if where == "name" else "名单.txt"
    content = secret if where == "attachment" else "没有人"
    given = {"title": secret} if where == "title" else {"body": secret} if where == "body" else {}
    attached = [stage.stored(content.encode(), name)]
    article = stage.offer(city.office.organisation, attached=attached, **given)
    summary = secret if where == "summary" else "摘要"

    with pytest.raises(Invalid) as refused:
        releasing.release(city.first, article, stage.column(), summary)
    assert "confirm_personal_data" in refused.value.fields
    assert stage.letters() == []

    held = releasing.release(
        city.first, article, stage.column(), summary, confirm_personal_data=True
    )
    assert held.state == "second" and not held.open and stage.letters() == []
    assert IDENTITY not in str(held.remarks) and held.remarks[0]["kind"] == "身份证号"
    assert [task.duty for task in tasks.to_do(city.second)] == ["portal.confirm_release"]
    with pytest.raises(Refused, match="另一人"):
        releasing.confirm_release(city.first, held)
    with pytest.raises(Denied):
        releasing.confirm_release(city.office.leader, held)
    done = releasing.confirm_release(city.second, held)
    assert done.state == "released" and done.second_by == city.second.person
    assert ("portal.published", stage.PORTAL) in stage.letters()


def test_the_second_person_must_hold_the_first_duty_too() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation, body=f"身份证{IDENTITY}")
    held = releasing.release(city.first, article, stage.column(), confirm_personal_data=True)
    half = build.person(city.office.organisation, ["portal.confirm_release"], name="方以宁")
    with pytest.raises(Denied, match="职责"):
        releasing.confirm_release(half, held)


def test_a_file_nobody_can_read_needs_a_second_person() -> None:
    city = stage.city()
    image = b"\x89PNG\r\n\x1a\n" + bytes(64)
    article = stage.offer(city.office.organisation, attached=[stage.stored(image, "图.png")])
    with pytest.raises(Invalid, match="无法自动检查"):
        releasing.release(city.first, article, stage.column())


def test_masking_the_data_opens_the_way() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation, body=f"联系人身份证{IDENTITY}。")
    assert queries.remarks(article)
    held = releasing.release(city.first, article, stage.column(), confirm_personal_data=True)
    better = offering.revise(city.first, held, title=held.title, summary="", body="联系人已核实。")
    assert better.state == "offered" and better.released_by is None
    assert releasing.release(city.first, better, stage.column()).state == "released"
    (told,) = stage.told(messages.Published)
    assert IDENTITY not in str(told)


def test_a_rejection_needs_a_reason_and_ends_the_task() -> None:
    city = stage.city()
    article = stage.offer(city.office.organisation)
    with pytest.raises(Invalid, match="理由"):
        offering.reject(city.first, article, " ")
    refused = offering.reject(city.first, article, "尚未生效。")
    assert (refused.state, refused.reason) == ("rejected", "尚未生效。")
    assert not tasks.to_do(city.first).exists()
    with pytest.raises(Refused):
        releasing.release(city.first, refused, stage.column())


def test_a_department_without_releasers_is_served_by_the_office_above() -> None:
    city = stage.city()
    water = build.organisation("周口市水利局", kind="department", parent=city.office.organisation)
    article = stage.offer(water)
    assert [item.pk for item in queries.articles(city.first, "waiting")] == [article.pk]
    releasing.release(city.first, article, stage.column("wenjian", "shuili"))
    (told,) = stage.told(messages.Published)
    assert told.site == "shuili" and told.owner == water.pk


def test_index_numbers_have_no_gaps_even_after_refusals() -> None:
    city = stage.city()
    numbers = []
    for serial in range(4):
        body = f"身份证{IDENTITY}" if serial == 1 else "正文。"
        article = stage.offer(city.office.organisation, body=body)
        if serial == 1:
            with pytest.raises(Invalid):
                releasing.release(city.first, article, stage.column())
            continue
        numbers.append(releasing.release(city.first, article, stage.column()).index_number)
    assert [item.rpartition("-")[2] for item in numbers] == ["00001", "00002", "00003"]


def test_a_corrected_article_goes_out_again_under_its_number_and_first_date() -> None:
    city = stage.city()
    article = releasing.release(city.first, stage.offer(city.office.organisation), stage.column())
    again = offering.revise(
        city.first, article, title="更正后的标题", summary="", body=article.body
    )
    assert not again.open
    second = releasing.release(city.first, again, stage.column())
    first_told, second_told = stage.told(messages.Published)
    assert (first_told.version, second_told.version) == (1, 2)
    assert second_told.title == "更正后的标题"
    assert second.index_number == article.index_number
    assert second_told.published_at == first_told.published_at <= second_told.updated_at


def test_withdrawal_overtakes_and_the_answers_are_shown() -> None:
    city = stage.city()
    offered = stage.offer(city.office.organisation)
    with pytest.raises(Refused, match="不在网上"):
        releasing.withdraw(city.first, offered, "错了")
    article = releasing.release(city.first, offered, stage.column())
    url = "https://www.zhoukou.example/content/x.html"
    baked = messages.Baked(article.pk, 1, url, moment.now())
    releasing.note_online(node_actor(), baked)
    shown = fresh(article)
    assert (shown.state, shown.online_url) == ("published", url)

    with pytest.raises(Invalid, match="理由"):
        releasing.withdraw(city.first, shown, "")
    leaving = releasing.withdraw(city.first, shown, "内容有误。")
    assert leaving.state == "leaving" and not leaving.open
    assert stage.letters()[-1] == ("portal.withdrawn", stage.PORTAL)
    releasing.note_online(node_actor(), baked)  # a late answer changes nothing
    assert fresh(article).state == "leaving"
    releasing.note_removed(node_actor(), messages.Removed(article.pk, 1, moment.now()))
    gone = fresh(article)
    assert (gone.state, gone.online_url) == ("withdrawn", "")
    with pytest.raises(Refused):
        releasing.withdraw(city.first, gone, "再撤一次")


def test_answers_from_anybody_but_the_public_node_are_not_believed() -> None:
    city = stage.city()
    article = releasing.release(city.first, stage.offer(city.office.organisation), stage.column())
    stage.neighbour("fugou", "private", Level.WORK_SECRET)
    forged = messages.Baked(article.pk, 1, "https://evil.example/", moment.now())
    Message.objects.create(
        kind=forged.kind, body=encode(forged), level=0, origin="fugou", at=moment.now()
    )
    build.settle()
    assert fresh(article).state == "released" and not fresh(article).online_url


def test_files_deleted_there_travel_again() -> None:
    city = stage.city()
    attached = [stage.stored("表".encode(), "表.txt")]
    article = releasing.release(
        city.first, stage.offer(city.office.organisation, attached=attached), stage.column()
    )
    pieces = Message.objects.filter(kind="kernel.file_piece")
    assert pieces.count() == 1
    lacking = messages.Lacking(article.pk, 1, (attached[0].sha256,))
    releasing.send_files_again(node_actor(), lacking)
    assert pieces.count() == 2 and len(stage.told(messages.Published)) == 2
    files.path_of(attached[0].sha256).unlink()
    with pytest.raises(Refused, match="备份"):
        releasing.send_files_again(node_actor(), lacking)
    files.store(io.BytesIO("表".encode()), "表.txt")
