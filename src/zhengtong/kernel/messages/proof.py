"""Everything this node can show about one record's road: letters, receipts, logs and audit entries.

What is gathered is checked by `zhengtong verify` and by nobody's word: see `wire.evidence_check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditCheckpoint, AuditEntry, AuditLeaf, canonical
from zhengtong.kernel.messages.identity import (
    card_of,
    former_cards,
    own_card,
    own_keys,
)
from zhengtong.kernel.messages.models import (
    Arrival,
    CarriedReceipt,
    Cosignature,
    Message,
    Receipt,
    Sent,
)
from zhengtong.kernel.messages.routes import nodes_named
from zhengtong.kernel.messages.spans import spans_of
from zhengtong.kernel.messages.store import log_of
from zhengtong.kernel.stamping import Stamp
from zhengtong.wire import merkle
from zhengtong.wire.checkpoint import Checkpoint, log_origin, sign_checkpoint
from zhengtong.wire.envelope import open_envelope
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.evidence import (
    About,
    Evidence,
    EvidenceFile,
    EvidenceLetter,
    EvidenceReceipt,
    EvidenceStamp,
    LoggedEntry,
    pack,
)
from zhengtong.wire.keys import FindCard, NodeCard
from zhengtong.wire.receipts import Entry, Receipts, log_name, single


@dataclass
class Logged:
    """Checkpoints, the entries proven under each, and the time stamps on them."""

    checkpoints: list[bytes] = field(default_factory=list)
    entries: list[LoggedEntry] = field(default_factory=list)
    stamps: list[EvidenceStamp] = field(default_factory=list)

    def add(
        self,
        checkpoint: bytes,
        entries: Iterable[tuple[bytes, int, Sequence[bytes]]],
        token: bytes | None,
    ) -> None:
        """A checkpoint with entries (bytes, index, inclusion proof) and perhaps a stamp on it."""
        number = len(self.checkpoints)
        self.checkpoints.append(checkpoint)
        self.entries += [
            LoggedEntry(data, index, tuple(path), number) for data, index, path in entries
        ]
        if token is not None:
            self.stamps.append(EvidenceStamp(number, token))


def bundle(title: str, subject: str, urns: Iterable[str], files: Sequence[EvidenceFile]) -> bytes:
    """The evidence file about `subject` (a urn), with the audit entries about any of `urns`."""
    sent = list(
        Sent.objects.filter(letter__message__subject=subject)
        .select_related("neighbour", "letter")
        .order_by("neighbour", "lane", "sequence")
    )
    arrivals = list(
        Arrival.objects.filter(message__in=Message.objects.filter(subject=subject).values("id"))
        .select_related("neighbour")
        .order_by("neighbour", "lane", "sequence")
    )
    cards = _cards(_nodes(sent, arrivals))
    logged = _exchanged([*sent, *arrivals])
    _audited({subject, *urns}, logged)
    spans, standings = spans_of(sent, arrivals)
    find = {card.signing_kid: card for card in cards}.get
    return pack(
        Evidence(
            about=About(title, subject, settings.NODE.name, moment.now()),
            cards=tuple(card.to_cbor() for card in cards),
            files=tuple(files),
            letters=(
                *(EvidenceLetter(bytes(s.envelope), bytes(s.disclosure) or None) for s in sent),
                *(_received(arrival, find) for arrival in arrivals),
            ),
            receipts=(*_receipts(sent), *_carried(sent)),
            spans=tuple(spans),
            standings=tuple(standings),
            checkpoints=tuple(logged.checkpoints),
            entries=tuple(logged.entries),
            stamps=tuple(logged.stamps),
        )
    )


def _nodes(sent: Sequence[Sent], arrivals: Sequence[Arrival]) -> set[str]:
    """Everyone who has signed something about these letters, or for whom they are."""
    told = Message.objects.filter(pk__in=[item.message for item in arrivals if item.message])
    carried = CarriedReceipt.objects.filter(sent__in=[item.pk for item in sent])
    return {
        *(item.neighbour.name for item in sent),
        *(item.neighbour.name for item in arrivals),
        *(item.letter.destination for item in sent),
        *told.values_list("origin", flat=True),
        *carried.values_list("by", flat=True),
    } - {settings.NODE.name}


def _cards(names: set[str]) -> list[NodeCard]:
    """Our card and those of these nodes, as far as we know them.

    Keys change, and what was signed with a former one stays signed.
    """
    known = nodes_named(names)
    former = former_cards([settings.NODE.name, *(item.name for item in known)])
    return [own_card(), *map(card_of, known), *map(NodeCard.from_cbor, former)]


def _received(arrival: Arrival, find: FindCard) -> EvidenceLetter:
    """A letter we hold, opened with our own key; as it came if that key has been changed since."""
    envelope = bytes(arrival.envelope)
    try:
        opened = open_envelope(envelope, own_keys(), find)
    except WireError as error:
        if error.code is not Refusal.UNDECRYPTABLE:
            raise
        return EvidenceLetter(envelope, None)
    return EvidenceLetter(envelope, opened.disclosure)


def _receipts(sent: Sequence[Sent]) -> list[EvidenceReceipt]:
    """The receipt of each of these letters in its standard form, as far as we hold it."""
    found = []
    for item in sent:
        row = (
            Receipt.objects.filter(
                neighbour=item.neighbour,
                lane=item.lane,
                first__lte=item.sequence,
                last__gte=item.sequence,
            )
            .order_by("pk")
            .first()
        )
        if row is None:
            continue
        run = Receipts.decode(bytes(row.body))
        place = next(
            place
            for place, entry in enumerate(run.entries)
            if Entry.decode(entry).sequence == item.sequence
        )
        receipt = single(run, place, card_of(item.neighbour).crypto)
        found.append(EvidenceReceipt(run.entries[place], receipt))
    return found


def _carried(sent: Sequence[Sent]) -> list[EvidenceReceipt]:
    """What nodes behind our neighbours have signed of these letters.

    A receipt names a letter by the suite of the node that handed it on; those of another suite than
    ours a judge could not match with a letter of the file.
    """
    digests = {item.pk: bytes(item.digest) for item in sent}
    rows = CarriedReceipt.objects.filter(sent__in=list(digests)).order_by("pk")
    return [
        EvidenceReceipt(bytes(row.entry), bytes(row.receipt))
        for row in rows
        if Entry.decode(bytes(row.entry)).envelope_hash == digests[row.sent_id]
    ]


def _exchanged(numbered: Sequence[Sent | Arrival]) -> Logged:
    """The entries of our exchange log for these letters: under the newest checkpoint that a
    neighbour has cosigned, and under the earliest that an authority has stamped."""
    found = Logged()
    for epoch in sorted({item.epoch for item in numbered}):
        leaves = sorted({item.leaf for item in numbered if item.epoch == epoch})
        name = log_name(settings.NODE.name, epoch)
        lines = Cosignature.objects.filter(epoch=epoch, size__gt=leaves[-1])
        newest = lines.order_by("-size").values_list("size", flat=True).first()
        stamp = _stamp(name, leaves[-1] + 1)
        for size in sorted({size for size in (newest, stamp and stamp.size) if size}):
            log = log_of(epoch, size)
            note = sign_checkpoint(Checkpoint(name, size, log.root()), own_keys())
            cosigned = lines.filter(size=size).values_list("line", flat=True)
            token = bytes(stamp.token) if stamp and stamp.size == size else None
            entries = [
                (log.entries(leaf, 1)[0], leaf, log.inclusion(leaf, size)) for leaf in leaves
            ]
            found.add(note + b"".join(map(bytes, cosigned)), entries, token)
    return found


def _stamp(log: str, size: int) -> Stamp | None:
    """The earliest stamp on a checkpoint of at least this size: it says most about the time."""
    return Stamp.objects.filter(log=log, size__gte=size).order_by("size").first()


def _audited(urns: set[str], found: Logged) -> None:
    """Add the sealed audit entries about these records, proven under the earliest checkpoint that
    an authority has stamped, else under the newest."""
    newest = AuditCheckpoint.objects.order_by("-size").first()
    entries = list(AuditEntry.objects.filter(subject__in=urns, leaf__isnull=False).order_by("leaf"))
    if newest is None or not entries:
        return
    stamp = _stamp(log_origin(settings.NODE.name), (entries[-1].leaf or 0) + 1)
    stamped = AuditCheckpoint.objects.filter(size=stamp.size).first() if stamp else None
    head = stamped or newest
    leaves = AuditLeaf.objects.filter(index__lt=head.size).order_by("index")
    hash = own_keys().suite.hash
    node_at = merkle.nodes_of([bytes(leaf) for leaf in leaves.values_list("hash", flat=True)], hash)
    proven = [
        (canonical(entry), index, merkle.inclusion_proof(node_at, index, head.size, hash))
        for entry in entries
        if (index := entry.leaf) is not None and index < head.size
    ]
    token = bytes(stamp.token) if stamp and stamped else None
    found.add(head.text.encode(), proven, token)
