"""Telling: a command's facts become messages and letters inside its own transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from django.conf import settings

from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import AboveCeiling, Refused
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.labels import Level, may_enter
from zhengtong.kernel.messages import facts, pieces
from zhengtong.kernel.messages.models import Letter, Message
from zhengtong.kernel.messages.routes import Way, ways_to

if TYPE_CHECKING:
    from zhengtong.kernel.commands import Act
    from zhengtong.kernel.records import Record


class Lane(IntEnum):
    """Which letters go first on a link."""

    EMERGENCY = 0
    URGENT = 1
    NORMAL = 2
    BULK = 3


@dataclass(frozen=True, slots=True)
class Telling:
    """A fact, whom it is for, the record whose label it bears, and its lane."""

    fact: facts.Fact
    to: tuple[Any, ...]
    about: Record | None
    lane: Lane


def write(act: Act) -> None:
    """Store everything the act told: one message each, one letter for every other node."""
    made = act.records[0] if act.records else None
    for telling in act.telling:
        # What the command has made was not known to it as a record when it told.
        _write_one(act, replace(telling, about=telling.about or made))


def _write_one(act: Act, telling: Telling) -> None:
    organisations = [item for item in telling.to if isinstance(item, Organisation)]
    names = {item for item in telling.to if isinstance(item, str)}
    names |= {item.node for item in organisations}
    names.discard(settings.NODE.name)
    level = telling.about.level if telling.about else Level.PUBLIC
    ways = _ways(names, level, telling)
    message = Message.objects.create(
        id=new_id(),
        kind=telling.fact.kind,
        body=facts.encode(telling.fact),
        level=level,
        subject=telling.about.urn if telling.about else "",
        origin=settings.NODE.name,
        addressees=[str(item.pk) for item in organisations],
        at=act.now,
    )
    act.note(told=[*act.detail.get("told", ()), f"{telling.fact.kind} {message.pk}"])
    if not ways:
        return
    pieces.send_missing(telling.fact, level, ways, telling.lane, act.now)
    post(message, ways, telling.lane)


def post(message: Message, ways: Iterable[Way], lane: int) -> None:
    """Put one message on its way to each of these nodes."""
    Letter.objects.bulk_create(
        [
            Letter(message=message, neighbour=way.neighbour, destination=way.destination, lane=lane)
            for way in ways
        ]
    )


def _ways(names: set[str], level: int, telling: Telling) -> list[Way]:
    """How the letters leave; refuses an unknown node or one whose ceiling is too low."""
    found = ways_to(names)
    if missing := names - set(found):
        raise Refused(
            f"尚未与节点 {'、'.join(sorted(missing))} 建立连接，或该节点已被除名，无法送达。"
            "请联系管理员。"
        )
    for way in found.values():
        if not may_enter(level, way.ceiling):
            raise AboveCeiling(
                f"“{way.node.title}”最高只能接收“{Level(way.ceiling).word}”信息，"
                f"不能发送“{Level(level).word}”内容。"
            )
        if way.node.zone == "public" and not (telling.about and telling.about.open):
            raise AboveCeiling(f"“{way.node.title}”在外网，只能接收已批准公开的信息。")
    return list(found.values())
