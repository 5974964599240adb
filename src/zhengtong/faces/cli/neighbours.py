"""`zhengtong node card|admit|list`: two nodes that know each other by hand.

Each side prints its card, hands it over by a trusted way, and admits the other's. The way for
everyday use is invitation and approval: `joining`; what follows is `members`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhengtong.faces.cli import joining, members, roads
from zhengtong.faces.cli.start import CommandFailed, enter

if TYPE_CHECKING:
    from zhengtong.wire.keys import NodeCard


def add(words: Any) -> None:
    word = words.add_parser("node", help="this node's card, and the nodes it exchanges with")
    acts = word.add_subparsers(required=True, metavar="ACT")
    card = acts.add_parser("card", help="print this node's card, to be given to a neighbour")
    card.set_defaults(run=print_card)
    admit = acts.add_parser("admit", help="admit a neighbour by its card")
    admit.add_argument("card", type=Path, help="the file with the neighbour's card")
    admit.add_argument("--replace", action="store_true", help="the neighbour has new keys")
    admit.set_defaults(run=admit_card)
    way = acts.add_parser("route", help="let letters for a node leave by a neighbour")
    way.add_argument("card", type=Path, help="the file with that node's card")
    way.add_argument("--through", required=True, help="the neighbour's name")
    way.set_defaults(run=add_route)
    listing = acts.add_parser("list", help="the neighbours and the state of their links")
    listing.set_defaults(run=list_neighbours)
    joining.add(acts)
    members.add(acts)
    roads.add(acts)


def print_card(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from zhengtong.kernel.messages.identity import own_card

    print(json.dumps(own_card().to_json(), ensure_ascii=False, indent=2))
    return 0


def admit_card(chosen: argparse.Namespace) -> int:
    """Take a card into the list of neighbours.

    Refused: a tampered card, our own, an older one, and other keys unless told to replace them.
    """
    enter(chosen.node)
    from django.conf import settings

    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.messages.membership import admit

    card = _read_card(chosen.card)
    _check(card, replace=chosen.replace)
    parent = settings.NODE.parent
    admit(node_actor({"messages.admit"}), card, is_parent=bool(parent and parent.name == card.node))
    key = card.signing_kid.hex()
    print(f"✓ {card.node} ({card.title}), key {key}. Compare the key by telephone.")
    return 0


def _read_card(path: Path) -> NodeCard:
    from zhengtong.wire.errors import WireError
    from zhengtong.wire.keys import NodeCard

    try:
        return NodeCard.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CommandFailed(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandFailed(f"{path} is not a card: {error}") from error
    except WireError as error:
        raise CommandFailed(f"the card is refused: {error.en}") from error


def add_route(chosen: argparse.Namespace) -> int:
    """Write a node into the hop table. Compare its key by telephone, as for a neighbour."""
    enter(chosen.node)
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.messages.membership import route

    card = _read_card(chosen.card)
    try:
        route(node_actor({"messages.route"}), card, through=chosen.through)
    except HouseError as error:
        raise CommandFailed(error.message) from error
    print(f"✓ {card.node} ({card.title}) is reached through {chosen.through}")
    return 0


def _check(card: NodeCard, *, replace: bool) -> None:
    from zhengtong.kernel.messages.identity import card_of, own_keys
    from zhengtong.kernel.messages.models import Neighbour

    if card.node == own_keys().node:
        raise CommandFailed(f"{card.node} is this node itself. Give the neighbour's card.")
    known = Neighbour.objects.filter(name=card.node).first()
    if known is None:
        return
    before = card_of(known)
    if card.signing_kid != before.signing_kid and not replace:
        raise CommandFailed(
            f"{card.node} was admitted with another key, {before.signing_kid.hex()}. Ask there by "
            "telephone whether its keys are new; if so, repeat with --replace."
        )
    if card.issued_at < before.issued_at and not replace:
        raise CommandFailed(
            f"the card of {card.node} is older than the one admitted. Get its newest."
        )


def list_neighbours(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from django.db.models import F, Sum
    from django.db.models.functions import Coalesce

    from zhengtong.kernel.messages.models import Neighbour

    for link in Neighbour.objects.order_by("-is_parent", "name").annotate(
        open=Coalesce(Sum(F("lanes__sealed") - F("lanes__receipted")), 0),
        taken=Coalesce(Sum("lanes__received"), 0),
    ):
        seen = link.last_contact.isoformat(timespec="seconds") if link.last_contact else "never"
        print(
            f"{'↑' if link.is_parent else '↓'} {link.name:20} last contact {seen}, "
            f"unreceipted {link.open}, received {link.taken}"
            + (f", {link.failures} failures: {link.last_error}" if link.failures else "")
        )
    return 0
