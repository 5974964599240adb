"""This node's keys and card, and the cards of those it exchanges with."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from zhengtong.kernel import moment
from zhengtong.kernel.messages.credentials import Credentials
from zhengtong.kernel.messages.keyfile import read_keys
from zhengtong.kernel.messages.models import Neighbour, Route
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys


@cache
def own_keys() -> NodeKeys:
    """The keys of this node. Raises FileNotFoundError before `zhengtong init`."""
    return read_keys(settings.NODE.keys)


@cache
def own_credentials() -> Credentials:
    """What this node shows when it speaks TLS with another, and whom it believes."""
    return Credentials(settings.NODE.keys, moment.now)


@cache
def own_card() -> NodeCard:
    node = settings.NODE
    return NodeCard.issue(
        own_keys(),
        title=node.title,
        zone=node.zone.value,
        ceiling=int(node.ceiling),
        url=node.exchange_url,
        issued_at=moment.now(),
    )


_cards: dict[bytes, NodeCard] = {}


def card_of(node: Neighbour | Route) -> NodeCard:
    """The verified card of a known node; verifying once per process and card is enough."""
    raw = bytes(node.card)
    if raw not in _cards:
        _cards[raw] = NodeCard.from_cbor(raw)
    return _cards[raw]


def finder(*neighbours: Neighbour) -> FindCard:
    """Look up these neighbours' cards by key id, so that nobody else's signature is accepted."""
    cards = {card_of(item).signing_kid: card_of(item) for item in neighbours}
    return cards.get
