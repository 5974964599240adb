"""This node's links over its own tables: compose a batch, accept a batch, whatever the road.

The rules are those of `zhengtong.wire.exchange`; here they get this node's keys, clock and tables.
A road calls `to_say`, `compose`, `accept` and, when it has lost something, `rewind`.
"""

from __future__ import annotations

import os
from datetime import timedelta

from django.conf import settings

from zhengtong import __version__
from zhengtong.kernel import moment
from zhengtong.kernel.messages.identity import own_keys
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.messages.store import DatabaseStore
from zhengtong.wire.batch import decode_batch
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.exchange import WHOLE_BATCH, Accepted, Exchange

__all__ = ["WHOLE_BATCH", "Accepted", "accept", "answer", "compose", "links", "rewind", "to_say"]


def links() -> Exchange:
    """The state machine of all links of this node."""
    return Exchange(
        keys=own_keys(),
        store=DatabaseStore(),
        now=moment.now,
        rng=os.urandom,
        ceiling=int(settings.NODE.ceiling),
        version=__version__,
    )


def compose(
    peer: str, lane: int, *, refusing: WireError | None = None, room: int = 0, wanted: int = 0
) -> bytes:
    """The next batch for a neighbour in one lane; see wire.exchange.Exchange.compose."""
    return links().compose(peer, lane, refusing=refusing, room=room, wanted=wanted)


def accept(data: bytes) -> Accepted:
    """Take in a batch from any neighbour. Raises WireError when it is refused as a whole."""
    try:
        return links().accept(data)
    except WireError as error:
        if error.code is Refusal.CLOCK:
            _note_clock(data)
        raise


def _note_clock(batch: bytes) -> None:
    """Keep how far the clock of a refused neighbour is off: people here must be told as well."""
    standing = decode_batch(
        batch, DatabaseStore().neighbours(), receiver=settings.NODE.name
    ).standing
    skew_ms = (standing.at - moment.now()) // timedelta(milliseconds=1)
    Neighbour.objects.filter(name=standing.sender).update(skew_ms=skew_ms)


def answer(data: bytes) -> bytes:
    """The parent's side of a dial: take what comes, give what waits in the same lane."""
    accepted = accept(data)
    return compose(accepted.peer, accepted.lane, room=accepted.room)


def to_say(peer: str) -> tuple[int, ...]:
    """The lanes in which there is something to hand over now, most urgent first."""
    return links().to_say(peer)


def rewind(peer: str) -> None:
    """The road has lost something: offer again what has no receipt, and ask for the same."""
    links().rewind(peer)
