"""The form of a draft: nothing a clerk has typed or uploaded is ever lost."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests import build
from tests.office.conftest import sign_in, token
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.kernel import moment

pytestmark = pytest.mark.django_db(transaction=True)

BODY = "各单位：\n一、提高认识。\n特此通知。"


class City:
    """A city office, two counties and two departments, with the clerk signed in."""

    def __init__(self) -> None:
        self.office = build.office()
        self.counties = [build.organisation(f"{n}县", kind="county") for n in ("扶沟", "沈丘")]
        self.departments = [
            build.office(f"周口市{n}", kind="department") for n in ("财政局", "水利局")
        ]
        self.client = sign_in(self.office.clerk)
        self.token = token(self.client.get("/documents/new").content.decode())

    def values(self, **given: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "document_kind": "通知",
            "title": "关于做好防汛准备工作的通知",
            "body": BODY,
            "urgency": "1",
            "level": "1",
            "addressees": [str(self.counties[0].pk)],
            "csrfmiddlewaretoken": self.token,
        }
        return values | given


@pytest.fixture
def city() -> City:
    return City()


def saved(client: Client, answer: Any) -> Any:
    assert answer.status_code == 302, errors(answer.content.decode())
    return client.get(answer.headers["Location"]).content.decode()


def errors(page: str) -> list[str]:
    return re.findall(r'class="error"[^>]*>(?:<span[^>]*>错误：</span>)?([^<]*)', page)


def text(value: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(value, f"{value} 的内容".encode(), "text/plain")


def test_a_whole_group_is_one_tick_and_everything_arrives(city: City) -> None:
    due = moment.today() + timedelta(days=7)
    answer = city.client.post(
        "/documents/new",
        city.values(
            addressees=["all:county", str(city.departments[0].organisation.pk)],
            copy_to=[str(city.departments[1].organisation.pk)],
            countersigners=[str(city.departments[1].organisation.pk)],
            due_date=due.isoformat(),
            due_time="12:30",
            note="联系人：李明禾",
            attachments=[text("清单.txt"), text("要点.txt")],
            submit="1",
        ),
    )
    page = saved(city.client, answer)
    assert "已保存并送核稿" in page
    (document,) = queries.outgoing(city.office.clerk)
    assert document.addressee_names == ["扶沟县", "沈丘县", "周口市财政局"]
    assert document.copy_names == ["周口市水利局"]
    assert document.urgency == 1
    assert document.due_at is not None
    assert document.due_at.astimezone(moment.CHINA).isoformat() == f"{due}T12:30:00+08:00"
    assert [item.name for item in queries.attachments(document)] == ["清单.txt", "要点.txt"]
    standing = queries.standing(city.office.leader, document)
    assert standing is not None
    assert standing.key == "review"
    assert queries.countersigners(document) == [str(city.departments[1].organisation.pk)]


def test_every_fault_is_told_at_once_beside_its_field_and_on_top(city: City) -> None:
    answer = city.client.post(
        "/documents/new",
        city.values(
            title="没有文种的标题", body="  ", addressees=[], due_date="2020-01-01", urgency="9"
        ),
    )
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "有 5 处需要改正" in page
    for field in ("id_title", "id_body", "id_addressees_0", "id_due_date"):
        assert f'href="#{field}"' in page
        assert f'id="{field}"' in page
    found = "".join(errors(page))
    for words in ("应以文种“通知”结尾", "请填写正文", "至少选择一个主送", "应晚于现在"):
        assert words in found
    assert 'value="没有文种的标题"' in page
    assert not queries.outgoing(city.office.clerk).exists()


ABSURD: list[dict[str, Any]] = [
    {"title": "长" * 5000},
    {"level": "5"},
    {"level": "x"},
    {"document_kind": "圣旨"},
    {"addressees": ["01a20989-15d9-7e1c-8de7-3e79b0f0c8ab"]},
    {"addressees": ["'; DROP TABLE"]},
    {"addressees": ["all:planet"]},
    {"copy_to": ["all:county"], "addressees": ["all:county"]},
    {"due_date": "明天"},
    {"due_date": "9999-12-31", "due_time": "25:00"},
    {"note": "长" * 201},
    {"answers": "nonsense"},
    {"body": "\0"},
]


def test_absurd_values_come_back_with_the_body_kept(city: City) -> None:
    for absurd in ABSURD:
        answer = city.client.post("/documents/new", city.values(**absurd))
        assert answer.status_code == 422, absurd
        page = html.unescape(answer.content.decode())
        assert "需要改正" in page, absurd
        if "body" not in absurd:
            assert BODY in page, absurd
    assert not queries.outgoing(city.office.clerk).exists()


def test_an_upload_survives_a_faulty_form_and_can_be_taken_away(city: City) -> None:
    arriving = {
        "attachments": [text("留下.txt"), text("移除.txt"), SimpleUploadedFile("空.txt", b"")]
    }
    page = city.client.post("/documents/new", city.values(title="", **arriving)).content.decode()
    assert "空文件" in page
    stored = re.findall(r'name="stored" value="([^"]+)"', page)
    assert len(stored) == 2
    again = city.values(stored=stored, remove=stored[1])
    saved(city.client, city.client.post("/documents/new", again))
    (document,) = queries.outgoing(city.office.clerk)
    assert [item.name for item in queries.attachments(document)] == ["留下.txt"]


def test_a_reference_to_somebody_elses_upload_is_worth_nothing(city: City) -> None:
    page = city.client.post("/documents/new", city.values(title="", attachments=text("密.txt")))
    stored = re.findall(r'name="stored" value="([^"]+)"', page.content.decode())
    colleague = build.person(city.office.organisation, build.CLERK, name="另一人")
    client = sign_in(colleague)
    form = token(client.get("/documents/new").content.decode())
    for reference in (stored, ["made-up"]):
        values = city.values(stored=reference, csrfmiddlewaretoken=form)
        saved(client, client.post("/documents/new", values))
    assert all(not queries.attachments(item) for item in queries.outgoing(colleague))


def test_a_draft_is_changed_and_its_attachments_too(city: City) -> None:
    finance, water = (str(item.organisation.pk) for item in city.departments)
    first = city.values(attachments=[text("旧.txt"), text("留.txt")], countersigners=[finance])
    saved(city.client, city.client.post("/documents/new", first))
    (document,) = queries.outgoing(city.office.clerk)
    page = city.client.get(f"/documents/{document.pk}/edit").content.decode()
    assert BODY in page
    box = re.search(rf'<input[^>]*name="countersigners"[^>]*value="{finance}"[^>]*>', page)
    assert box is not None
    assert "checked" in box[0]
    (old, _) = queries.attachments(document)
    changed = city.values(
        title="关于做好抗旱工作的通知",
        remove=f"kept:{old.pk}",
        attachments=text("新.txt"),
        countersigners=[water],
        submit="1",
    )
    page = saved(city.client, city.client.post(f"/documents/{document.pk}/edit", changed))
    assert "关于做好抗旱工作的通知" in page
    assert [item.name for item in queries.attachments(document)] == ["留.txt", "新.txt"]
    outgoing.review(city.office.leader, document, agree=True)
    standing = queries.standing(city.departments[1].leader, document)
    assert standing is not None
    assert standing.key == "countersign"
    assert [item.assignee.id for item in standing.state.participants] == [water]
    # The one no longer asked no longer sees the draft.
    assert not queries.documents(city.departments[0].leader).exists()


def test_a_text_changes_only_in_the_hands_of_whose_turn_it_is(city: City) -> None:
    water = city.departments[1].organisation
    text = build.draft(city.counties, countersigners=(water.pk,))
    document = outgoing.draft(city.office.clerk, text)
    outgoing.submit(city.office.clerk, document)
    url = f"/documents/{document.pk}/"
    assert "修改</a>" not in city.client.get(url).content.decode()
    assert city.client.get(f"{url}edit").status_code == 409
    late = city.client.post(f"{url}edit", city.values(body="偷换的正文。"))
    assert late.status_code == 409
    assert "正在“核稿”环节" in late.content.decode()
    # The reviewer may change the text; whom to ask to countersign is settled by then.
    duties = ["documents.review", "documents.revise"]
    reviewer = sign_in(build.person(city.office.organisation, duties, name="审核人"))
    page = reviewer.get(f"{url}edit").content.decode()
    assert "countersigners" not in page
    finance = str(city.departments[0].organisation.pk)
    forged = city.values(
        body="核改后的正文。", countersigners=[finance], csrfmiddlewaretoken=token(page)
    )
    assert "核改后的正文。" in saved(reviewer, reviewer.post(f"{url}edit", forged))
    assert queries.countersigners(document) == [str(water.pk)]


def test_after_issue_there_is_no_form_any_more(city: City) -> None:
    document = outgoing.draft(city.office.clerk, build.draft(city.counties))
    outgoing.submit(city.office.clerk, document)
    outgoing.review(city.office.leader, document, agree=True)
    outgoing.issue(city.office.leader, document, agree=True)
    assert city.client.get(f"/documents/{document.pk}/edit").status_code == 409
    answer = city.client.post(f"/documents/{document.pk}/edit", city.values())
    assert answer.status_code == 409
    assert "须“办理中”才能" in answer.content.decode()


def test_a_draft_forwards_or_answers_what_one_may_see(city: City) -> None:
    source = outgoing.draft(
        city.office.clerk,
        build.draft(city.counties, document_kind="请示", title="关于拨付防汛经费的请示", urgency=2),
    )
    page = city.client.get(f"/documents/new?answers={source.pk}").content.decode()
    assert 'value="关于拨付防汛经费的批复"' in page
    assert f'name="answers" value="{source.pk}"' in page
    page = city.client.get(f"/documents/new?answers={source.pk}&as=forward").content.decode()
    assert "转发周口市人民政府办公室关于拨付防汛经费的请示的通知" in page
    stranger = sign_in(city.departments[0].clerk)
    page = stranger.get(f"/documents/new?answers={source.pk}").content.decode()
    assert "防汛经费" not in page
    assert str(source.pk) not in page
    assert city.client.get("/documents/new?answers=x").status_code == 200
    answering = city.values(answers=str(source.pk))
    page = saved(city.client, city.client.post("/documents/new", answering))
    assert f'href="/documents/{source.pk}/"' in page


def test_who_may_not_draft_is_told_so(city: City) -> None:
    reader = sign_in(build.person(city.office.organisation, ["documents.read"]))
    answer = reader.get("/documents/new")
    assert answer.status_code == 403
    assert "没有“拟稿”的职责" in answer.content.decode()
    other = outgoing.draft(city.office.clerk, build.draft(city.counties))
    assert sign_in(city.departments[0].clerk).get(f"/documents/{other.pk}/edit").status_code == 404
    assert city.client.get(f"/documents/{UUID(int=1)}/edit").status_code == 404
