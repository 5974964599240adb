"""Which neighbours are reached by which road, and how a road notes what has gone wrong."""

from __future__ import annotations

from contextlib import suppress

from django.conf import settings
from django.db.models import F, Q

from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.engine import locked_for_update, storable
from zhengtong.kernel.errors import Invalid, NotFound
from zhengtong.kernel.messages.exchange import rewind
from zhengtong.kernel.messages.models import LinkLane, Neighbour
from zhengtong.kernel.node import ROADS


@command("messages.choose_road", title="选择节点间传输方式")
def choose_road(act: Act, name: str, road: str) -> Neighbour:
    """Let batches for a neighbour below take this road from now on; it must take the same.

    The link forgets nothing: what was handed to the old road and has no receipt is offered again.
    """
    if road not in ROADS:
        raise Invalid({"road": f"没有“{road}”这种传输方式，可选：{'、'.join(ROADS)}。"})
    neighbour = locked_for_update(Neighbour.objects.filter(name=name)).first()
    if neighbour is None:
        raise NotFound(f"没有相邻节点“{name}”。请核对名称。")
    neighbour.road = road
    neighbour.save(update_fields=["road"])
    rewind(name)
    act.note(node=name, road=road)
    return neighbour


def on_road(road: str) -> list[str]:
    """The names of the neighbours reached by this road. For the parent, node.toml decides."""
    note_parent_road()
    return list(Neighbour.objects.filter(road=road).order_by("name").values_list("name", flat=True))


def is_open(name: str) -> bool:
    """Whether we may say anything to a neighbour; what a suspended one says is still refused."""
    return Neighbour.objects.filter(name=name, suspended=False).exists()


def unreceipted(name: str) -> bool:
    """Whether letters for a neighbour have numbers but no receipts yet."""
    return LinkLane.objects.filter(neighbour__name=name, sealed__gt=F("receipted")).exists()


def knocking(name: str) -> set[int]:
    """The lanes in which a neighbour must answer before there is anything more to say.

    The two have never met, or we were restored from a backup and not heard since.
    """
    lanes = LinkLane.objects.filter(neighbour__name=name)
    unheard = lanes.filter(Q(neighbour__last_contact=None) | Q(heard__lt=0))
    return set(unheard.values_list("lane", flat=True))


def note_parent_road() -> None:
    """Let the table say of the parent what node.toml says, before a road is used or shown."""
    if parent := settings.NODE.parent:
        chosen = Neighbour.objects.filter(name=parent.name).exclude(road=parent.road)
        if chosen.update(road=parent.road):
            rewind(parent.name)


def note_failure(name: str, failures: int, reason: str) -> None:
    """Show on the page of links that the road to a neighbour fails. Never raises."""
    with suppress(Exception):
        Neighbour.objects.filter(name=name).update(
            failures=failures, last_error=storable(reason, 200)
        )
