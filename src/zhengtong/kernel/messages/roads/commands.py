"""What people may do with voyages, and what the node notes of them: each step is audited.

Loading and unloading take long, so no command does it: one orders it, another notes its end, and
what lies between (ferry.py) can be interrupted at any moment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Max

from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.errors import AboveCeiling, NotFound, Refused
from zhengtong.kernel.labels import Level, may_enter
from zhengtong.kernel.messages.exchange import rewind, to_say
from zhengtong.kernel.messages.models import Arrival, Letter, Neighbour
from zhengtong.kernel.messages.roads import places
from zhengtong.kernel.messages.roads.links import note_parent_road
from zhengtong.kernel.messages.roads.models import State, Voyage
from zhengtong.wire.errors import Refusal
from zhengtong.wire.ferry import ID, MAX_VOLUME, MIN_VOLUME, Head, fingerprint
from zhengtong.wire.ferry import Voyage as Statement

MEGABYTE = 10**6
"""As discs and sticks are sold."""


ROAD = "ferry"


@command("ferry.export", title="制作摆渡光盘")
def export(act: Act, node: str, *, limit: int, folder: str = "") -> Voyage:
    """Order a voyage for a neighbour, on volumes of at most `limit` bytes.

    `folder` is where its files go; without one they are kept on this node for download. A making
    at the console that died is given up, and what it held is loaded again.
    Raises NotFound, Refused, AboveCeiling.
    """
    neighbour = _by_ferry(node)
    if neighbour.suspended:
        raise Refused(f"“{neighbour.title}”已停用，不能向它摆渡。")
    if not MIN_VOLUME <= limit <= MAX_VOLUME:
        raise Refused(
            f"每卷容量须在 {-(-MIN_VOLUME // MEGABYTE)} MB 到 {MAX_VOLUME // MEGABYTE} MB 之间。"
        )
    voyages = Voyage.objects.filter(neighbour=neighbour, leaving=True)
    for unfinished in voyages.filter(state=State.MAKING):
        # Without a folder it is the worker's, which also begins anew what it was torn from.
        if not (unfinished.folder and places.is_idle(neighbour)):
            raise Refused(
                f"正在为“{neighbour.title}”制作第 {unfinished.number} 航次。"
                "请等它完成，或先将它作废。"
            )
        _lose(unfinished, "制作中断，其中的信件已装入下一航次。")
    last = voyages.aggregate(last=Max("number"))["last"] or 0
    if last and not _has_something_to_say(neighbour):
        raise nothing_for(neighbour)
    made = Voyage.objects.create(
        neighbour=neighbour,
        leaving=True,
        voyage=os.urandom(ID).hex(),
        number=last + 1,
        state=State.MAKING,
        limit=limit,
        folder=folder,
        by=act.actor.name,
        at=act.now,
    )
    act.note(voyage=made.name, to=neighbour.name, limit=limit)
    return made


def _by_ferry(node: str) -> Neighbour:
    """A neighbour that no line leads to, under lock. Raises NotFound, Refused."""
    note_parent_road()
    neighbour = locked_for_update(Neighbour.objects.filter(name=node)).first()
    if neighbour is None:
        raise NotFound(f"没有相邻节点“{node}”。请核对名称。")
    if neighbour.road != ROAD:
        raise Refused(f"“{neighbour.title}”走的是网络线路。要改走摆渡，请先由管理员改变线路。")
    return neighbour


def _has_something_to_say(neighbour: Neighbour) -> bool:
    waiting = Letter.objects.filter(neighbour=neighbour, waiting=True)
    return bool(to_say(neighbour.name)) or waiting.exists()


def nothing_for(neighbour: Neighbour) -> Refused:
    return Refused(f"没有要送往“{neighbour.title}”的信件和回执，不必制作。")


def _lose(voyage: Voyage, why: str) -> None:
    voyage.state, voyage.problem = State.LOST, why
    voyage.save(update_fields=["state", "problem"])
    rewind(voyage.neighbour.name)


@command("ferry.lose", title="作废摆渡航次")
def lose(act: Act, voyage: int, why: str) -> Voyage:
    """Give a voyage up: its disc is lost or damaged. All it carried is loaded again next time.

    Should the disc turn up after all, importing it does no harm. Raises NotFound, Refused.
    """
    found = must_find(locked_for_update(Voyage.objects.filter(leaving=True)), pk=voyage)
    if found.state not in (State.MAKING, State.MADE):
        raise Refused(f"这一航次{State(found.state).label}，不能作废。")
    _lose(found, why[:500])
    act.note(voyage=found.name, to=found.neighbour.name)
    return found


@command("ferry.made", title="摆渡光盘制成")
def made(
    act: Act,
    voyage: int,
    *,
    statement: Statement,
    cargo: Mapping[str, Sequence[int]],
    marks: Mapping[str, int],
    withheld: Sequence[int],
) -> Voyage:
    """Note what was loaded, once the volumes are safely written.

    Of the letters `withheld` only the hashes are aboard, because their level is too high to go.
    """
    found = must_find(locked_for_update(Voyage.objects.filter(state=State.MAKING)), pk=voyage)
    found.state, found.ended_at = State.MADE, act.now
    found.volumes, found.level = extents(statement), statement.level
    found.size = found.done = sum(extent.size for extent in statement.volumes)
    found.letters = sum(letters for letters, _ in cargo.values())
    found.cargo, found.marks = dict(cargo), dict(marks)
    found.notes = [[number, Refusal.WITHHELD, ""] for number in withheld[:100]]
    found.save()
    act.note(
        voyage=found.name,
        to=found.neighbour.name,
        level=found.level,
        letters=found.letters,
        withheld=len(withheld),
        volumes=[name for _, _, name in found.volumes],
    )
    return found


def extents(statement: Statement) -> list[list[Any]]:
    """The volumes as the log keeps them."""
    return [[item.size, item.batches, fingerprint(item.digest)] for item in statement.volumes]


@command("ferry.import", title="导入摆渡光盘")
def bring(act: Act, head: Head) -> Voyage:
    """Note that a volume has come, and open the log for its voyage if it is the first.

    `head` is verified. What has been imported may come again. Raises Refused, AboveCeiling.
    """
    said = head.voyage
    neighbour = _by_ferry(said.sender)
    if neighbour.suspended:
        raise Refused(f"“{neighbour.title}”已停用，不能导入它的光盘。")
    if not may_enter(said.level, min(neighbour.ceiling, act.actor.ceiling)):
        raise AboveCeiling(f"光盘密级为“{Level(said.level).word}”，高于本节点允许的最高密级。")
    newest = Arrival.objects.filter(neighbour=neighbour).aggregate(last=Max("pk"))["last"] or 0
    found, _ = Voyage.objects.get_or_create(
        neighbour=neighbour,
        leaving=False,
        voyage=said.id.hex(),
        defaults={
            "number": said.number,
            "state": State.ARRIVING,
            "level": said.level,
            "volumes": extents(said),
            "size": sum(extent.size for extent in said.volumes),
            "marks": {"before": newest},
            "by": act.actor.name,
            "at": act.now,
        },
    )
    if (found.number, found.volumes) != (said.number, extents(said)):
        raise Refused(
            f"第 {head.volume} 卷自称属于第 {said.number} 航次，但与已收到的各卷对不上，未导入。"
            f"请与“{neighbour.title}”电话核对指纹 {head.fingerprint}。"
        )
    if found.problem:
        found.problem = ""
        found.save(update_fields=["problem"])
    act.note(voyage=found.name, of=neighbour.name, volume=head.volume, key=head.fingerprint)
    return found


@command("ferry.imported", title="摆渡光盘导入完成")
def imported(act: Act, voyage: int) -> Voyage:
    """Note that a whole voyage has been taken in, and what of it was refused."""
    found = must_find(locked_for_update(Voyage.objects.filter(state=State.ARRIVING)), pk=voyage)
    arrived = Arrival.objects.filter(neighbour=found.neighbour, pk__gt=found.marks["before"])
    refused = arrived.exclude(refusal="").order_by("pk")
    found.state, found.ended_at, found.done = State.IMPORTED, act.now, found.size
    found.letters, found.problem = arrived.count(), ""
    found.notes += [[item.sequence, item.refusal, item.refusal_detail] for item in refused[:100]]
    found.save()
    others = Voyage.objects.filter(neighbour=found.neighbour, state=State.ARRIVING)
    others.update(problem="")  # what waited for this one may go on
    act.note(
        voyage=found.name, of=found.neighbour.name, letters=found.letters, refused=refused.count()
    )
    return found
