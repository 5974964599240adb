"""The way that one letter of ours has taken: every node that has answered for it, by its receipt.

The neighbour receipts on the link; nodes further on have their receipts carried back. Each is
verified anew when it is looked at, so that nothing rests on what was once believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from zhengtong.kernel.messages.identity import card_of, former_cards, own_keys
from zhengtong.kernel.messages.models import CarriedReceipt, Receipt, Sent
from zhengtong.kernel.messages.routes import nodes_named
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import FindCard, NodeCard
from zhengtong.wire.receipts import Entry, Event, Receipts, place_of, single, verify_single
from zhengtong.wire.suite import Suite


@dataclass(frozen=True, slots=True)
class Hop:
    """A node on the way, and what it has signed.

    `event` and `at`, by its own clock, are None while it has not answered. `log` and `index` (from
    0) say which entry of which evidence log that is; `problem` why the receipt does not hold.
    """

    node: str
    title: str
    final: bool
    event: Event | None = None
    at: datetime | None = None
    log: str = ""
    index: int = 0
    problem: WireError | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A node's receipt in the standard's form, and the entry that it is for."""

    node: str
    entry: bytes
    receipt: bytes

    @property
    def handed_over_by(self) -> str:
        with suppress(WireError):
            return Entry.decode(self.entry).sender
        return ""


def hops_of(sent: Sent) -> list[Hop]:
    """The nodes on the way of a letter, in their order; the last is its destination."""
    kept = _in_order([*_of_the_neighbour(sent), *_carried(sent)])
    first, last = sent.neighbour.name, sent.letter.destination
    names = list(dict.fromkeys((first, *(item.node for item in kept), last)))
    names.sort(key=lambda name: name == last)
    known = nodes_named(names)
    titles = {row.name: row.title for row in known}
    cards = [card_of(row) for row in known if row.card]
    suites = {card.node: card.crypto for card in cards} | {settings.NODE.name: own_keys().suite}
    # What was signed before a node changed its keys stays signed.
    cards += map(NodeCard.from_cbor, former_cards(names))
    find = {card.signing_kid: card for card in cards}.get
    answers, hops = {item.node: item for item in kept}, list[Hop]()
    for name in names:
        hop = Hop(name, titles.get(name, name), name == last)
        hops.append(_judged(hop, answers[name], sent, suites, find) if name in answers else hop)
    return hops


def _of_the_neighbour(sent: Sent) -> Iterator[_Kept]:
    """Its newest receipt for this number: it may have been restored and have taken it again."""
    rows = Receipt.objects.filter(neighbour=sent.neighbour, lane=sent.lane)
    row = rows.filter(first__lte=sent.sequence, last__gte=sent.sequence).order_by("-pk").first()
    if row is None:
        return
    entry = receipt = b""
    with suppress(WireError):
        run, place = Receipts.decode(bytes(row.body)), sent.sequence - row.first
        entry, receipt = run.entries[place], single(run, place, card_of(sent.neighbour).crypto)
    yield _Kept(sent.neighbour.name, entry, receipt)


def _carried(sent: Sent) -> Iterator[_Kept]:
    for row in CarriedReceipt.objects.filter(sent=sent).order_by("pk"):
        yield _Kept(row.by, bytes(row.entry), bytes(row.receipt))


def _in_order(kept: list[_Kept]) -> list[_Kept]:
    """Each behind the node that handed it the letter; what no answer leads to comes last."""
    by_sender = {item.handed_over_by: item for item in kept}
    found, at = list[_Kept](), settings.NODE.name
    while item := by_sender.pop(at, None):
        found.append(item)
        at = item.node
    return [*found, *by_sender.values()]


def _judged(hop: Hop, item: _Kept, sent: Sent, suites: dict[str, Suite], find: FindCard) -> Hop:
    try:
        entry, (log, index) = Entry.decode(item.entry), place_of(item.receipt)
    except WireError as error:
        return Hop(hop.node, hop.title, hop.final, problem=error)
    problem = None
    try:
        card, _ = verify_single(item.entry, item.receipt, find)
        suite = suites.get(entry.sender)
        if card.node != hop.node or not suite:
            raise WireError(Refusal.UNKNOWN_SENDER, entry.sender)
        if suite.hash(bytes(sent.envelope)) != entry.envelope_hash:
            raise WireError(Refusal.SEQUENCE_MISMATCH, "the receipt names another envelope")
    except WireError as error:
        problem = error
    return Hop(hop.node, hop.title, hop.final, entry.event, entry.at, log, index, problem)
