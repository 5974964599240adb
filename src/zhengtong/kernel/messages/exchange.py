"""This node's links over its own tables: compose a batch, accept a batch, whatever the road.

The rules are those of `zhengtong.wire.exchange`; here they get this node's keys, clock and tables.
A road calls `to_say`, `compose`, `accept` and, when it has lost something, `rewind`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from zhengtong import __version__
from zhengtong.kernel import moment
from zhengtong.kernel.messages.identity import own_keys
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.messages.store import DatabaseStore
from zhengtong.wire import cbor, turns
from zhengtong.wire.batch import Batch, encode_batch, encode_head
from zhengtong.wire.beside import Beside, Read
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.exchange import WHOLE_BATCH, Accepted, Exchange
from zhengtong.wire.standing import read_standing

__all__ = [
    "WHOLE_BATCH",
    "Accepted",
    "Streamed",
    "accept",
    "answer",
    "answer_streamed",
    "compose",
    "links",
    "proceed",
    "respond",
    "rewind",
    "stream",
    "to_say",
]


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


def accept(data: bytes, beside: Read | None = None) -> Accepted:
    """Take in a batch from any neighbour. Raises WireError when it is refused as a whole."""
    with _minding_the_clock(data):
        return links().accept(data, beside)


@contextmanager
def _minding_the_clock(batch: bytes) -> Iterator[None]:
    """Keep how far the clock of a refused neighbour is off: people here must be told as well."""
    try:
        yield
    except WireError as error:
        if error.code is Refusal.CLOCK:
            signed, _ = cbor.read_bstr(batch, 0)
            standing, _ = read_standing(signed, DatabaseStore().neighbours())
            skew_ms = (standing.at - moment.now()) // timedelta(milliseconds=1)
            Neighbour.objects.filter(name=standing.sender).update(skew_ms=skew_ms)
        raise


@dataclass(frozen=True)
class Streamed:
    """A batch on its way: its head, and what is beside its letters, fetched as it is sent."""

    head: bytes
    bulks: tuple[Beside, ...]

    @property
    def size(self) -> int:
        return len(self.head) + sum(map(len, self.bulks))

    def __iter__(self) -> Iterator[bytes]:
        yield self.head
        for bulk in self.bulks:
            yield bytes(bulk)


def stream(
    peer: str, lane: int, *, refusing: WireError | None = None, room: int = 0, wanted: int = 0
) -> Streamed:
    """As `compose`, for a road that need not hold the whole batch."""
    return _streamed(links().collect(peer, lane, refusing, room, wanted))


def answer(data: bytes) -> bytes:
    """The parent's side of a dial: take what comes, give what waits in the same lane."""
    with _minding_the_clock(data):
        return encode_batch(turns.answer(links(), data)[1], own_keys())


def answer_streamed(head: bytes, beside: Read) -> Streamed:
    """The same on a road that streams what is beside the letters."""
    with _minding_the_clock(head):
        return _streamed(turns.answer(links(), head, beside)[1])


def proceed(
    head: bytes, beside: Read, lanes: Collection[int], *, room: int = 0
) -> tuple[Accepted, Streamed | None]:
    """The child's side: take an answer in; the next batch of its lane, if there is to be one."""
    with _minding_the_clock(head):
        accepted, batch = turns.proceed(links(), head, beside, lanes, room=room)
    return accepted, _streamed(batch) if batch else None


def respond(data: bytes) -> tuple[Accepted, bytes | None]:
    """Take a batch in; the next in its lane, if we have something to say there."""
    with _minding_the_clock(data):
        accepted, batch = turns.respond(links(), data)
    return accepted, encode_batch(batch, own_keys()) if batch else None


def _streamed(batch: Batch) -> Streamed:
    bulks = tuple(letter.bulk for letter in batch.letters if letter.bulk)
    return Streamed(encode_head(batch, own_keys()), bulks)


def to_say(peer: str) -> tuple[int, ...]:
    """The lanes in which there is something to hand over now, most urgent first."""
    return links().to_say(peer)


def rewind(peer: str) -> None:
    """The road has lost something: offer again what has no receipt, and ask for the same."""
    links().rewind(peer)
