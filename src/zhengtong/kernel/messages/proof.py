"""Everything this node can show about one record's road: letters, receipts and audit entries.

What is gathered is checked by `zhengtong verify` and by nobody's word: see `wire.evidence_check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.conf import settings
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditCheckpoint, AuditEntry, AuditLeaf, canonical
from zhengtong.kernel.messages.identity import card_of, finder, own_card, own_keys
from zhengtong.kernel.messages.models import Arrival, Message, Receipt, Sent
from zhengtong.wire import merkle
from zhengtong.wire.envelope import open_envelope
from zhengtong.wire.evidence import (
    About,
    Evidence,
    EvidenceFile,
    EvidenceLetter,
    LoggedEntry,
    pack,
)


def bundle(title: str, subject: str, urns: Iterable[str], files: Sequence[EvidenceFile]) -> bytes:
    """The evidence file about `subject` (a urn), with the audit entries about any of `urns`."""
    sent = list(
        Sent.objects.filter(letter__message__subject=subject)
        .select_related("neighbour")
        .order_by("neighbour", "sequence")
    )
    arrivals = list(
        Arrival.objects.filter(message__in=Message.objects.filter(subject=subject).values("id"))
        .select_related("neighbour")
        .order_by("neighbour", "sequence")
    )
    neighbours = {item.neighbour for item in sent} | {item.neighbour for item in arrivals}
    checkpoints, entries = _logged({subject, *urns})
    others = sorted(neighbours, key=lambda item: item.name)
    cards = [own_card().to_cbor(), *(card_of(item).to_cbor() for item in others)]
    return pack(
        Evidence(
            about=About(title, subject, settings.NODE.name, moment.now()),
            cards=tuple(cards),
            files=tuple(files),
            letters=(
                *(EvidenceLetter(bytes(s.envelope), bytes(s.disclosure) or None) for s in sent),
                *(_received(arrival) for arrival in arrivals),
            ),
            receipts=tuple(_receipts(sent)),
            checkpoints=checkpoints,
            entries=entries,
        )
    )


def _received(arrival: Arrival) -> EvidenceLetter:
    """A letter we hold, opened with our own key."""
    envelope = bytes(arrival.envelope)
    opened = open_envelope(envelope, own_keys(), finder(arrival.neighbour))
    return EvidenceLetter(envelope, opened.disclosure)


def _receipts(sent: Sequence[Sent]) -> list[bytes]:
    """The receipts that cover these letters, each once."""
    wanted = Q(pk=None)
    for item in sent:
        wanted |= Q(neighbour=item.neighbour, first__lte=item.sequence, last__gte=item.sequence)
    return [bytes(row.body) for row in Receipt.objects.filter(wanted).order_by("pk")]


def _logged(urns: set[str]) -> tuple[tuple[bytes, ...], tuple[LoggedEntry, ...]]:
    """The sealed audit entries about these records, proven under the newest checkpoint."""
    head = AuditCheckpoint.objects.order_by("-size").first()
    entries = list(AuditEntry.objects.filter(subject__in=urns, leaf__isnull=False).order_by("leaf"))
    if head is None or not entries:
        return (), ()
    leaves = AuditLeaf.objects.filter(index__lt=head.size).order_by("index")
    node_at = merkle.nodes_of([bytes(leaf) for leaf in leaves.values_list("hash", flat=True)])
    proven = tuple(
        LoggedEntry(
            canonical(entry),
            index,
            tuple(merkle.inclusion_proof(node_at, index, head.size)),
            0,
        )
        for entry in entries
        if (index := entry.leaf) is not None and index < head.size
    )
    return (head.text.encode(),), proven
