"""The audit log: a row inside every command's transaction, sealed afterwards into a Merkle log.

The row is written with the act, so an act without its row cannot exist. The worker then appends
rows to an RFC 6962 tree and signs checkpoints; the newest checkpoint also stands in a file beside
the keys, so that a database cut short is noticed too. Sealing inside the transaction would
serialise all writers on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import cbor2
from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.wire import checkpoint as checkpoints
from zhengtong.wire import merkle
from zhengtong.wire.errors import WireError
from zhengtong.wire.keys import NodeCard, NodeKeys

if TYPE_CHECKING:
    from zhengtong.kernel.commands import Act

BATCH = 500


class AuditEntry(models.Model):
    """Who did what to what, when, from where, and how it ended. Never changed, never deleted."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    verb = models.CharField(max_length=80, db_index=True)
    actor = models.CharField(max_length=80)
    actor_name = models.CharField(max_length=40)
    organisation = models.UUIDField(null=True, db_index=True)
    subject = models.CharField(max_length=120, default="", db_index=True)  # the first of these
    objects_named = models.JSONField(default=list)
    outcome = models.CharField(max_length=10)
    reason = models.CharField(max_length=300, default="")
    detail = models.JSONField(default=dict)
    address = models.CharField(max_length=45, default="")
    leaf = models.BigIntegerField(null=True, unique=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="audit_unsealed", condition=Q(leaf=None)),
            models.Index(fields=["-at"], name="audit_by_time"),
        ]


class AuditLeaf(models.Model):
    """The hash at one position of the sealed log."""

    index = models.BigIntegerField(primary_key=True)
    hash = models.BinaryField()


class AuditCheckpoint(models.Model):
    """A signed statement: the first `size` entries have this root (C2SP tlog-checkpoint)."""

    size = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(default=moment.now)
    text = models.TextField()
    peaks = models.BinaryField()  # the tree's state at this size, to go on from


def record(act: Act, outcome: str, reason: str = "") -> AuditEntry:
    """Write the act's row. Called inside its transaction; if this fails, the act fails."""
    actor = act.actor
    named = list(dict.fromkeys(item.urn for item in act.records))
    return AuditEntry.objects.create(
        at=act.now,
        verb=act.verb,
        actor=actor.urn,
        actor_name=actor.name,
        organisation=actor.organisations[0] if actor.organisations else None,
        subject=named[0] if named else "",
        objects_named=named,
        outcome=outcome,
        reason=reason[:300],
        detail=act.detail,
        address=actor.address,
    )


def denied(act: Act, reason: str) -> None:
    """Record that an act was refused to its actor, after its transaction was rolled back."""
    with transaction.atomic():
        record(act, "denied", reason)


def canonical(entry: AuditEntry) -> bytes:
    """The bytes that are sealed: every column but the position, as deterministic CBOR."""
    return cbor2.dumps(
        {
            "id": entry.pk,
            "at": entry.at.isoformat(timespec="microseconds"),
            "verb": entry.verb,
            "actor": entry.actor,
            "actor_name": entry.actor_name,
            "organisation": str(entry.organisation) if entry.organisation else None,
            "subject": entry.subject,
            "objects": entry.objects_named,
            "outcome": entry.outcome,
            "reason": entry.reason,
            "detail": entry.detail,
            "address": entry.address,
        },
        canonical=True,
    )


def anything_unsealed() -> bool:
    return AuditEntry.objects.filter(leaf=None).exists()


def seal(keys: NodeKeys) -> int:
    """Append the unsealed rows to the log and sign a checkpoint; how many were sealed.

    Only one worker may seal at a time; the unique position stops a second one that wakes late.
    """
    with transaction.atomic():
        entries = list(AuditEntry.objects.filter(leaf=None).order_by("id")[:BATCH])
        if not entries:
            return 0
        last = AuditCheckpoint.objects.order_by("-size").first()
        tree = merkle.Tree(last.size, _split(bytes(last.peaks))) if last else merkle.Tree()
        leaves = []
        for entry in entries:
            entry.leaf = tree.size
            digest = merkle.leaf_hash(canonical(entry))
            leaves.append(AuditLeaf(index=entry.leaf, hash=digest))
            tree.append(digest)
        AuditLeaf.objects.bulk_create(leaves)
        AuditEntry.objects.bulk_update(entries, ["leaf"])
        head = checkpoints.Checkpoint(checkpoints.log_origin(keys.node), tree.size, tree.root())
        text = checkpoints.sign_checkpoint(head, keys).decode()
        AuditCheckpoint.objects.create(size=tree.size, text=text, peaks=b"".join(tree.peaks))
        transaction.on_commit(lambda: _write_head(text))
    return len(entries)


def _split(peaks: bytes) -> list[bytes]:
    return [peaks[start : start + 32] for start in range(0, len(peaks), 32)]


def _head_path() -> Path:
    return settings.NODE.keys / "audit-head"


def _write_head(text: str) -> None:
    path = _head_path()
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(path)


def problems(card: NodeCard) -> Iterator[str]:
    """Check the whole log against its rows, its checkpoints and the head file; say each fault."""
    tree = merkle.Tree()
    roots: dict[int, bytes] = {}
    wanted = {item.size: item.text for item in AuditCheckpoint.objects.all()}
    head = _head_path()
    if head.exists():
        wanted[-1] = head.read_text()
    signed: dict[int, checkpoints.Checkpoint] = {}
    for size, text in wanted.items():
        try:
            signed[size] = checkpoints.verify_checkpoint(text.encode(), card)
        except WireError as error:
            yield f"checkpoint {'in the head file' if size < 0 else size}: {error}"
    sizes = {item.size for item in signed.values()}
    entries = AuditEntry.objects.filter(leaf__isnull=False).order_by("leaf").iterator()
    entry = next(entries, None)
    for leaf in AuditLeaf.objects.order_by("index").iterator():
        if leaf.index != tree.size:
            yield f"log positions {tree.size} to {leaf.index - 1} are missing"
            return
        while entry is not None and (entry.leaf or 0) < leaf.index:
            yield f"entry {entry.pk} stands at position {entry.leaf} twice or out of order"
            entry = next(entries, None)
        if entry is None or entry.leaf != leaf.index:
            yield f"the entry at position {leaf.index} has been deleted"
        else:
            if merkle.leaf_hash(canonical(entry)) != bytes(leaf.hash):
                yield f"entry {entry.pk} ({entry.verb}, {entry.at:%Y-%m-%d %H:%M}) was changed"
            entry = next(entries, None)
        tree.append(bytes(leaf.hash))
        if tree.size in sizes:
            roots[tree.size] = tree.root()
    if entry is not None:
        yield f"entries from {entry.pk} on claim positions the log does not have"
    for size, checkpoint in signed.items():
        where = "the head file" if size < 0 else f"checkpoint {size}"
        if checkpoint.size > tree.size:
            yield f"{where} covers {checkpoint.size} entries, the log holds {tree.size}: cut short"
        elif roots.get(checkpoint.size, tree.root() if tree.size == 0 else b"") != checkpoint.root:
            yield f"{where} does not agree with the log up to {checkpoint.size}"
    if tree.size and max(sizes, default=0) < tree.size:
        yield f"the last {tree.size - max(sizes, default=0)} entries have no checkpoint"


def organisation_filter(organisations: tuple[UUID, ...]) -> Q:
    """The entries an auditor may read: those of their organisation and of the node itself."""
    return Q(organisation__in=organisations) | Q(organisation=None) | Q(
        actor=f"urn:zhengtong:node:{settings.NODE.name}"
    )
