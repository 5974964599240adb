"""This node's keys and card, and the cards of those it exchanges with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from zhengtong.kernel import moment
from zhengtong.kernel.membership.models import FormerCard
from zhengtong.kernel.messages import keyfile
from zhengtong.kernel.messages.credentials import Credentials
from zhengtong.kernel.messages.models import Neighbour, Route
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys


def own_keys() -> NodeKeys:
    """The keys of this node, as they stand on disk: they change while processes run.

    Raises FileNotFoundError before `zhengtong init`.
    """
    folder = settings.NODE.keys
    return _keys(folder, keyfile.stamp(folder))


@lru_cache(maxsize=1)
def _keys(folder: Path, stamp: keyfile.Stamp) -> NodeKeys:
    return keyfile.read_keys(folder)


def own_credentials() -> Credentials:
    """What this node shows when it speaks TLS with another, and whom it believes."""
    return _credentials(settings.NODE.keys)


@lru_cache(maxsize=1)
def _credentials(folder: Path) -> Credentials:
    return Credentials(folder, moment.now)


def own_card() -> NodeCard:
    """The card of the keys in use."""
    return card_for(own_keys())


@lru_cache(maxsize=2)
def card_for(keys: NodeKeys) -> NodeCard:
    """This node's card for these keys of its own."""
    node = settings.NODE
    return NodeCard.issue(
        keys,
        title=node.title,
        zone=node.zone.value,
        ceiling=int(node.ceiling),
        url=node.exchange_url,
        issued_at=moment.now(),
    )


def former_cards(names: Iterable[str]) -> list[bytes]:
    """The cards that these nodes had before they changed keys, oldest first."""
    rows = FormerCard.objects.filter(node__in=list(names)).order_by("replaced_at")
    return [bytes(row.card) for row in rows]


def own_cards() -> list[NodeCard]:
    """Every card under which this node has signed, the present one last."""
    return [*map(_verified, former_cards([settings.NODE.name])), own_card()]


def card_of(node: Neighbour | Route) -> NodeCard:
    """The verified card of a known node."""
    return _verified(bytes(node.card))


def ceiling_of(neighbour: Neighbour) -> int:
    """The highest level that may go to a neighbour: by our directory and by its own card."""
    return min(neighbour.ceiling, card_of(neighbour).ceiling)


def recovery_of(neighbour: Neighbour) -> NodeCard | None:
    """The card of the neighbour's recovery key, for which its letters are sealed as well."""
    return _verified(bytes(neighbour.recovery)) if neighbour.recovery else None


def finder(*neighbours: Neighbour) -> FindCard:
    """Look up these neighbours' cards by key id, so that nobody else's signature is accepted.

    A neighbour that is changing its keys is known by the former one, too.
    """
    former = accepted_cards([item.name for item in neighbours])
    cards = [card for item in neighbours for card in (*former.get(item.name, ()), card_of(item))]
    return {card.signing_kid: card for card in cards}.get


def accepted_cards(names: Iterable[str] | None = None) -> dict[str, tuple[NodeCard, ...]]:
    """Cards that nodes had before, whose signatures are still taken: of these, or of all."""
    rows = FormerCard.objects.filter(accepted_until__gt=moment.now())
    found: dict[str, tuple[NodeCard, ...]] = {}
    for row in rows if names is None else rows.filter(node__in=list(names)):
        found[row.node] = (*found.get(row.node, ()), _verified(bytes(row.card)))
    return found


@lru_cache(maxsize=8192)
def _verified(raw: bytes) -> NodeCard:
    """Verifying once per process and card is enough."""
    return NodeCard.from_cbor(raw)
