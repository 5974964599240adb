"""Two neighbours watch each other's evidence logs.

Every batch brings the sender's newest checkpoint with a proof that it extends one that the receiver
has verified before, and the receiver returns its signature under it. So a log that is rewritten or
shown differently contradicts something its own node has signed and others hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypedDict, TypeVar

from zhengtong.wire import cbor, merkle
from zhengtong.wire.batch import Batch, Standing, Witnessed
from zhengtong.wire.checkpoint import (
    Checkpoint,
    cosign,
    sign_checkpoint,
    verify_checkpoint,
    witnessed_at,
)
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.link import REMEMBERED, Peer, Seen
from zhengtong.wire.log import Log
from zhengtong.wire.receipts import log_name
from zhengtong.wire.store import Store

T = TypeVar("T")

RESTARTED = "log_restarted"
ROLLED_BACK = "log_rolled_back"
UNVERIFIED = "log_unverified"
PATIENCE = timedelta(days=1)
"""How long a neighbour may show a log without proving that it grew from what we know."""
LONG_PATIENCE = timedelta(days=60)
"""The same on a road that takes days."""
_ORIGIN = re.compile(r"([^/]+)/exchange(?:\.([1-9][0-9]{0,8}))?")


class Shown(TypedDict, total=False):
    """The part of a batch that shows our own log."""

    checkpoint: bytes
    base: int
    consistency: tuple[bytes, ...]


def show(epoch: int, log: Log, peer: Peer, keys: NodeKeys) -> Shown:
    """Our checkpoint, as far as the peer has not cosigned it, and the proof from what it has."""
    known = peer.witnessed.size if peer.witnessed.epoch == epoch else 0
    if log.size == known:
        return {}
    checkpoint = Checkpoint(log_name(keys.node, epoch), log.size, log.root())
    return {
        "checkpoint": sign_checkpoint(checkpoint, keys),
        "base": known,
        "consistency": tuple(log.consistency(known, log.size)),
    }


def own_log(store: Store, node: str, standing: Standing) -> tuple[int, Log]:
    """Our log; a new one when a neighbour has verified more of it than we have.

    Then this node was restored from a backup. To go on with the old log would write other entries
    where the neighbour has seen the lost ones.
    """
    epoch, log = store.log()
    seen = standing.seen
    if seen.epoch < epoch or (seen.epoch == epoch and seen.size <= log.size):
        return epoch, log
    store.alarm(standing.sender, ROLLED_BACK, f"{node} {seen}", b"")
    if seen.epoch > epoch:  # we never had one that late, or it would be ours
        return epoch, log
    return seen.epoch + 1, store.restart_log(seen.epoch + 1)


def watch(store: Store, peer: Peer, batch: Batch, keys: NodeKeys, now: datetime) -> Peer:
    """Verify what the peer shows of its log, and cosign it. Raises WireError: forked_log."""
    if batch.checkpoint is None:
        return peer
    note = batch.checkpoint
    shown = _by_any(peer, lambda card: verify_checkpoint(note, card))
    epoch, seen = _epoch(shown, peer), peer.seen
    if epoch < seen.epoch:
        store.alarm(peer.name, ROLLED_BACK, f"{shown.origin}, epoch {seen.epoch} is known", b"")
        return peer
    if epoch > seen.epoch:
        if seen.epoch:
            store.alarm(
                peer.name, RESTARTED, f"{shown.origin} follows {seen.mark}", batch.checkpoint
            )
        seen = Seen(epoch)
    roots = dict(seen.roots)
    newest = seen.mark.size
    if shown.size <= newest:
        if roots.get(shown.size, shown.root) != shown.root:
            raise _forked(shown)
        if shown.size in roots:
            return replace(peer, seen=seen)
        return _unproven(store, replace(peer, seen=seen), ROLLED_BACK, shown, batch, now)
    hash = peer.card.crypto.hash
    base = roots.get(batch.base, hash(b"") if batch.base == newest == 0 else None)
    proof = batch.consistency
    if base is not None and not merkle.verify_consistency(
        batch.base, shown.size, base, shown.root, proof, hash
    ):
        raise _forked(shown)
    if base is None or batch.base < newest:
        # It sets out from less than we know, so what stands between might have been rewritten.
        # Our cosignature, which every batch repeats, tells it where to set out from.
        return _unproven(store, replace(peer, seen=seen), UNVERIFIED, shown, batch, now)
    verified = ((shown.size, shown.root), *seen.roots)[:REMEMBERED]
    line = cbor.encode([epoch, shown.size, cosign(batch.checkpoint, now, keys)])
    return replace(peer, seen=Seen(epoch, verified), cosigned=line)


def witnessed(store: Store, peer: Peer, batch: Batch, epoch: int, log: Log, node: str) -> Peer:
    """Take in the peer's signature under our own log. Raises WireError.

    A peer that was restored from a backup has forgotten some of what it had signed.
    """
    seen = batch.standing.seen
    if (seen.epoch, seen.size) < (peer.witnessed.epoch, peer.witnessed.size):
        peer = replace(peer, witnessed=seen)
    if batch.cosignature is None:
        return peer
    fields = Fields(cbor.decode(batch.cosignature), "cosignature")
    signed_epoch, size, line = fields.number(0), fields.number(1), fields.octets(2)
    fields.end()
    known = peer.witnessed.size if peer.witnessed.epoch == epoch else 0
    if signed_epoch != epoch or not known < size <= log.size:
        return peer
    checkpoint = Checkpoint(log_name(node, epoch), size, log.root(size))
    _by_any(peer, lambda card: witnessed_at(checkpoint, line, card))
    store.keep_cosignature(peer.name, epoch, size, line)
    return replace(peer, witnessed=Witnessed(epoch, size))


def _by_any(peer: Peer, verify: Callable[[NodeCard], T]) -> T:
    """What holds under the peer's card, or under one it had before it changed keys."""
    for card in peer.former:
        with suppress(WireError):
            return verify(card)
    return verify(peer.card)


def _unproven(
    store: Store, peer: Peer, code: str, shown: Checkpoint, batch: Batch, now: datetime
) -> Peer:
    """Believe nothing, and complain if it goes on: one batch may have overtaken another."""
    since = peer.seen.unproven or now
    if now - since > (LONG_PATIENCE if peer.patient else PATIENCE):
        store.alarm(peer.name, code, f"{shown.origin} {shown.size}", batch.checkpoint or b"")
    return replace(peer, seen=replace(peer.seen, unproven=since))


def _epoch(shown: Checkpoint, peer: Peer) -> int:
    found = _ORIGIN.fullmatch(shown.origin)
    if found is None or found[1] != peer.name:
        raise WireError(Refusal.BAD_SIGNATURE, f"{shown.origin} is no log of {peer.name}")
    return int(found[2] or 1)


def _forked(shown: Checkpoint) -> WireError:
    return WireError(Refusal.FORKED_LOG, f"{shown.origin} at {shown.size}")
