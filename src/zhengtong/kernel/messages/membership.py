"""Who this node exchanges with: admitting a neighbour is a command like any other."""

from __future__ import annotations

from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.labels import Zone
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire.keys import NodeCard


@command("messages.admit", title="接纳节点")
def admit(act: Act, card: NodeCard, *, is_parent: bool = False) -> Neighbour:
    """Take a verified card into the list of neighbours, or replace its older card."""
    if card.zone not in {zone.value for zone in Zone}:
        raise Refused(f"节点 {card.node} 的名片写着未知的网络区域“{card.zone}”。")
    neighbour, _ = Neighbour.objects.update_or_create(
        name=card.node,
        defaults={
            "title": card.title,
            "zone": card.zone,
            "ceiling": card.ceiling,
            "card": card.to_cbor(),
            "is_parent": is_parent,
        },
    )
    act.note(node=card.node, key=card.signing_kid.hex())
    return neighbour
