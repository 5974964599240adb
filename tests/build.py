"""Builders: small cities made through the same commands that people use."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from zhengtong.capabilities.documents.domain.drafting import Draft
from zhengtong.kernel import files
from zhengtong.kernel.directory import commands as directory
from zhengtong.kernel.directory.actors import Actor, node_actor, person_actor
from zhengtong.kernel.directory.models import Organisation, Person
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages import reactions, timers

PASSWORD = "test-password"

CLERK = (
    "documents.draft documents.revise documents.submit documents.drop documents.dispatch "
    "documents.remind documents.recall documents.resend_to documents.answer_recall "
    "documents.sign_for documents.register documents.return documents.read documents.close "
    "documents.offer documents.export_evidence"
).split()
LEADER = (
    "documents.review documents.countersign documents.issue documents.instruct documents.read"
).split()


def administrator() -> Actor:
    """Who sets a node up: the node with the directory's duties."""
    return node_actor(directory.DUTIES)


def organisation(name: str = "周口市人民政府办公室", **given: Any) -> Organisation:
    """An organisation on this node, with a symbol so that it can number documents."""
    number = Organisation.objects.count() + 1
    values: dict[str, Any] = {
        "code": f"4116{number:02}",
        "name": name,
        "short_name": name.removeprefix("周口市"),
        "kind": "city",
        "node": settings.NODE.name,
        "rank": number,
        "symbol": f"周政办{number}" if number > 1 else "周政办",
    }
    return directory.add_organisation(administrator(), **(values | given))


def person(
    where: Organisation,
    duties: Iterable[str] = (),
    *,
    name: str = "李明禾",
    clearance: Level = Level.INTERNAL,
) -> Actor:
    """Somebody with these duties in a post of this organisation, as an actor."""
    number = Person.objects.count() + 1
    someone = directory.add_person(
        administrator(),
        sign_in_name=f"user{number}",
        name=name,
        password=PASSWORD,
        clearance=clearance,
    )
    post = directory.add_post(administrator(), where, "工作人员", duties)
    directory.appoint(administrator(), someone, post)
    return person_actor(someone)


@dataclass
class Office:
    """An organisation with a clerk and a leader."""

    organisation: Organisation
    clerk: Actor
    leader: Actor


def office(name: str = "周口市人民政府办公室", **given: Any) -> Office:
    where = organisation(name, **given)
    return Office(
        where,
        person(where, CLERK, name="李明禾"),
        person(where, LEADER, name="王远岑"),
    )


def draft(to: Iterable[Organisation], **given: Any) -> Draft:
    """A notice that could be sent as it stands."""
    values: dict[str, Any] = {
        "document_kind": "通知",
        "title": "关于做好汛期防汛准备工作的通知",
        "body": "各单位：\n一、提高认识。切实做好防汛准备。\n二、落实责任。\n特此通知。",
        "urgency": 0,
        "level": Level.INTERNAL,
        "addressees": tuple(item.pk for item in to),
    }
    return Draft(**(values | given))


def settle() -> None:
    """Let the node do all that follows from what has happened: timers, then reactions."""
    while timers.ring_due() or reactions.work():
        pass


def upload(data: bytes, name: str) -> Any:
    """A file as an upload brings it."""
    return files.store(io.BytesIO(data), name), name
