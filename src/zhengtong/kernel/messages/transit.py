"""Letters for other nodes: passed on untouched, and their receipts carried back to the sender.

A hop reads the signed header, holds the ceilings, and hands the very same envelope to the next
node. What the next node receipts is evidence that the sender needs: it goes back as a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction

from zhengtong.kernel import moment
from zhengtong.kernel.engine import storable
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.labels import Level, Zone
from zhengtong.kernel.messages import transit_files
from zhengtong.kernel.messages.facts import Fact, encode, fact
from zhengtong.kernel.messages.identity import card_of
from zhengtong.kernel.messages.models import CarriedReceipt, Letter, Message, Neighbour, Sent
from zhengtong.kernel.messages.routes import Way, anyone, ways_to
from zhengtong.wire.envelope import Header, Verified
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.link import Held
from zhengtong.wire.receipts import Entry, Event, Receipts, single, verify_single

FURTHER_ON = "refused_further_on"
"""So the refusal of a letter of ours begins that a node behind the neighbour did not take. Behind a
colon follows why, as far as the hop that handed it over has said."""


@fact("kernel.carried")
@dataclass(frozen=True)
class Carried(Fact):
    """A node further on has taken (or refused) the letter that bore this message.

    The receipt proves which; `refused`, `detail` say why not. That is the word of who carries it.
    """

    message: UUID
    at: datetime
    entry: bytes
    receipt: bytes
    refused: str = ""
    detail: str = ""


def put_aside(neighbour: Neighbour, letter: Verified, sealed: bytes) -> str:
    """Write what came beside a letter to a file, unless it may not go on; the file's name.

    Raises WireError with a typed refusal.
    """
    _next(neighbour, letter.header)
    transit_files.write(_beside(letter), sealed)
    return _beside(letter)


def _beside(letter: Verified) -> str:
    return letter.envelope_hash.hex()


def forward(neighbour: Neighbour, letter: Verified, envelope: bytes) -> None:
    """Put a letter for another node on its way. Raises WireError with a typed refusal."""
    header = letter.header
    way = _next(neighbour, header)
    message, made = Message.objects.get_or_create(
        pk=header.message_id,
        defaults={
            "kind": header.kind,
            "body": b"",
            "level": header.level,
            "origin": header.origin,
            "at": header.sent_at,
            "pending": False,
        },
    )
    if (message.origin, message.kind) != (header.origin, header.kind):
        raise WireError(Refusal.REPLAYED, f"message {message.pk} said otherwise")
    if made or not Letter.objects.filter(message=message, envelope=envelope).exists():
        Letter.objects.create(
            message=message,
            neighbour=way.neighbour,
            destination=way.destination,
            lane=min(header.lane, 3),
            envelope=envelope,
            beside=_beside(letter) if header.bulk_hash else "",
        )


def _next(neighbour: Neighbour, header: Header) -> Way:
    """The way on. Raises WireError: wrong_recipient, above_ceiling."""
    to = ", ".join(header.destinations)
    way = ways_to(header.destinations).get(header.destinations[0])
    if way is None or len(header.destinations) > 1 or way.neighbour == neighbour:
        raise WireError(Refusal.WRONG_RECIPIENT, f"addressed to {to}")
    ceiling = min(way.ceiling, int(settings.NODE.ceiling))
    # Whether its content was released to the public is not written on a sealed letter.
    if Zone.PUBLIC in (way.node.zone, way.neighbour.zone) or header.level > ceiling:
        raise WireError(Refusal.ABOVE_CEILING, f"level {header.level}, on the way to {to}")
    return way


def carry_back(neighbour: Neighbour, lane: int, held: Held) -> None:
    """Send the receipts of letters in transit on to the nodes that wrote them.

    The next node has them: what travelled beside them is dropped.
    """
    rows = Sent.objects.filter(
        neighbour=neighbour, lane=lane, sequence__gte=held.first, sequence__lte=held.last
    ).exclude(letter__envelope=b"")
    rows = rows.select_related("letter__message").defer("letter__envelope")
    transit = {row.sequence: row.letter.message for row in rows}
    if not transit:
        return
    _drop([row.letter for row in rows if row.letter.beside])
    run, suite = Receipts.decode(held.body), card_of(neighbour).crypto
    ways = ways_to(message.origin for message in transit.values())
    why = {item.sequence: (item.code.value, item.detail) for item in held.dead}
    for place, data in enumerate(run.entries):
        entry = Entry.decode(data)
        message = transit.get(entry.sequence)
        if message is not None and message.origin in ways:
            receipt, reason = single(run, place, suite), why.get(entry.sequence, ("", ""))
            told = Carried(message.pk, entry.at, data, receipt, *reason)
            _send(told, ways[message.origin])


def _drop(letters: Sequence[Letter]) -> None:
    names = [letter.beside for letter in letters]
    Letter.objects.filter(pk__in=[letter.pk for letter in letters]).update(beside="")
    transaction.on_commit(lambda: transit_files.drop(names))


def _send(told: Carried, way: Way) -> None:
    message = Message.objects.create(
        id=new_id(),
        kind=told.kind,
        body=encode(told),
        level=Level.PUBLIC,
        origin=settings.NODE.name,
        at=moment.now(),
        pending=False,
    )
    Letter.objects.create(
        message=message, neighbour=way.neighbour, destination=way.destination, lane=2
    )


def note(told: Carried, carrier: str) -> None:
    """Keep a receipt that came back for a letter of ours. Raises WireError or ValueError.

    Only the hop that handed the letter over was told why it was not taken.
    """
    card, entry = verify_single(told.entry, told.receipt, anyone())
    through = ways_to([entry.sender]).get(entry.sender)
    for sent in Sent.objects.filter(letter__message=told.message):
        # The hash is by the suite of the node that handed the letter to the one that receipts it.
        if through and through.card.crypto.hash(bytes(sent.envelope)) == entry.envelope_hash:
            if entry.event is not Event.DELIVERED and not sent.refusal:
                why, detail = told.refused, told.detail
                if carrier != entry.sender or why not in tuple(Refusal):
                    why = detail = ""
                sent.refusal = f"{FURTHER_ON}:{why}" if why else FURTHER_ON
                sent.refusal_detail = storable(
                    f"{card.node}: {detail}" if detail else card.node, 500
                )
                sent.save(update_fields=["refusal", "refusal_detail"])
            CarriedReceipt.objects.get_or_create(
                sent=sent,
                by=card.node,
                event=entry.event.value,
                defaults={"at": entry.at, "entry": told.entry, "receipt": told.receipt},
            )
            return
    raise ValueError("a receipt for a letter we never sent")
