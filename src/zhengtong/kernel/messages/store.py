"""The tables of the exchange, as the link's state machine reads and writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import cbor2
from django.conf import settings
from django.db import transaction
from django.db.models import F, Min, QuerySet

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update, storable
from zhengtong.kernel.labels import may_enter
from zhengtong.kernel.messages import delivery, pieces, transit
from zhengtong.kernel.messages.identity import accepted_cards, card_of, ceiling_of, own_keys
from zhengtong.kernel.messages.logbook import DatabaseTiles
from zhengtong.kernel.messages.models import (
    Arrival,
    Cosignature,
    LinkAlarm,
    LinkLane,
    LogHead,
    Neighbour,
    PeerStanding,
    Receipt,
    Sent,
)
from zhengtong.kernel.messages.routes import brought_by
from zhengtong.wire.batch import MAX_ROOM, Batch, Letter, Refused
from zhengtong.wire.envelope import Opened, Verified
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.exchange import WHOLE_BATCH
from zhengtong.wire.keys import FindCard, NodeCard
from zhengtong.wire.link import Arrived, Held, Incoming, Lane, Mark, Owed, Peer, Seen
from zhengtong.wire.log import Log
from zhengtong.wire.standing import FIRST_EPOCH, NO_CHAIN, Head, Witnessed


@dataclass
class Met:
    """What one block has read and written so far; lanes and log are stored when it ends."""

    locking: bool = False
    rows: dict[str, Neighbour] = field(default_factory=dict)
    peers: dict[str, Peer] = field(default_factory=dict)
    lanes: dict[tuple[str, int], Lane] = field(default_factory=dict)
    used: dict[str, list[Lane]] = field(default_factory=dict)
    marks: dict[tuple[str, int, int], Mark] = field(default_factory=dict)
    changed: set[tuple[str, int]] = field(default_factory=set)
    log: tuple[int, Log, int] | None = None  # epoch, log, its size as it is stored


@dataclass
class DatabaseStore:
    """zhengtong.wire.store.Store over Django's tables. Use one for one batch.

    A lane that is asked for again within a block comes from memory, and is written once.
    """

    _met: Met = field(default_factory=Met)
    _former: Mapping[str, tuple[NodeCard, ...]] | None = None
    _aside: delivery.Aside = field(default_factory=delivery.Aside)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._aside.settle()
        self._met = Met(locking=True)
        with transaction.atomic():
            yield
            for key in sorted(self._met.changed):
                self._write_lane(self._met.lanes[key])
            self._write_log()

    @contextmanager
    def reading(self) -> Iterator[None]:
        self._met = Met()
        yield

    def names(self) -> Sequence[str]:
        return list(Neighbour.objects.order_by("name").values_list("name", flat=True))

    def neighbours(self) -> FindCard:
        rows = list(Neighbour.objects.all())
        self._met.rows = {row.name: row for row in rows}
        former = [card for row in rows for card in self._accepted(row.name)]
        return {card.signing_kid: card for card in (*former, *map(card_of, rows))}.get

    def origins(self, peer: str) -> FindCard:
        return brought_by(self._row(peer), *self._accepted(peer))

    def received(self, peer: str, lane: int) -> int:
        found = self._lane_rows(peer).filter(lane=lane).values_list("received", flat=True)
        return found[0] if found else 0

    def peer(self, name: str) -> Peer:
        if name not in self._met.peers:
            self._met.peers[name] = _peer(self._row(name), self._accepted(name))
        return self._met.peers[name]

    def save_peer(self, peer: Peer, batch: Batch, now: datetime) -> None:
        row, standing = self._row(peer.name), batch.standing
        self._met.peers[peer.name] = peer
        Neighbour.objects.filter(pk=row.pk).update(
            log_epoch=peer.seen.epoch,
            log_at=peer.seen.unproven,
            log_roots=cbor2.dumps([list(item) for item in peer.seen.roots]),
            witness_epoch=peer.witnessed.epoch,
            witness_size=peer.witnessed.size,
            cosigned=peer.cosigned or b"",
            last_contact=now,
            version=storable(standing.version, 40),
            skew_ms=(standing.at - now) // timedelta(milliseconds=1),
            **_complaint(row, batch),
        )
        self._keep_standing(row, batch)

    def _keep_standing(self, row: Neighbour, batch: Batch) -> None:
        """Keep their signed word as evidence, whenever it says more than the last that was kept."""
        standing = batch.standing
        kept = PeerStanding.objects.filter(neighbour=row, lane=standing.lane).order_by("-pk")
        sent, received = kept.values_list("sent", "received").first() or (0, 0)
        if standing.sent.number > sent or standing.received.number > received:
            PeerStanding.objects.create(
                neighbour=row,
                lane=standing.lane,
                sent=standing.sent.number,
                received=standing.received.number,
                at=standing.at,
                body=batch.signed,
            )

    def lane(self, peer: str, lane: int) -> Lane:
        if (peer, lane) not in self._met.lanes:
            rows = self._lane_rows(peer).filter(lane=lane)
            found = locked_for_update(rows).first()
            if found is None:
                LinkLane.objects.bulk_create(
                    [LinkLane(neighbour=self._row(peer), lane=lane)], ignore_conflicts=True
                )
                found = locked_for_update(rows).get()
            self._met.lanes[peer, lane] = _lane(peer, found)
        return self._met.lanes[peer, lane]

    def lanes(self, peer: str) -> Sequence[Lane]:
        if peer not in self._met.used:
            rows = self._lane_rows(peer).order_by("lane")
            self._met.used[peer] = [_lane(peer, row) for row in rows]
        return [self._met.lanes.get((peer, row.lane), row) for row in self._met.used[peer]]

    def save_lane(self, lane: Lane) -> None:
        self._met.lanes[lane.peer, lane.lane] = lane
        self._met.changed.add((lane.peer, lane.lane))

    def _write_lane(self, lane: Lane) -> None:
        self._lane_rows(lane.peer).filter(lane=lane.lane).update(
            said=lane.said,
            heard=lane.heard,
            sealed=lane.numbered.number,
            sealed_chain=lane.numbered.chain,
            offered=lane.offered,
            receipted=lane.receipted,
            taken=lane.taken,
            received=lane.received.number,
            received_chain=lane.received.chain,
            answered=lane.answered,
            announced=lane.announced,
            again=lane.again,
        )

    def letters(self, peer: str, lane: int, after: int, limit: int) -> list[Letter]:
        rows = Sent.objects.filter(neighbour=self._row(peer), lane=lane, sequence__gt=after)
        level = "letter__message__level"
        wanted = ("sequence", "envelope", "bulk", "letter_id", "digest", "chain", level)
        found = rows.order_by("sequence").values_list(*wanted)[:limit]
        ceiling, kept = self.peer(peer).ceiling, dict[int, bytes]()
        taken, size = list[tuple[int, bytes, int]](), 0
        for number, envelope, bulk, letter, digest, chain, level in found.iterator(chunk_size=16):
            self._met.marks[peer, lane, number] = Mark(bytes(digest), bytes(chain))
            if not may_enter(level, ceiling):
                envelope, bulk, kept[number] = b"", False, bytes(digest)
            size += len(envelope)
            if taken and size > MAX_ROOM:  # more than a batch can carry: leave the rest
                break
            taken.append((number, bytes(envelope), letter if bulk else 0))
        beside = pieces.bulks_of([letter for _, _, letter in taken if letter])
        return [
            Letter(number, envelope, beside.get(letter, b""), kept.get(number, b""))
            for number, envelope, letter in taken
        ]

    def withhold(self, peer: str, lane: int, numbers: Sequence[int]) -> None:
        rows = Sent.objects.filter(neighbour=self._row(peer), lane=lane, sequence__in=numbers)
        rows.update(refusal=Refusal.WITHHELD, refusal_detail="")

    def sent(self, peer: str, lane: int, first: int, last: int) -> Mapping[int, Mark]:
        if first == last and (known := self._met.marks.get((peer, lane, first))):
            return {first: known}
        return self._marks(Sent, peer, lane, first, last)

    def arrived(self, peer: str, lane: int, first: int, last: int) -> Mapping[int, Mark]:
        return self._marks(Arrival, peer, lane, first, last)

    def deliver(self, peer: str, letters: Sequence[Incoming]) -> Mapping[int, WireError]:
        return delivery.deliver(self._row(peer), letters)

    def take_bulk(self, peer: str, letter: Opened | Verified, sealed: bytes) -> None:
        self._aside.take(self._row(peer), letter, sealed)

    def take(self, peer: str, lane: int, letters: Sequence[Arrived]) -> None:
        delivery.keep(self._row(peer), lane, letters)

    def before_restores(self, peer: str, lane: int) -> int:
        rows = Arrival.objects.filter(neighbour=self._row(peer), lane=lane, epoch__gt=FIRST_EPOCH)
        first = rows.aggregate(first=Min("sequence"))["first"]
        return self.received(peer, lane) if first is None else first - 1

    def owed(self, peer: str, lane: int, after: int, limit: int) -> Sequence[Owed]:
        rows = Arrival.objects.filter(neighbour=self._row(peer), lane=lane, sequence__gt=after)
        found = rows.order_by("sequence").values_list(
            "sequence", "epoch", "leaf", "refusal", "refusal_detail"
        )[:limit]
        return [
            Owed(
                number,
                epoch,
                leaf,
                Refused(number, Refusal(refusal), detail) if refusal else None,
            )
            for number, epoch, leaf, refusal, detail in found
        ]

    def hold(self, peer: str, lane: int, held: Held) -> None:
        row = self._row(peer)
        Receipt.objects.create(
            neighbour=row,
            lane=lane,
            first=held.first,
            last=held.last,
            at=held.at,
            body=held.body,
        )
        transit.carry_back(row, lane, held)
        letters = Sent.objects.filter(neighbour=row, lane=lane)
        # The newest word counts: what was withheld or refused may have come in another life.
        named = letters.filter(sequence__gte=held.first, sequence__lte=held.last)
        here = named.exclude(refusal="").exclude(refusal__startswith=transit.FURTHER_ON)
        here.update(refusal="")
        for refused in held.dead:
            letters.filter(sequence=refused.sequence).update(
                refusal=refused.code, refusal_detail=storable(refused.detail, 500)
            )

    def undo_receipts(self, peer: str, lane: int, after: int) -> None:
        given = Receipt.objects.filter(neighbour=self._row(peer), lane=lane, last__gt=after)
        given.update(undone=True)

    def held_through(self, peer: str, lane: int, number: int) -> int:
        row = self._row(peer)
        receipts = Receipt.objects.filter(neighbour=row, lane=lane, undone=False)
        letters = Sent.objects.filter(neighbour=row, lane=lane)
        while True:
            later = receipts.filter(last__gt=number).order_by("first", "last")
            for first, last in later.values_list("first", "last").iterator():
                if first > number + 1:
                    break
                number = max(number, last)
            following = letters.filter(sequence__gt=number).aggregate(least=Min("sequence"))
            if following["least"] is None or following["least"] == number + 1:
                return number
            number = following["least"] - 1  # those between were lost with a backup

    def log(self) -> tuple[int, Log]:
        if self._met.log is None:
            head = locked_for_update(LogHead.objects.order_by("-epoch")[:1]).first()
            if head is None:
                LogHead.objects.bulk_create([LogHead(epoch=FIRST_EPOCH)], ignore_conflicts=True)
                head = locked_for_update(LogHead.objects.filter(epoch=FIRST_EPOCH)).get()
            self._met.log = (head.epoch, log_of(head.epoch, head.size), head.size)
        return self._met.log[0], self._met.log[1]

    def past_log(self, epoch: int) -> Log:
        return log_of(epoch, LogHead.objects.get(epoch=epoch).size)

    def restart_log(self, epoch: int) -> Log:
        self._write_log()
        LogHead.objects.create(epoch=epoch)
        self._met.log = (epoch, log_of(epoch, 0), 0)
        return self._met.log[1]

    def save_log(self, log: Log) -> None:
        assert self._met.log is not None and self._met.log[1] is log

    def _write_log(self) -> None:
        if self._met.log is None:
            return
        epoch, log, before = self._met.log
        if log.size != before:
            LogHead.objects.filter(epoch=epoch).update(size=log.size)

    def keep_cosignature(self, peer: str, epoch: int, size: int, line: bytes) -> None:
        Cosignature.objects.create(neighbour=self._row(peer), epoch=epoch, size=size, line=line)

    def alarm(self, peer: str, code: str, detail: str, proof: bytes) -> None:
        raise_alarm(self._row(peer), code, detail, proof)

    def _row(self, name: str) -> Neighbour:
        if name not in self._met.rows:
            rows = Neighbour.objects.filter(name=name)
            found = (locked_for_update(rows) if self._met.locking else rows).first()
            if found is None:
                raise WireError(Refusal.NOT_A_NEIGHBOUR, name)
            self._met.rows[name] = found
        return self._met.rows[name]

    def _accepted(self, name: str) -> tuple[NodeCard, ...]:
        """The cards a neighbour had before; hardly any has, so all are read once per batch."""
        if self._former is None:
            self._former = accepted_cards()
        return self._former.get(name, ())

    def _lane_rows(self, peer: str) -> QuerySet[LinkLane]:
        return LinkLane.objects.filter(neighbour__name=peer)

    def _marks(
        self, table: type[Sent] | type[Arrival], peer: str, lane: int, first: int, last: int
    ) -> Mapping[int, Mark]:
        rows = table.objects.filter(
            neighbour=self._row(peer), lane=lane, sequence__gte=first, sequence__lte=last
        ).values_list("sequence", "digest", "chain")
        return {number: Mark(bytes(digest), bytes(chain)) for number, digest, chain in rows}


def log_of(epoch: int, size: int) -> Log:
    """Our evidence log of one epoch."""
    return Log(DatabaseTiles(epoch), size, own_keys().suite.hash)


def raise_alarm(neighbour: Neighbour, code: str, detail: str, proof: bytes = b"") -> None:
    """Raise an alarm about a link, or note that an open one has come again."""
    now, text = moment.now(), storable(detail, 500)
    still = LinkAlarm.objects.filter(neighbour=neighbour, code=code, cleared_at=None)
    if not still.update(last_at=now, times=F("times") + 1, detail=text):
        LinkAlarm.objects.create(
            neighbour=neighbour, code=code, detail=text, proof=proof, at=now, last_at=now
        )


def _peer(row: Neighbour, former: tuple[NodeCard, ...]) -> Peer:
    roots = tuple((size, root) for size, root in cbor2.loads(bytes(row.log_roots) or b"\x80"))
    return Peer(
        name=row.name,
        card=card_of(row),
        suspended=row.suspended,
        expelled=row.expelled,
        former=former,
        met=row.last_contact is not None,
        patient=row.road != "https",
        endless=row.road == "ferry",
        seen=Seen(row.log_epoch, roots, row.log_at),
        witnessed=Witnessed(row.witness_epoch, row.witness_size),
        cosigned=bytes(row.cosigned) or None,
        ceiling=min(ceiling_of(row), settings.NODE.ceiling),
    )


def _lane(peer: str, row: LinkLane) -> Lane:
    return Lane(
        peer=peer,
        lane=row.lane,
        said=row.said,
        heard=row.heard,
        numbered=Head(row.sealed, bytes(row.sealed_chain) or NO_CHAIN),
        offered=row.offered,
        receipted=row.receipted,
        taken=row.taken,
        received=Head(row.received, bytes(row.received_chain) or NO_CHAIN),
        answered=row.answered,
        announced=row.announced,
        again=row.again,
    )


def _complaint(row: Neighbour, batch: Batch) -> dict[str, Any]:
    """How many of our batches the neighbour has refused in a row, and why the last one."""
    for refused in batch.refusals:
        if refused.sequence == WHOLE_BATCH:
            error = WireError(refused.code, refused.detail)
            said = storable(f"{refused.code.value}: {error.zh}", 200)
            return {"failures": row.failures + 1, "last_error": said}
    return {"failures": 0, "last_error": ""}
