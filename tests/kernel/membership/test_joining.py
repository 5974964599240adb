"""A node joins by invitation and the approval of two people, and in no other way."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from tests import build
from tests.kernel.membership.conftest import Applicant, House, knock
from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import Denied, Invalid, Refused
from zhengtong.kernel.membership import queries
from zhengtong.kernel.membership.commands import joining, standing
from zhengtong.kernel.membership.models import Invitation, JoinAttempt, Member
from zhengtong.kernel.messages.identity import card_of, own_card
from zhengtong.kernel.messages.models import Letter, Neighbour
from zhengtong.wire import directory
from zhengtong.wire.certificates import node_of
from zhengtong.wire.directory import Hosted, Status
from zhengtong.wire.errors import WireError
from zhengtong.wire.joining import MAX_REQUEST, new_token, read_answer, read_request

OFFICE = Hosted(UUID(int=7), "411622", "西华县人民政府", "西华县", "county")


def test_two_people_let_a_node_in(house: House) -> None:
    xihua = Applicant(organisations=(OFFICE,))
    made, token = house.invite()
    request = xihua.request(token)
    assert knock(request.signed)[0] == 202
    joining.approve(house.first, made.pk)
    status, _, body = knock(request.signed)
    assert (status, json.loads(body)["approved"]) == (202, 1)
    assert not Neighbour.objects.exists()
    joining.approve(house.second, made.pk)

    status, _, body = knock(request.signed)
    assert status == 200
    answer = read_answer(body, read_request(request.signed))
    assert answer.card.keys == own_card().keys
    assert node_of(answer.certificate, answer.authority, moment.now()) == "xihua"
    held = directory.read(answer.directory, {answer.card.signing_kid: answer.card}.get)
    entry = held.entry_of("xihua")
    assert entry and entry.status is Status.ACTIVE and entry.organisations == (OFFICE,)
    assert len(entry.certificate) == 32
    assert card_of(Neighbour.objects.get()).keys == xihua.card.keys
    assert Organisation.objects.get(pk=OFFICE.id).node == "xihua"
    assert knock(request.signed)[2] == body, "a lost answer is given again"


def test_the_same_person_does_not_count_twice(house: House) -> None:
    made, token = house.invite()
    Applicant().knock(token)
    joining.approve(house.first, made.pk)
    with pytest.raises(Refused, match="另一名管理员"):
        joining.approve(house.first, made.pk)
    assert not Neighbour.objects.exists()


def test_the_node_itself_approves_nothing(house: House) -> None:
    made, token = house.invite()
    Applicant().knock(token)
    with pytest.raises(Refused, match="本人"):
        joining.approve(node_actor({"membership.approve"}), made.pk)


def test_nobody_approves_before_there_is_a_request(house: House) -> None:
    made, _ = house.invite()
    with pytest.raises(Refused):
        joining.approve(house.first, made.pk)


def test_the_token_is_kept_nowhere(house: House) -> None:
    made, token = house.invite()
    xihua = Applicant()
    xihua.knock(token)
    row = Invitation.objects.values().get(pk=made.pk)
    assert all(token not in bytes(v) for v in row.values() if isinstance(v, (bytes, memoryview)))
    assert len(bytes(row["token"])) == 32


@pytest.mark.parametrize(
    ("applicant", "code"),
    [
        ({"name": "fugou"}, "wrong_node"),
        ({"zone": "inner"}, "wrong_zone"),
        ({"ceiling": 3}, "above_ceiling"),
    ],
)
def test_what_was_not_offered_is_not_given(
    house: House, applicant: dict[str, Any], code: str
) -> None:
    made, token = house.invite()
    assert Applicant(**applicant).knock(token)[:2] == (403, code)
    made.refresh_from_db()
    assert made.stage == "open"
    assert AuditEntry.objects.filter(verb="membership.join_requested", outcome="denied").exists()


def test_a_false_token_opens_nothing(house: House) -> None:
    house.invite()
    assert Applicant().knock(new_token())[:2] == (403, "unknown_token")


def test_a_token_expires(house: House) -> None:
    _, token = house.invite()
    with moment.fixed(moment.now() + timedelta(days=8)):
        assert Applicant().knock(token)[:2] == (403, "expired_token")


def test_a_token_is_good_for_one_request(house: House) -> None:
    made, token = house.invite()
    assert Applicant().knock(token)[0] == 202
    assert Applicant().knock(token)[:2] == (409, "used_token")
    joining.approve(house.first, made.pk)
    joining.approve(house.second, made.pk)
    assert Applicant().knock(token)[:2] == (409, "used_token")


def test_an_invitation_can_be_taken_back(house: House) -> None:
    made, token = house.invite()
    joining.withdraw(house.second, made.pk)
    assert Applicant().knock(token)[:2] == (403, "withdrawn")
    with pytest.raises(Refused):
        joining.withdraw(house.second, made.pk)
    assert house.invite()[0].stage == "open", "and given anew"


def test_a_refused_applicant_is_told_why(house: House) -> None:
    made, token = house.invite()
    request = Applicant().request(token)
    knock(request.signed)
    with pytest.raises(Invalid):
        joining.refuse(house.second, made.pk, reason=" ")
    joining.refuse(house.second, made.pk, reason="指纹不符")
    status, code, body = knock(request.signed)
    assert (status, code) == (403, "refused")
    assert "指纹不符" in json.loads(body)["text"]


@pytest.mark.parametrize(
    "given",
    [
        {"node": "X"},
        {"node": "test"},
        {"node": ""},
        {"title": " "},
        {"title": "长" * 81},
        {"zone": "space"},
        {"ceiling": 3},
        {"ceiling": -1},
        {"zone": "public", "ceiling": 1},
        {"life": timedelta(days=31)},
        {"life": timedelta(0)},
    ],
    ids=str,
)
def test_an_invitation_makes_sense(house: House, given: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        house.invite(**given)
    assert len(refused.value.fields) == 1


def test_one_invitation_at_a_time_and_no_name_twice(house: House) -> None:
    house.invite()
    with pytest.raises(Invalid, match="没有办结"):
        house.invite()
    house.admit(Applicant("fugou", url="https://fugou.example"))
    standing.expel(house.first, "fugou", reason="撤并")
    with pytest.raises(Invalid, match="用过"):
        house.invite("fugou")


def test_an_organisation_is_not_taken_from_another_node(house: House) -> None:
    ours = Organisation.objects.get(node=settings.NODE.name)
    stolen = Hosted(ours.pk, "411699", "冒名机关", "冒名", "county")
    doubled = Hosted(UUID(int=9), ours.code, "冒名机关", "冒名", "county")
    strange = Hosted(UUID(int=9), "411699", "冒名机关", "冒名", "empire")
    _, token = house.invite()
    for listed in (stolen, doubled, strange):
        answer = Applicant(organisations=(listed,)).knock(token)
        assert answer[:2] == (409, "organisation")
    assert Organisation.objects.get(pk=ours.pk).name == ours.name


def test_a_certificate_request_of_another_node_is_refused(house: House) -> None:
    _, token = house.invite()
    xihua = Applicant()
    xihua.csr = Applicant("fugou").csr
    assert xihua.knock(token)[:2] == (400, "certificate")


def test_a_node_may_join_without_a_certificate(house: House) -> None:
    house.admit(Applicant(certify=False))
    assert Member.objects.get().certificate == ""
    assert [item.days_left for item in queries.members()] == [None]


def test_rubbish_at_the_door_is_refused_and_slowed_down(house: House) -> None:
    assert knock(bytes(MAX_REQUEST + 1))[:2] == (413, "oversized")
    for _ in range(queries.TRIES_PER_ADDRESS - 1):
        assert knock(b"rubbish")[:2] == (400, "malformed")
    _, token = house.invite()
    assert Applicant().knock(token)[:2] == (429, "too_many")
    with moment.fixed(moment.now() + timedelta(minutes=16)):
        assert Applicant().knock(token)[0] == 202
        knock(b"rubbish")
        assert JoinAttempt.objects.count() == 1, "what is out of date is forgotten"


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    with pytest.raises(WireError):
        read_request(data)


def test_every_step_is_in_the_audit_log(house: House) -> None:
    house.admit(Applicant())
    verbs = AuditEntry.objects.filter(verb__startswith="membership.").order_by("pk")
    assert list(verbs.values_list("verb", "actor_name")) == [
        ("membership.invite", "李明禾"),
        ("membership.join_requested", settings.NODE.title),
        ("membership.approve", "李明禾"),
        ("membership.approve", "王远岑"),
    ]


def test_without_the_duty_nobody_invites_or_approves(house: House) -> None:
    made, token = house.invite()
    Applicant().knock(token)
    clerk = build.person(Organisation.objects.get(), ["links.read"])
    with pytest.raises(Denied):
        joining.approve(clerk, made.pk)


def test_the_others_hear_of_it(house: House) -> None:
    house.admit(Applicant("fugou", url="https://fugou.example"))
    before = Letter.objects.count()
    house.admit(Applicant())
    told = Letter.objects.order_by("pk")[before:]
    assert {item.neighbour.name for item in told} == {"fugou", "xihua"}
    assert {item.message.kind for item in told} == {"membership.directory_issued"}


def test_a_node_in_the_public_zone_hears_nothing_of_the_others(house: House) -> None:
    made, token = house.invite("portal", zone="public", ceiling=0)
    portal = Applicant("portal", zone="public", ceiling=0)
    request = portal.request(token)
    knock(request.signed)
    joining.approve(house.first, made.pk)
    joining.approve(house.second, made.pk)
    assert read_answer(knock(request.signed)[2], request).directory == b""
    house.admit(Applicant())
    assert not Letter.objects.filter(neighbour__name="portal").exists()
