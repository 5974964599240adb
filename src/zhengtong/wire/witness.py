"""Two neighbours watch each other's evidence logs.

Every batch brings the sender's newest checkpoint with a proof that it extends one that the receiver
has verified before, and the receiver returns its signature under it. So a log that is rewritten or
shown differently contradicts something its own node has signed and others hold.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypedDict, TypeVar

from zhengtong.wire import merkle
from zhengtong.wire.batch import Batch
from zhengtong.wire.checkpoint import (
    Checkpoint,
    cosign,
    cosigned_anew,
    parse_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_note,
    witnessed_at,
)
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.link import REMEMBERED, Peer, Seen, restored_there
from zhengtong.wire.log import Log
from zhengtong.wire.receipts import log_name
from zhengtong.wire.standing import Witnessed
from zhengtong.wire.store import Store

T = TypeVar("T")

RESTARTED = "log_restarted"
ROLLED_BACK = "log_rolled_back"
UNVERIFIED = "log_unverified"
PATIENCE = timedelta(days=1)
"""How long a neighbour may show a log without proving that it grew from what we know."""
LONG_PATIENCE = timedelta(days=60)
"""The same on a road that takes days."""


class Shown(TypedDict, total=False):
    """The part of a batch that shows our own log."""

    checkpoint: bytes
    base: int
    consistency: tuple[bytes, ...]


def show(epoch: int, log: Log, peer: Peer, keys: NodeKeys) -> Shown:
    """Our checkpoint, as far as the peer has not cosigned it, and the proof from what it has.

    An empty log is always shown: should the peer have forgotten that it cosigned it, what it says
    it has seen is no less than before.
    """
    if log.size and peer.witnessed == Witnessed(epoch, log.size):
        return {}
    known = peer.witnessed.size if peer.witnessed.epoch == epoch else 0
    checkpoint = Checkpoint(log_name(keys.node, epoch), log.size, log.root())
    return {
        "checkpoint": sign_checkpoint(checkpoint, keys),
        "base": known,
        "consistency": tuple(log.consistency(known, log.size)),
    }


def vouch(peer: Peer, keys: NodeKeys, now: datetime) -> bytes | None:
    """Our newest cosignature for the peer. Made anew if we have changed keys since: a former key
    may count for nothing with the peer by now, and it would refuse the whole batch."""
    return cosigned_anew(peer.cosigned, now, keys) if peer.cosigned else None


def present(store: Store, peer: Peer, batch: Batch) -> Peer:
    """Begin to know the peer's new epoch: it was restored from a backup, or we have just met."""
    epoch = batch.standing.epoch
    if epoch == peer.seen.epoch:
        return peer
    if peer.seen.epoch:
        detail = f"{log_name(peer.name, epoch)} follows {peer.seen.mark}"
        store.alarm(peer.name, RESTARTED, detail, batch.signed)
    for row in store.lanes(peer.name):
        before = store.before_restores(peer.name, row.lane)
        store.save_lane(restored_there(store.lane(peer.name, row.lane), before))
    return replace(peer, seen=Seen(epoch))


def proves_rollback(store: Store, peer: Peer, batch: Batch, keys: NodeKeys) -> bool:
    """Whether the peer holds our own signature under more of our log than we have.

    Then this node was put back to an earlier state without being told so. To go on with the old
    log would write other entries where the peer has seen the lost ones. The lost life may have
    signed with keys that are only about to be used here. Its mere word proves nothing: people are
    told of it, and that is all.
    """
    epoch, log = store.log()
    seen, have = batch.standing.seen, (epoch, log.size)
    if (seen.epoch, seen.size) <= have:
        return False
    store.alarm(peer.name, ROLLED_BACK, f"{keys.node} {seen}", batch.signed)
    if batch.cosignature is None:
        return False
    checkpoint, text, lines = parse_checkpoint(batch.cosignature)
    ours = any(
        verify_note(text, lines, checkpoint.origin, keys.suite, any_of.signing_public)
        for any_of in (keys, *keys.spare)
    )
    name = log_name(keys.node, seen.epoch)
    return ours and checkpoint.origin == name and (seen.epoch, checkpoint.size) > have


def watch(store: Store, peer: Peer, batch: Batch, keys: NodeKeys, now: datetime) -> Peer:
    """Verify what the peer shows of its log, and cosign it. Raises WireError: forked_log."""
    if batch.checkpoint is None:
        return peer
    note = batch.checkpoint
    shown = _by_any(peer, lambda card: verify_checkpoint(note, card))
    epoch, seen = batch.standing.epoch, peer.seen
    if shown.origin != log_name(peer.name, epoch):  # the standing, which it signed, names another
        raise _forked(shown)
    roots = dict(seen.roots)
    newest = seen.mark.size
    if seen.roots and shown.size <= newest:
        if roots.get(shown.size, shown.root) != shown.root:
            raise _forked(shown)
        if shown.size in roots:
            return peer
        return _unproven(store, peer, ROLLED_BACK, shown, batch, now)
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
        return _unproven(store, peer, UNVERIFIED, shown, batch, now)
    verified = ((shown.size, shown.root), *seen.roots)[:REMEMBERED]
    cosigned = note + cosign(note, now, keys)
    return replace(peer, seen=Seen(epoch, verified), cosigned=cosigned)


def witnessed(store: Store, peer: Peer, batch: Batch, epoch: int, log: Log, node: str) -> Peer:
    """Take in the peer's signature under our own log. Raises WireError.

    A peer that was restored from a backup has forgotten some of what it had signed.
    """
    seen = batch.standing.seen
    if (seen.epoch, seen.size) < (peer.witnessed.epoch, peer.witnessed.size):
        peer = replace(peer, witnessed=seen)
    if batch.cosignature is None:
        return peer
    checkpoint, _, _ = parse_checkpoint(batch.cosignature)
    known = peer.witnessed.size if peer.witnessed.epoch == epoch else -1
    if checkpoint.origin != log_name(node, epoch) or not known < checkpoint.size <= log.size:
        return peer
    ours = Checkpoint(checkpoint.origin, checkpoint.size, log.root(checkpoint.size))
    line = batch.cosignature.rstrip(b"\n").rpartition(b"\n")[2] + b"\n"
    _by_any(peer, lambda card: witnessed_at(ours, line, card))
    store.keep_cosignature(peer.name, epoch, checkpoint.size, line)
    return replace(peer, witnessed=Witnessed(epoch, checkpoint.size))


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


def _forked(shown: Checkpoint) -> WireError:
    return WireError(Refusal.FORKED_LOG, f"{shown.origin} at {shown.size}")
