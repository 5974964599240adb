"""Changing the directory. Renaming keeps history; nobody is ever deleted, only ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from uuid import UUID

from django.contrib.auth.hashers import make_password

from zhengtong.kernel import moment
from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.directory.models import (
    Appointment,
    Division,
    Organisation,
    OrganisationVersion,
    Person,
    Post,
    PostDuty,
)
from zhengtong.kernel.errors import Invalid, Refused
from zhengtong.kernel.labels import Level

MIN_PASSWORD = 10
DUTIES = (
    "directory.add_organisation",
    "directory.rename",
    "directory.add_person",
    "directory.add_post",
    "directory.appoint",
    "directory.end_appointment",
    "directory.set_password",
)


@command("directory.add_organisation", title="登记机关")
def add_organisation(
    act: Act,
    *,
    code: str,
    name: str,
    short_name: str,
    kind: str,
    node: str,
    parent: Organisation | None = None,
    rank: int = 0,
    symbol: str = "",
    mark: str = "",
    valid_from: date = date(1949, 10, 1),
    id: UUID | None = None,
) -> Organisation:
    """Add an organisation to the tree. `id` is given when another node made it known first."""
    if Organisation.objects.filter(code=code).exists():
        raise Invalid({"code": f"代码 {code} 已被另一个机关使用。"})
    organisation = Organisation(
        code=code,
        name=name,
        short_name=short_name,
        kind=kind,
        node=node,
        parent=parent,
        rank=rank,
        symbol=symbol,
        mark=mark,
        valid_from=valid_from,
    )
    if id is not None:
        organisation.id = id
    organisation.save(force_insert=True)
    OrganisationVersion.objects.create(
        organisation=organisation, code=code, name=name, parent=parent, valid_from=valid_from
    )
    act.note(organisation=organisation.urn, code=code)
    return organisation


@command("directory.rename", title="机关更名或改码")
def rename(
    act: Act,
    organisation: Organisation,
    *,
    on: date,
    code: str | None = None,
    name: str | None = None,
    short_name: str | None = None,
    parent: Organisation | None = None,
) -> Organisation:
    """Give an organisation a new name, code or parent from a day on; the past stays as it was.

    The day cannot lie ahead, because the organisation's row is its present.
    """
    present = OrganisationVersion.objects.get(organisation=organisation, valid_to=None)
    if on <= present.valid_from:
        raise Invalid({"on": f"生效日期应晚于 {present.valid_from:%Y-%m-%d}。"})
    if on > moment.today():
        raise Invalid({"on": "生效日期不能晚于今天，请在生效当日办理。"})
    if Organisation.objects.filter(code=code).exclude(pk=organisation.pk).exists():
        raise Invalid({"code": f"代码 {code} 已被另一个机关使用。"})
    present.valid_to = on
    present.save(update_fields=["valid_to"])
    organisation.code = code or organisation.code
    organisation.name = name or organisation.name
    organisation.short_name = short_name or organisation.short_name
    organisation.parent = parent or organisation.parent
    organisation.valid_from = on
    organisation.save()
    OrganisationVersion.objects.create(
        organisation=organisation,
        code=organisation.code,
        name=organisation.name,
        parent=organisation.parent,
        valid_from=on,
    )
    act.note(organisation=organisation.urn, code=organisation.code)
    return organisation


def as_of(day: date, *, code: str) -> OrganisationVersion | None:
    """Which organisation bore this code on that day, and what it was called then."""
    return (
        OrganisationVersion.objects.filter(code=code, valid_from__lte=day)
        .exclude(valid_to__lte=day)
        .select_related("organisation")
        .first()
    )


@command("directory.add_post", title="设置岗位")
def add_post(
    act: Act,
    organisation: Organisation,
    title: str,
    duties: Iterable[str],
    *,
    division: str = "",
) -> Post:
    """A post with its duties, in a division that is made if it is new."""
    where = None
    if division:
        where, _ = Division.objects.get_or_create(organisation=organisation, name=division)
    post = Post.objects.create(organisation=organisation, title=title, division=where)
    PostDuty.objects.bulk_create([PostDuty(post=post, duty=duty) for duty in sorted(set(duties))])
    act.note(post=str(post.pk), organisation=organisation.urn)
    return post


@command("directory.add_person", title="登记人员")
def add_person(
    act: Act,
    *,
    sign_in_name: str,
    name: str,
    password: str,
    clearance: Level = Level.INTERNAL,
    hashed: str = "",
) -> Person:
    """A person who can sign in. What they may do comes from the posts they are appointed to.

    `hashed` is the password's hash where many people share one, as in a demo or an import.
    """
    if Person.objects.filter(sign_in_name=sign_in_name).exists():
        raise Invalid({"sign_in_name": f"用户名 {sign_in_name} 已被使用。"})
    _check_password(password)
    person = Person.objects.create(
        sign_in_name=sign_in_name,
        name=name,
        clearance=min(clearance, act.actor.ceiling),
        password=hashed or make_password(password),
    )
    act.note(person=str(person.pk))
    return person


@command("directory.appoint", title="任职")
def appoint(act: Act, person: Person, post: Post, *, since: date | None = None) -> Appointment:
    """Put a person into a post from a day on."""
    appointment = Appointment.objects.create(
        person=person, post=post, since=since or moment.today()
    )
    act.note(person=str(person.pk), post=str(post.pk))
    return appointment


@command("directory.end_appointment", title="免职")
def end_appointment(act: Act, appointment: Appointment, *, until: date) -> Appointment:
    """Take a person out of a post from a day on; its duties end with it."""
    if until <= appointment.since:
        raise Refused("免职日期应晚于任职日期。")
    appointment.until = until
    appointment.save(update_fields=["until"])
    act.note(person=str(appointment.person_id), post=str(appointment.post_id))
    return appointment


@command("directory.set_password", title="重设口令")
def set_password(act: Act, person: Person, password: str) -> Person:
    """Give a person a new password."""
    _check_password(password)
    person.password = make_password(password)
    person.save(update_fields=["password"])
    act.note(person=str(person.pk))
    return person


def _check_password(password: str) -> None:
    if len(password) < MIN_PASSWORD:
        raise Invalid({"password": f"口令至少 {MIN_PASSWORD} 位。"})
