"""The audit log: a row inside every command's transaction, sealed afterwards into a Merkle log.

The row is written with the act, so an act without its row cannot exist. The worker then appends
rows to an RFC 6962 tree, hashed by the node's own suite, and signs checkpoints; the newest
checkpoint also stands in a file beside the keys, so that a database cut short is noticed too.
Sealing inside the transaction would serialise all writers on PostgreSQL.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import cbor2
from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
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
        # All sealers want the lowest row first, so the lock lets one after the other through.
        unsealed = AuditEntry.objects.filter(leaf=None).order_by("id")
        entries = list(locked_for_update(unsealed)[:BATCH])
        if not entries:
            return 0
        last = AuditCheckpoint.objects.order_by("-size").first()
        hash = keys.suite.hash
        size, peaks = (last.size, _split(bytes(last.peaks))) if last else (0, [])
        tree = merkle.Tree(size, peaks, hash)
        leaves = []
        for entry in entries:
            entry.leaf = tree.size
            digest = merkle.leaf_hash(canonical(entry), hash)
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
    handle, name = tempfile.mkstemp(dir=_head_path().parent, prefix="audit-head.")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    Path(name).replace(_head_path())


def problems(*cards: NodeCard) -> Iterator[str]:
    """Check the whole log against its rows, its checkpoints and the head file; say each fault.

    `cards` are all those this node has had, the present one last: it may have changed keys.

    Sealing may go on meanwhile: what comes after the newest checkpoint found at first is only
    asked whether it, too, is signed.
    """
    head = _head_path().read_bytes() if _head_path().exists() else None
    kept = list(AuditCheckpoint.objects.order_by("size"))
    if head is None and kept:
        yield f"the head file {_head_path()} is missing: nothing else shows a log cut short"
    signed: list[tuple[str, checkpoints.Checkpoint]] = []
    for name, text in [
        *((f"checkpoint {item.size}", item.text.encode()) for item in kept),
        *([("the head file", head)] if head is not None else []),
    ]:
        try:
            signed.append((name, _verified(text, cards)))
        except WireError as error:
            yield f"{name}: {error}"
    roots = {checkpoint.size: checkpoint.root for _, checkpoint in signed}
    hash = cards[-1].crypto.hash  # a change of keys keeps the suite
    yield from (fault for item in kept if (fault := _misfiled(item, signed, roots, hash)))
    tree = merkle.Tree(hash=hash)
    found = {0: tree.root()}
    for leaf, faults in _sealed(kept[-1].size if kept else 0, hash):
        yield from faults
        if leaf is None:
            return
        tree.append(leaf)
        if tree.size in roots:
            found[tree.size] = tree.root()
    for name, checkpoint in signed:
        if checkpoint.size > tree.size:
            yield f"{name} covers {checkpoint.size} entries, the log holds {tree.size}: cut short"
        elif found[checkpoint.size] != checkpoint.root:
            yield f"{name} does not agree with the log up to {checkpoint.size}"
    yield from _unsigned()


def _verified(text: bytes, cards: Sequence[NodeCard]) -> checkpoints.Checkpoint:
    """A checkpoint under whichever of our cards signed it. Raises WireError."""
    for card in cards[:-1]:
        with suppress(WireError):
            return checkpoints.verify_checkpoint(text, card)
    return checkpoints.verify_checkpoint(text, cards[-1])


def _misfiled(
    kept: AuditCheckpoint,
    signed: list[tuple[str, checkpoints.Checkpoint]],
    roots: dict[int, bytes],
    hash: merkle.Hash,
) -> str | None:
    """What is wrong with the unsigned columns of a checkpoint's row, from which sealing goes on."""
    name = f"checkpoint {kept.size}"
    for other, checkpoint in signed:
        if other == name and checkpoint.size != kept.size:
            return f"{name} is signed for {checkpoint.size} entries"
    peaks = _split(bytes(kept.peaks))
    fits = len(peaks) == kept.size.bit_count()
    root = merkle.Tree(kept.size, peaks, hash).root() if fits else b""
    if root != roots.get(kept.size, root):
        return f"{name} keeps a tree that is not the signed one"
    return None


def _sealed(size: int, hash: merkle.Hash) -> Iterator[tuple[bytes | None, list[str]]]:
    """The leaves of the first `size` entries, None for a missing one, with the faults at each."""
    entries = AuditEntry.objects.filter(leaf__lt=size).order_by("leaf").iterator()
    entry = next(entries, None)
    leaves = AuditLeaf.objects.filter(index__lt=size).order_by("index").iterator()
    for position, leaf in enumerate(leaves):
        faults = []
        if leaf.index != position:
            yield None, [f"log positions {position} to {leaf.index - 1} are missing"]
            return
        while entry is not None and (entry.leaf or 0) < position:
            faults.append(f"entry {entry.pk} stands at position {entry.leaf}, before the first")
            entry = next(entries, None)
        if entry is None or entry.leaf != position:
            faults.append(f"the entry at position {position} has been deleted")
        else:
            if merkle.leaf_hash(canonical(entry), hash) != bytes(leaf.hash):
                when = f"{entry.at:%Y-%m-%d %H:%M}"
                faults.append(f"entry {entry.pk} ({entry.verb}, {when}) was changed")
            entry = next(entries, None)
        yield bytes(leaf.hash), faults


def _unsigned() -> Iterator[str]:
    """Rows that claim to be sealed but are not. Asked in the reverse order of their writing."""
    newest_entry = AuditEntry.objects.filter(leaf__isnull=False).order_by("-leaf").first()
    newest_leaf = AuditLeaf.objects.order_by("-index").first()
    newest = AuditCheckpoint.objects.order_by("-size").first()
    held = newest_leaf.index + 1 if newest_leaf else 0
    covered = newest.size if newest else 0
    if newest_entry is not None and (newest_entry.leaf or 0) >= held:
        yield f"entry {newest_entry.pk} claims position {newest_entry.leaf} that the log has not"
    if held > covered:
        yield f"the last {held - covered} entries have no checkpoint"


def organisation_filter(organisations: tuple[UUID, ...]) -> Q:
    """The entries an auditor may read: those of their organisation and of the node itself."""
    return (
        Q(organisation__in=organisations)
        | Q(organisation=None)
        | Q(actor=f"urn:zhengtong:node:{settings.NODE.name}")
    )
