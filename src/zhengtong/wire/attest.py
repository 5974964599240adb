"""What a node states about a link outside any exchange: who it is, and where a lane stands."""

from __future__ import annotations

from datetime import datetime

from zhengtong.wire.batch import Batch, encode_batch
from zhengtong.wire.keys import NodeKeys
from zhengtong.wire.standing import NO_EPOCH, Head, Standing, sign_standing


def prove(keys: NodeKeys, peer: str, now: datetime) -> bytes:
    """A batch that says nothing but who we are, now. Of no epoch, it cannot be replayed as one."""
    said = Standing(keys.node, peer, 0, now, _counter(now), epoch=NO_EPOCH)
    return encode_batch(Batch(said), keys)


def attest(
    keys: NodeKeys, peer: str, lane: int, now: datetime, *, sent: Head, received: Head
) -> bytes:
    """Our signed word on a lane, to stand by itself as evidence.

    It vouches for an empty body, which is no batch, so nobody can replay it as one.
    """
    standing = Standing(
        sender=keys.node,
        receiver=peer,
        lane=lane,
        at=now,
        counter=_counter(now),
        sent=sent,
        high=sent.number,
        received=received,
        epoch=NO_EPOCH,
    )
    return sign_standing(standing, keys.suite.hash(b""), keys)


def _counter(now: datetime) -> int:
    return int(now.timestamp() * 1_000_000)
