"""This node's keys and card, and the cards of those it exchanges with."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from django.conf import settings

from zhengtong.kernel import moment
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys

FILE = "node.pem"


def create_keys(folder: Path, name: str, suite: str = "intl") -> NodeKeys:
    """Make the node's key file, readable by its owner only. Never overwrites one."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = NodeKeys.generate(name, suite)
    handle = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(keys.to_pem())
    return keys


@cache
def own_keys() -> NodeKeys:
    """The keys of this node. Raises FileNotFoundError before `zhengtong init`."""
    return NodeKeys.from_pem((settings.NODE.keys / FILE).read_bytes())


@cache
def own_card() -> NodeCard:
    node = settings.NODE
    return NodeCard.issue(
        own_keys(),
        title=node.title,
        zone=node.zone.value,
        ceiling=int(node.ceiling),
        url=node.url,
        issued_at=moment.now(),
    )


def admit(card: NodeCard, *, is_parent: bool = False) -> Neighbour:
    """Take a node's card into the list of neighbours, or replace its older card."""
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
    return neighbour


_cards: dict[bytes, NodeCard] = {}


def card_of(neighbour: Neighbour) -> NodeCard:
    """The verified card of a neighbour; verifying once per process and card is enough."""
    raw = bytes(neighbour.card)
    if raw not in _cards:
        _cards[raw] = NodeCard.from_cbor(raw)
    return _cards[raw]


def finder(*neighbours: Neighbour) -> FindCard:
    """Look up these neighbours' cards by key id, so that nobody else's signature is accepted."""
    cards = {card_of(item).signing_kid: card_of(item) for item in neighbours}
    return cards.get
