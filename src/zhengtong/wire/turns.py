"""A turn: take in a batch and compose the next of its lane, in one transaction.

For roads on which batches are answered by batches. Where each travels by itself, `accept` and
`compose` of the exchange are enough.
"""

from __future__ import annotations

from collections.abc import Collection

from zhengtong.wire.batch import Batch, encode_batch
from zhengtong.wire.exchange import Accepted, Exchange


def answer(exchange: Exchange, data: bytes) -> tuple[Accepted, bytes]:
    """The side that is dialled: whatever comes is answered. Raises WireError."""

    def reply(to: Accepted) -> Batch:
        return exchange.next_batch(to.peer, to.lane, room=to.room)

    accepted, batch = exchange.take_in(data, reply)
    assert batch is not None
    return accepted, encode_batch(batch, exchange.keys)


def proceed(
    exchange: Exchange, data: bytes, lanes: Collection[int], *, room: int = 0
) -> tuple[Accepted, bytes | None]:
    """The side that dials: take an answer in, and go on while there is a reason to.

    None instead of a batch: neither side has more for this lane, or one of them has for a more
    urgent one of `lanes`. `room` limits the batch and the answer to it. Raises WireError.
    """

    def reply(to: Accepted) -> Batch | None:
        if to.lane != min({*to.waiting, *to.ours} & {*lanes}, default=None):
            return None
        return exchange.next_batch(to.peer, to.lane, room=room, wanted=room)

    accepted, batch = exchange.take_in(data, reply)
    return accepted, encode_batch(batch, exchange.keys) if batch else None
