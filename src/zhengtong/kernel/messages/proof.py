"""Everything this node can show about one record's road: letters, receipts, logs and audit entries.

What is gathered is checked by `zhengtong verify` and by nobody's word: see `wire.evidence_check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.conf import settings

from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditCheckpoint, AuditEntry, AuditLeaf, canonical
from zhengtong.kernel.messages.identity import card_of, finder, own_card, own_keys
from zhengtong.kernel.messages.models import Arrival, Cosignature, Message, Receipt, Sent
from zhengtong.kernel.messages.spans import spans_of
from zhengtong.kernel.messages.store import log_of
from zhengtong.wire import merkle
from zhengtong.wire.checkpoint import Checkpoint, sign_checkpoint
from zhengtong.wire.envelope import open_envelope
from zhengtong.wire.evidence import (
    About,
    Evidence,
    EvidenceFile,
    EvidenceLetter,
    EvidenceReceipt,
    LoggedEntry,
    pack,
)
from zhengtong.wire.receipts import Entry, Receipts, log_name, single

Logged = tuple[tuple[bytes, ...], tuple[LoggedEntry, ...]]
"""Checkpoints, and entries proven under them."""


def bundle(title: str, subject: str, urns: Iterable[str], files: Sequence[EvidenceFile]) -> bytes:
    """The evidence file about `subject` (a urn), with the audit entries about any of `urns`."""
    sent = list(
        Sent.objects.filter(letter__message__subject=subject)
        .select_related("neighbour")
        .order_by("neighbour", "lane", "sequence")
    )
    arrivals = list(
        Arrival.objects.filter(message__in=Message.objects.filter(subject=subject).values("id"))
        .select_related("neighbour")
        .order_by("neighbour", "lane", "sequence")
    )
    neighbours = {item.neighbour for item in sent} | {item.neighbour for item in arrivals}
    cosigned, exchanged = _exchanged(sent)
    sealed, audited = _audited({subject, *urns}, len(cosigned))
    spans, standings = spans_of(sent, arrivals)
    others = sorted(neighbours, key=lambda item: item.name)
    return pack(
        Evidence(
            about=About(title, subject, settings.NODE.name, moment.now()),
            cards=(own_card().to_cbor(), *(card_of(item).to_cbor() for item in others)),
            files=tuple(files),
            letters=(
                *(EvidenceLetter(bytes(s.envelope), bytes(s.disclosure) or None) for s in sent),
                *(_received(arrival) for arrival in arrivals),
            ),
            receipts=tuple(_receipts(sent)),
            spans=tuple(spans),
            standings=tuple(standings),
            checkpoints=cosigned + sealed,
            entries=exchanged + audited,
        )
    )


def _received(arrival: Arrival) -> EvidenceLetter:
    """A letter we hold, opened with our own key."""
    envelope = bytes(arrival.envelope)
    opened = open_envelope(envelope, own_keys(), finder(arrival.neighbour))
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


def _exchanged(sent: Sequence[Sent]) -> Logged:
    """The entries of our exchange log for these letters, under the newest cosigned checkpoint."""
    checkpoints: list[bytes] = []
    entries: list[LoggedEntry] = []
    for epoch in sorted({item.epoch for item in sent}):
        leaves = [item.leaf for item in sent if item.epoch == epoch]
        newest = Cosignature.objects.filter(epoch=epoch, size__gt=max(leaves)).order_by("-size")
        if (best := newest.first()) is None:
            continue
        log = log_of(epoch, best.size)
        head = Checkpoint(log_name(settings.NODE.name, epoch), best.size, log.root())
        lines = Cosignature.objects.filter(epoch=epoch, size=best.size).values_list(
            "line", flat=True
        )
        checkpoints.append(sign_checkpoint(head, own_keys()) + b"".join(map(bytes, lines)))
        entries += [
            LoggedEntry(
                log.entries(leaf, 1)[0],
                leaf,
                tuple(log.inclusion(leaf, best.size)),
                len(checkpoints) - 1,
            )
            for leaf in leaves
        ]
    return tuple(checkpoints), tuple(entries)


def _audited(urns: set[str], number: int) -> Logged:
    """The sealed audit entries about these records, proven under the newest checkpoint.

    That is checkpoint `number` of the file, counted from 0.
    """
    head = AuditCheckpoint.objects.order_by("-size").first()
    entries = list(AuditEntry.objects.filter(subject__in=urns, leaf__isnull=False).order_by("leaf"))
    if head is None or not entries:
        return (), ()
    leaves = AuditLeaf.objects.filter(index__lt=head.size).order_by("index")
    hash = own_keys().suite.hash
    node_at = merkle.nodes_of([bytes(leaf) for leaf in leaves.values_list("hash", flat=True)], hash)
    proven = tuple(
        LoggedEntry(
            canonical(entry),
            index,
            tuple(merkle.inclusion_proof(node_at, index, head.size, hash)),
            number,
        )
        for entry in entries
        if (index := entry.leaf) is not None and index < head.size
    )
    return (head.text.encode(),), proven
