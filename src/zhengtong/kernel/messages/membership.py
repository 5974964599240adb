"""Who this node exchanges with: admitting a neighbour is a command like any other."""

from __future__ import annotations

from datetime import datetime

from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.labels import Zone
from zhengtong.kernel.membership.models import FormerCard
from zhengtong.kernel.messages.models import Neighbour, Route
from zhengtong.wire.keys import NodeCard
from zhengtong.wire.standing import NO_EPOCH


@command("messages.admit", title="接纳节点")
def admit(act: Act, card: NodeCard, *, is_parent: bool = False) -> Neighbour:
    """Take a verified card into the list of neighbours, or replace its older card."""
    return take_card(act, card, is_parent=is_parent)


def take_card(
    act: Act, card: NodeCard, *, is_parent: bool, former_until: datetime | None = None
) -> Neighbour:
    """The part of a command that makes a card the neighbour's.

    A card with other keys is kept as a former one; its signatures are taken until `former_until`,
    by default no longer. Then what we know of its log is forgotten: the neighbour may have been
    restored to before an epoch that only the former key could prove to it, and nothing of that can
    reach us any more. Raises Refused for an unknown zone.
    """
    if card.zone not in {zone.value for zone in Zone}:
        raise Refused(f"节点 {card.node} 的名片写着未知的网络区域“{card.zone}”。")
    known = Neighbour.objects.filter(name=card.node).first()
    forgotten: dict[str, object] = {}
    if known and known.card and NodeCard.from_cbor(bytes(known.card)).keys != card.keys:
        FormerCard.objects.create(
            node=card.node,
            card=known.card,
            replaced_at=act.now,
            accepted_until=former_until or act.now,
        )
        if former_until is None:
            forgotten = {"log_epoch": NO_EPOCH, "log_at": None, "log_roots": b""}
    neighbour, _ = Neighbour.objects.update_or_create(
        name=card.node,
        defaults={
            "title": card.title,
            "zone": card.zone,
            "ceiling": card.ceiling,
            "card": card.to_cbor(),
            "is_parent": is_parent,
            **forgotten,
        },
    )
    act.note(node=card.node, key=card.signing_kid.hex())
    return neighbour


@command("messages.route", title="登记转送路径")
def route(act: Act, card: NodeCard, *, through: str) -> Route:
    """Let letters for a node that is no neighbour leave by the neighbour `through`."""
    neighbour = must_find(Neighbour.objects.all(), name=through)
    if Neighbour.objects.filter(name=card.node).exists():
        raise Refused(f"“{card.title}”与本节点直接相连，不必转送。")
    made, _ = Route.objects.update_or_create(
        name=card.node,
        defaults={
            "title": card.title,
            "zone": card.zone,
            "ceiling": card.ceiling,
            "card": card.to_cbor(),
            "neighbour": neighbour,
        },
    )
    act.note(node=card.node, through=through, key=card.signing_kid.hex())
    return made
