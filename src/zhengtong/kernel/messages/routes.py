"""The hop table: by which neighbour a letter for a node leaves, and whose letters one may bring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zhengtong.kernel.messages.identity import card_of, finder, recovery_of
from zhengtong.kernel.messages.models import Neighbour, Route
from zhengtong.wire.keys import FindCard, NodeCard


@dataclass(frozen=True, slots=True)
class Way:
    """A node that letters can be sent to, and the neighbour by which they leave: itself, or a hop.

    A letter may be above neither the node's ceiling nor the neighbour's.
    """

    node: Neighbour | Route
    neighbour: Neighbour

    @property
    def destination(self) -> str:
        return self.node.name

    @property
    def ceiling(self) -> int:
        return min(self.node.ceiling, self.neighbour.ceiling)

    @property
    def card(self) -> NodeCard:
        return card_of(self.node)

    @property
    def recovery(self) -> NodeCard | None:
        """The card of its recovery key, for which letters are sealed as well."""
        return recovery_of(self.node) if isinstance(self.node, Neighbour) else None


def ways_to(names: Iterable[str]) -> dict[str, Way]:
    """The ways to these nodes, as far as they are known, by name."""
    wanted = set(names)
    if not wanted:
        return {}
    neighbours = Neighbour.objects.filter(name__in=wanted, expelled=False)
    found = {item.name: way_to(item) for item in neighbours}
    if left := wanted - set(found):
        known = Route.objects.filter(name__in=left, neighbour__expelled=False)
        routes = known.select_related("neighbour")
        found |= {route.name: Way(route, route.neighbour) for route in routes}
    return found


def way_to(neighbour: Neighbour) -> Way:
    """The way to a neighbour itself."""
    return Way(neighbour, neighbour)


def nodes_named(names: Iterable[str]) -> list[Neighbour | Route]:
    """What we know of these nodes, as far as we know them, by name."""
    wanted = set(names)
    found: list[Neighbour | Route] = [*Route.objects.filter(name__in=wanted)]
    found += Neighbour.objects.filter(name__in=wanted)
    return sorted(found, key=lambda item: item.name)


def brought_by(neighbour: Neighbour, *former: NodeCard) -> FindCard:
    """Looks up the cards of the nodes whose letters this neighbour may bring, by signing key.

    `former`: cards that the neighbour itself had before, whose signatures still hold.
    """
    own = {card.signing_kid: card for card in (*former, card_of(neighbour))}
    return (_by_key(neighbour.routes.all()) | own).get


def anyone() -> FindCard:
    """Looks up every card of the hop table and of the neighbours."""
    near, further = finder(*Neighbour.objects.all()), _by_key(Route.objects.all())
    return lambda kid: near(kid) or further.get(kid)


def _by_key(routes: Iterable[Route]) -> dict[bytes, NodeCard]:
    cards = [card_of(route) for route in routes]
    return {card.signing_kid: card for card in cards}
