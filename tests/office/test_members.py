"""The page of nodes: invite, compare, approve twice, suspend, expel; each in plain words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests import build
from tests.kernel.membership.conftest import DUTIES, Applicant
from tests.office.conftest import Desk, token
from zhengtong.kernel.membership.models import Invitation
from zhengtong.kernel.messages.keyfile import create_keys
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire.joining import fingerprint, read_token

pytestmark = pytest.mark.django_db(transaction=True)

ADMINISTRATOR = ["nodes.read", *DUTIES]
GIVEN = {"node": "xihua", "title": "西华县节点", "zone": "private", "ceiling": "2", "days": "7"}


@pytest.fixture
def city(settings: Any, tmp_path: Path) -> build.Office:
    settings.NODE = replace(settings.NODE, home=tmp_path)
    settings.NODE.run.mkdir()
    create_keys(settings.NODE.keys, settings.NODE.name)
    return build.office()


@pytest.fixture
def desks(city: build.Office, desk: Desk) -> tuple[Client, Client]:
    """Two administrators, each signed in."""
    return (
        desk(build.person(city.organisation, ADMINISTRATOR, name="赵知远")),
        desk(build.person(city.organisation, ADMINISTRATOR, name="钱若谷")),
    )


def post(client: Client, url: str, **values: str) -> str:
    """Send a form from the page; what the next page says."""
    page = client.get("/nodes/invite").content.decode()
    form = values | {"csrfmiddlewaretoken": token(page)}
    return client.post(url, form, follow=True).content.decode()


def invited(client: Client, **changes: str) -> str:
    form = token(client.get("/nodes/invite").content.decode())
    answer = client.post("/nodes/invite", GIVEN | changes | {"csrfmiddlewaretoken": form})
    return answer.content.decode()


def token_on(letter: str) -> bytes:
    (typed,) = set(re.findall(r"(?:[0-9A-Z]{4}-){7}[0-9A-Z]{4}", letter))
    return read_token(typed)


def test_the_letter_of_invitation_says_all_that_is_needed(desks: tuple[Client, Client]) -> None:
    letter = invited(desks[0])
    for words in (
        "西华县节点",
        "http://127.0.0.1:8100",
        "zhengtong node join",
        "只显示这一次",
        "工作秘密",
    ):
        assert words in letter
    secret = token_on(letter)
    again = desks[0].get("/nodes/").content.decode()
    assert "待对方申请" in again
    assert secret.hex() not in again


def test_two_administrators_approve_on_the_page(desks: tuple[Client, Client]) -> None:
    first, second = desks
    xihua = Applicant()
    xihua.knock(token_on(invited(first)))
    made = Invitation.objects.get()
    page = first.get("/nodes/").content.decode()
    assert fingerprint(xihua.card) in page
    assert "尚无人批准" in page
    url = f"/nodes/{made.pk}/approve"
    after = post(first, url)
    assert "已批准" in after and "等待另一名管理员" in after
    assert "另一名管理员再批准一次" in post(first, url)
    assert not Neighbour.objects.exists()
    done = post(second, url)
    assert "赵知远、钱若谷" in done
    assert "在网" in done and "天后到期" in done


def test_a_node_is_suspended_resumed_and_expelled(desks: tuple[Client, Client]) -> None:
    first, second = desks
    Applicant().knock(token_on(invited(first)))
    for client in desks:
        post(client, f"/nodes/{Invitation.objects.get().pk}/approve")
    assert "写明原因" in post(first, "/nodes/xihua/suspend", reason="")
    assert "已暂停" in post(first, "/nodes/xihua/suspend", reason="检修")
    assert "已恢复交换" in post(second, "/nodes/xihua/resume")
    assert "已除名" in post(second, "/nodes/xihua/expel", reason="撤并")
    assert (
        "<button"
        not in second.get("/nodes/xihua/").content.decode().split("<aside")[1].split("</aside>")[0]
    )
    assert first.get("/nodes/nobody/").status_code == 404
    assert Neighbour.objects.get().expelled


def test_refusing_and_withdrawing(desks: tuple[Client, Client]) -> None:
    first, second = desks
    invited(first)
    assert "邀请已作废" in post(second, f"/nodes/{Invitation.objects.get().pk}/withdraw")
    Applicant().knock(token_on(invited(first)))
    asked = Invitation.objects.get(stage="asked")
    assert "写明不批准的原因" in post(second, f"/nodes/{asked.pk}/refuse", reason="")
    assert "已拒绝" in post(second, f"/nodes/{asked.pk}/refuse", reason="指纹不符")


def test_a_wrong_form_comes_back_with_what_was_typed(desks: tuple[Client, Client]) -> None:
    page = invited(desks[0], node="西华", days="99")
    assert "小写字母" in page and "最多 30 天" in page
    page = invited(desks[0], node="test")
    assert "已在用" in page and "西华县节点" in page
    assert not Invitation.objects.exists()


def test_looking_is_not_touching(city: build.Office, desk: Desk) -> None:
    watcher = desk(build.person(city.organisation, ["nodes.read"]))
    page = watcher.get("/nodes/").content.decode()
    assert "邀请节点</a>" not in page
    assert watcher.get("/nodes/invite").status_code == 403
    form = {"csrfmiddlewaretoken": token(page), "reason": "越权"}
    assert watcher.post("/nodes/xihua/expel", form).status_code == 403
    assert desk(city.clerk).get("/nodes/").status_code == 403
