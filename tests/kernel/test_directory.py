"""The directory remembers what places were called, and gives duties through posts alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests import build
from zhengtong.kernel import moment
from zhengtong.kernel.directory import commands as directory
from zhengtong.kernel.directory.actors import Actor, hosted, people_with, person_actor
from zhengtong.kernel.directory.models import (
    Appointment,
    Organisation,
    OrganisationVersion,
    Person,
)
from zhengtong.kernel.errors import Denied, Invalid, Refused
from zhengtong.kernel.labels import Level

pytestmark = pytest.mark.django_db

# 国务院 2019-12 approved 周口市淮阳县 becoming 淮阳区: 411626 ended, 411603 began.
RECODED = date(2019, 12, 5)


@pytest.fixture
def huaiyang() -> Organisation:
    county = build.organisation("淮阳县人民政府", kind="county", code="411626", short_name="淮阳县")
    return directory.rename(
        build.administrator(),
        county,
        on=RECODED,
        code="411603",
        name="淮阳区人民政府",
        short_name="淮阳区",
    )


def test_a_place_that_was_recoded_is_one_place_with_two_codes(huaiyang: Organisation) -> None:
    last, first = RECODED - timedelta(days=1), RECODED
    before = directory.as_of(last, code="411626")
    after = directory.as_of(first, code="411603")
    assert before and after and before.organisation == after.organisation == huaiyang
    assert (before.name, after.name) == ("淮阳县人民政府", "淮阳区人民政府")
    assert directory.as_of(first, code="411626") is None
    assert directory.as_of(last, code="411603") is None
    assert directory.as_of(date(1949, 9, 30), code="411626") is None


def test_its_present_is_what_people_see(huaiyang: Organisation) -> None:
    now = Organisation.objects.get(pk=huaiyang.pk)
    assert (now.code, now.name, now.short_name) == ("411603", "淮阳区人民政府", "淮阳区")
    assert now.valid_from == RECODED


def test_every_day_has_exactly_one_version(huaiyang: Organisation) -> None:
    directory.rename(build.administrator(), huaiyang, on=date(2024, 1, 1), name="淮阳区政府")
    versions = list(OrganisationVersion.objects.filter(organisation=huaiyang))
    assert [version.name for version in versions] == [
        "淮阳县人民政府",
        "淮阳区人民政府",
        "淮阳区政府",
    ]
    for earlier, later in pairwise(versions):
        assert earlier.valid_to == later.valid_from
    assert versions[-1].valid_to is None


def test_a_code_that_became_free_may_name_another_place(huaiyang: Organisation) -> None:
    other = build.organisation("某新县", kind="county", code="411626", valid_from=date(2021, 1, 1))
    found = {
        day: directory.as_of(day, code="411626") for day in (date(2015, 1, 1), date(2022, 1, 1))
    }
    assert [item and item.organisation for item in found.values()] == [huaiyang, other]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"on": RECODED}, "on"),
        ({"on": RECODED - timedelta(days=400)}, "on"),
        ({"on": date(2999, 1, 1)}, "on"),
        ({"on": date(2024, 1, 1), "code": "411600"}, "code"),
    ],
)
def test_an_impossible_change_is_refused_by_field(
    huaiyang: Organisation, change: dict[str, Any], field: str
) -> None:
    build.organisation("周口市人民政府", code="411600")
    with pytest.raises(Invalid) as caught:
        directory.rename(build.administrator(), huaiyang, **change)
    assert set(caught.value.fields) == {field}
    assert OrganisationVersion.objects.filter(organisation=huaiyang).count() == 2


def test_a_code_is_given_once() -> None:
    build.organisation(code="411600")
    with pytest.raises(Invalid, match="代码 411600 已被另一个机关使用"):
        build.organisation("另一个", code="411600")


def test_the_node_hosts_what_lives_on_it() -> None:
    ours = build.organisation()
    build.organisation("太康县人民政府", kind="county", node="taikang")
    assert hosted() == (ours.pk,)


# ── duties ──

TODAY = date(2026, 7, 1)
NOON = datetime(2026, 7, 1, 4, tzinfo=UTC)


@pytest.fixture
def office() -> Organisation:
    return build.organisation()


def somebody(**given: Any) -> Person:
    values: dict[str, Any] = {"sign_in_name": "li", "name": "李明禾", "password": build.PASSWORD}
    return directory.add_person(build.administrator(), **(values | given))


def appoint(
    person: Person, where: Organisation, *duties: str, since: date = TODAY, title: str = "科员"
) -> Appointment:
    post = directory.add_post(build.administrator(), where, title, duties, division="办公室")
    return directory.appoint(build.administrator(), person, post, since=since)


def actor_on(person: Person, day: date) -> Actor:
    at = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    with moment.fixed(at):
        return person_actor(Person.objects.get(pk=person.pk))


def test_duties_come_with_the_post_and_go_with_it(office: Organisation) -> None:
    person = somebody()
    appointment = appoint(person, office, "documents.draft", "documents.read")
    assert actor_on(person, TODAY).duties == {"documents.draft", "documents.read"}
    assert actor_on(person, TODAY - timedelta(days=1)).duties == frozenset()
    directory.end_appointment(build.administrator(), appointment, until=date(2026, 8, 1))
    assert actor_on(person, date(2026, 7, 31)).has("documents.draft")
    ended = actor_on(person, date(2026, 8, 1))
    assert ended.duties == frozenset() and ended.organisations == ()
    assert ended.person == person.pk and not ended.anonymous


def test_who_has_lost_the_duty_is_refused(office: Organisation) -> None:
    person = somebody()
    appointment = appoint(person, office, *directory.DUTIES, since=date(2020, 1, 1))
    directory.add_post(person_actor(person), office, "新岗位", ())
    directory.end_appointment(build.administrator(), appointment, until=date(2021, 1, 1))
    with pytest.raises(Denied):
        directory.add_post(person_actor(person), office, "新岗位", ())


def test_posts_add_up_within_one_organisation_only(office: Organisation) -> None:
    other = build.organisation("周口市财政局", kind="department")
    person = somebody()
    appoint(person, office, "documents.draft", since=date(2020, 1, 1), title="科员")
    appoint(person, office, "documents.read", since=date(2021, 1, 1), title="保密员")
    appoint(person, other, "documents.issue", since=date(2022, 1, 1), title="局长")
    actor = actor_on(person, TODAY)
    assert actor.organisations == (office.pk,) and actor.organisation == office.pk
    assert actor.duties == {"documents.draft", "documents.read"}
    assert actor.title == "科员、保密员"


def test_nobody_acts_without_an_organisation(office: Organisation) -> None:
    with pytest.raises(LookupError, match="acts for no organisation"):
        _ = actor_on(somebody(), TODAY).organisation


def test_an_end_before_the_beginning_is_refused(office: Organisation) -> None:
    appointment = appoint(somebody(), office, "documents.draft")
    with pytest.raises(Refused, match="免职日期应晚于任职日期"):
        directory.end_appointment(build.administrator(), appointment, until=TODAY)


def test_the_holders_of_a_duty_are_found(office: Organisation) -> None:
    present, gone, away, disabled = (
        somebody(sign_in_name=name, name=name) for name in ("present", "gone", "away", "disabled")
    )
    other = build.organisation("周口市财政局", kind="department")
    for person, where in ((present, office), (gone, office), (away, other), (disabled, office)):
        appoint(person, where, "documents.sign_for", since=date(2020, 1, 1))
    # Held the duty once and another post now: the two must not be taken together.
    directory.end_appointment(
        build.administrator(), gone.appointments.get(), until=date(2021, 1, 1)
    )
    appoint(gone, office, "documents.read", since=date(2021, 1, 1))
    Person.objects.filter(pk=disabled.pk).update(active=False)
    with moment.fixed(NOON):
        assert people_with("documents.sign_for", [office.pk]) == [present]


def test_clearance_never_exceeds_the_nodes_ceiling() -> None:
    assert somebody(clearance=Level.CONFIDENTIAL).clearance == Level.WORK_SECRET


@pytest.mark.parametrize(
    ("given", "field"),
    [({"password": "short"}, "password"), ({"sign_in_name": "taken"}, "sign_in_name")],
)
def test_a_person_is_refused_by_field(given: dict[str, str], field: str) -> None:
    somebody(sign_in_name="taken")
    with pytest.raises(Invalid) as caught:
        somebody(**given)
    assert set(caught.value.fields) == {field}
    assert Person.objects.count() == 1


def test_divisions_are_made_once(office: Organisation) -> None:
    person = somebody()
    first, second = appoint(person, office, "a"), appoint(person, office, "b")
    assert first.post.division == second.post.division


def test_who_is_not_an_administrator_changes_nothing(office: Organisation) -> None:
    clerk = build.person(office, ("documents.draft",))
    with pytest.raises(Denied):
        directory.rename(clerk, office, on=TODAY, name="别的")
    with pytest.raises(Denied):
        directory.set_password(clerk, Person.objects.get(), "another-password")
