"""A turn: take in a batch and compose the next of its lane, in one transaction.

So a turn costs one commit, and reads what it needs once.
"""

from __future__ import annotations

from collections.abc import Collection

from zhengtong.wire.batch import MAX_BATCH, Batch
from zhengtong.wire.beside import Read
from zhengtong.wire.exchange import Accepted, Exchange


def answer(exchange: Exchange, data: bytes, beside: Read | None = None) -> tuple[Accepted, Batch]:
    """The side that is dialled: whatever comes is answered. Raises WireError.

    Only with a stream, which `beside` reads, may the answer be longer than MAX_BATCH.
    """

    def reply(to: Accepted) -> Batch:
        room = to.room if beside else min(to.room, MAX_BATCH)
        return exchange.next_batch(to.peer, to.lane, room=room)

    accepted, batch = exchange.take_in(data, beside, reply)
    assert batch is not None
    return accepted, batch


def proceed(
    exchange: Exchange,
    data: bytes,
    beside: Read | None,
    lanes: Collection[int],
    *,
    room: int = 0,
) -> tuple[Accepted, Batch | None]:
    """The side that dials: take an answer in, and go on while there is a reason to.

    None instead of a batch: neither side has more for this lane, or one of them has for a more
    urgent one of `lanes`. `room` limits the batch and the answer to it. Raises WireError.
    """

    def reply(to: Accepted) -> Batch | None:
        if to.lane != min({*to.waiting, *to.ours} & {*lanes}, default=None):
            return None
        return exchange.next_batch(to.peer, to.lane, room=room, wanted=room)

    return exchange.take_in(data, beside, reply)


def respond(exchange: Exchange, data: bytes) -> tuple[Accepted, Batch | None]:
    """Where batches travel by themselves: accept one and compose what there is to say to it.

    None instead of a batch: there is nothing to say in this lane, or first in a more urgent one.
    Raises WireError.
    """

    def reply(to: Accepted) -> Batch | None:
        most_urgent = min(to.ours, default=None)
        return exchange.next_batch(to.peer, to.lane) if to.lane == most_urgent else None

    return exchange.take_in(data, None, reply)
