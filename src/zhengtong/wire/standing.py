"""Where one end of a lane stands, in its own signed words.

Which letters it has handed over and which it holds, each with the chain over all letters up to
there, so that both ends sign the same chain or the difference shows at once. A standing is small
and travels with every batch; kept by itself it is lasting evidence that nothing in the lane is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from zhengtong.wire import cbor, cose
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys, check_node_id, signer_of
from zhengtong.wire.receipts import MAX_LANE
from zhengtong.wire.suite import Rng

MAX_STANDING = 4 * 1024
MAX_EPOCH = 2**53 - 1
DRAWN = 1_000_000
"""An epoch is the minutes since 1970 and below them a number drawn at random, less than this."""
NO_EPOCH, FIRST_EPOCH = 0, 1
CLOCK_TOLERANCE = timedelta(minutes=10)
LANES = MAX_LANE + 1
NO_CHAIN = bytes(32)


@dataclass(frozen=True)
class Head:
    """Where a gap-free sequence stands: its last number (0: none), and the chain up to it."""

    number: int = 0
    chain: bytes = NO_CHAIN


NO_LETTER = Head()


@dataclass(frozen=True)
class Witnessed:
    """How far the sender of the batch has verified the receiver's evidence log; 0, 0: not yet."""

    epoch: int = 0
    size: int = 0


NOT_SEEN = Witnessed()


@dataclass(frozen=True)
class Lost:
    """Numbers of a lane whose letters their sender has lost with its disk; 0, 0: none."""

    first: int = 0
    last: int = 0


NOTHING_LOST = Lost()


@dataclass(frozen=True)
class Standing:
    """What one end of a lane states, signed.

    `epoch` is that of the sender's log: a node restored from a backup begins a later one.
    `counter` grows with every batch of this sender, receiver, lane and epoch and makes a repeat
    visible.
    `sent`: the last letter handed over so far, those of this batch included. `high`: the highest
    number given. `received`: every letter of the receiver up to there is durably stored here.
    `again`: the sender's road has lost something, so it offers anew whatever has no receipt, and
    asks for the same. `waiting`: the lanes in which the sender has more to say. `seen`: how far it
    has verified the receiver's log. `lost`: letters that it cannot hand over any more, though the
    receiver lacks them.
    """

    sender: str
    receiver: str
    lane: int
    at: datetime
    counter: int
    sent: Head = NO_LETTER
    high: int = 0
    received: Head = NO_LETTER
    again: bool = False
    waiting: tuple[int, ...] = ()
    seen: Witnessed = NOT_SEEN
    room: int = 0
    version: str = ""
    body_hash: bytes = b""
    epoch: int = 1
    lost: Lost = NOTHING_LOST


def sign_standing(standing: Standing, body_hash: bytes, keys: NodeKeys) -> bytes:
    """The signed standing that vouches for a body with this hash."""
    payload = cbor.encode(
        {
            "sender": standing.sender,
            "receiver": standing.receiver,
            "lane": standing.lane,
            "epoch": standing.epoch,
            "at": to_microseconds(standing.at),
            "counter": standing.counter,
            "sent": [standing.sent.number, standing.sent.chain],
            "high": standing.high,
            "lost": [standing.lost.first, standing.lost.last],
            "received": [standing.received.number, standing.received.chain],
            "again": standing.again,
            "waiting": list(standing.waiting),
            "seen": [standing.seen.epoch, standing.seen.size],
            "room": standing.room,
            "version": standing.version,
            "body": body_hash,
        }
    )
    return keys.state(cose.STANDING, payload)


def read_standing(signed: bytes, find_card: FindCard) -> tuple[Standing, NodeCard]:
    """A signed standing and who signed it. Raises WireError."""
    message = cose.parse(signed, cose.STANDING, MAX_STANDING)
    card = signer_of(message, find_card)
    fields = Fields(cbor.decode(message.payload), "standing")
    standing = Standing(
        sender=check_node_id(fields.text("sender")),
        receiver=check_node_id(fields.text("receiver")),
        lane=fields.number("lane", MAX_LANE),
        at=fields.moment("at"),
        counter=fields.number("counter"),
        sent=_read_head(fields.items("sent", 2)),
        high=fields.number("high"),
        received=_read_head(fields.items("received", 2)),
        again=fields.flag("again"),
        waiting=_read_lanes(fields.items("waiting", LANES)),
        seen=_read_witnessed(fields.items("seen", 2)),
        room=fields.number("room"),
        version=fields.text("version", 40),
        body_hash=fields.octets("body"),
        epoch=fields.number("epoch", MAX_EPOCH),
        lost=_read_lost(fields.items("lost", 2)),
    )
    fields.end()
    if standing.sender != card.node:
        raise WireError(Refusal.BAD_SIGNATURE, f"{card.node} signed as {standing.sender}")
    return standing, card


def later_epoch(last: int, now: datetime, rng: Rng) -> int:
    """The epoch of a new life of a node: later than `last`, and none that it ever had before.

    A node that goes back to one backup twice remembers nothing of its first life, and its clock may
    tell the same time again; chance does not.
    """
    minutes = int(now.timestamp()) // 60
    return max(last, minutes * DRAWN) + 1 + int.from_bytes(rng(8), "big") % DRAWN


def require_fresh(
    standing: Standing,
    last_counter: int,
    now: datetime,
    *,
    patient: bool = False,
    tolerance: timedelta = CLOCK_TOLERANCE,
) -> None:
    """Refuse a repeated batch, or one from a clock that is off. Raises WireError.

    `patient`: the road may take days, so only a moment that is yet to come betrays the clock.
    """
    if standing.counter <= last_counter:
        raise WireError(Refusal.REPLAYED, f"counter {standing.counter}, last {last_counter}")
    off = standing.at - now
    if off > tolerance or (off < -tolerance and not patient):
        raise WireError(Refusal.CLOCK, f"off by {abs(off).total_seconds():.0f} s")


def _read_head(item: Any) -> Head:
    fields = Fields(item, "head")
    head = Head(fields.number(0), fields.octets(1))
    fields.end()
    return head


def _read_witnessed(item: Any) -> Witnessed:
    fields = Fields(item, "seen")
    seen = Witnessed(fields.number(0, MAX_EPOCH), fields.number(1))
    fields.end()
    return seen


def _read_lost(item: Any) -> Lost:
    fields = Fields(item, "lost")
    lost = Lost(fields.number(0), fields.number(1))
    fields.end()
    return lost


def _read_lanes(items: list[Any]) -> tuple[int, ...]:
    if any(type(lane) is not int or not 0 <= lane <= MAX_LANE for lane in items):
        raise WireError(Refusal.MALFORMED, "standing: waiting lanes")
    return tuple(items)
