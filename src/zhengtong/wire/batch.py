"""What one turn on a link carries: letters of one lane, receipts, refusals, and where we stand.

A batch is a CBOR sequence of two byte strings. The first is the sender's signed *standing*: which
letters it has handed over and which it holds, each with the chain over all letters up to there, so
that both ends sign the same chain or the difference shows at once. The standing is small and names
the second part by its hash; kept by itself it is lasting evidence that nothing in the lane is
missing. The second part holds the bulk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from zhengtong.wire import cbor, cose
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys, check_node_id, signer_of
from zhengtong.wire.receipts import MAX_LANE, MAX_RECEIPTS

MAX_LETTERS = 100
MAX_BATCH = 8 * 1024 * 1024
MAX_STANDING = 4 * 1024
MAX_REFUSALS = 200
MAX_DETAIL = 500
MAX_PROOF = 128
MAX_EPOCH = 999_999_999
CLOCK_TOLERANCE = timedelta(minutes=10)
LANES = MAX_LANE + 1
_ROOM_FOR_THE_REST = MAX_RECEIPTS + 128 * 1024
NO_CHAIN = bytes(32)


@dataclass(frozen=True)
class Head:
    """Where a gap-free sequence stands: its last number (0: none), and the chain up to it."""

    number: int = 0
    chain: bytes = NO_CHAIN


NO_LETTER = Head()


@dataclass(frozen=True)
class Letter:
    """An envelope and its place in the gap-free sequence of its lane (from 1)."""

    sequence: int
    envelope: bytes


@dataclass(frozen=True)
class Refused:
    """Why the letter with this sequence was not taken; 0 stands for the whole last batch."""

    sequence: int
    code: Refusal
    detail: str


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


@dataclass(frozen=True)
class Batch:
    """A standing and what comes with it.

    `receipts`, `checkpoint` and `cosignature` are opaque here: see receipts.py, checkpoint.py.
    `cosignature` is the receiver's own newest checkpoint with the sender's line under it.
    `base` and `consistency` prove that the log of `checkpoint` extends the one of size `base`.
    `signed` is the standing as it was signed, empty in a batch that is yet to be encoded.
    """

    standing: Standing
    letters: tuple[Letter, ...] = ()
    receipts: bytes | None = None
    refusals: tuple[Refused, ...] = ()
    checkpoint: bytes | None = None
    base: int = 0
    consistency: tuple[bytes, ...] = ()
    cosignature: bytes | None = None
    signed: bytes = b""

    def refused(self, number: int) -> Refused | None:
        """Why the letter of this number, or with 0 our whole last batch, was refused."""
        return next((item for item in self.refusals if item.sequence == number), None)


def take_what_fits(letters: Iterable[Letter], room: int = MAX_BATCH) -> tuple[Letter, ...]:
    """The leading letters that one batch of at most `room` bytes can carry; at least one."""
    taken: list[Letter] = []
    room = min(room, MAX_BATCH - _ROOM_FOR_THE_REST)
    for letter in letters:
        room -= len(letter.envelope) + 16
        if len(taken) == MAX_LETTERS or (taken and room < 0):
            break
        taken.append(letter)
    return tuple(taken)


def encode_batch(batch: Batch, keys: NodeKeys) -> bytes:
    """Sign a batch. Raises WireError if it breaks a limit that the receiver would hold."""
    standing = batch.standing
    if standing.sender != keys.node:
        raise WireError(Refusal.MALFORMED, f"batch of {standing.sender}, keys of {keys.node}")
    _check_order(batch)
    body = cbor.encode(
        {
            "letters": [[letter.sequence, letter.envelope] for letter in batch.letters],
            "receipts": batch.receipts,
            "refusals": [[r.sequence, r.code.value, r.detail[:MAX_DETAIL]] for r in batch.refusals],
            "checkpoint": batch.checkpoint,
            "base": batch.base,
            "consistency": list(batch.consistency),
            "cosignature": batch.cosignature,
        }
    )
    signed = sign_standing(standing, keys.suite.hash(body), keys)
    data = b"".join((cbor.bstr(signed), cbor.head(2, len(body)), body))
    if len(data) > MAX_BATCH:
        raise WireError(Refusal.OVERSIZED, f"batch of {len(data)} bytes")
    return data


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


def decode_batch(
    data: bytes, find_card: FindCard, *, receiver: str, max_bytes: int = MAX_BATCH
) -> Batch:
    """Verify and read a batch addressed to `receiver`. Raises WireError.

    `find_card` knows the neighbours only. The bulk is parsed only after the signature holds for it.
    """
    if len(data) > max_bytes:
        raise WireError(Refusal.OVERSIZED, f"{len(data)} bytes, at most {max_bytes}")
    signed, at = cbor.read_bstr(data, 0)
    body, end = cbor.read_bstr(data, at)
    if end != len(data):
        raise WireError(Refusal.MALFORMED, f"{len(data) - end} bytes after the end")
    standing, card = read_standing(signed, find_card)
    if card.crypto.hash(body) != standing.body_hash:
        raise WireError(Refusal.BAD_SIGNATURE, "the body is not the one that was signed")
    if standing.receiver != receiver:
        raise WireError(Refusal.WRONG_RECIPIENT, f"addressed to {standing.receiver}")
    fields = Fields(cbor.decode(body), "batch")
    batch = Batch(
        standing=standing,
        letters=tuple(_read_letter(item) for item in fields.items("letters", MAX_LETTERS)),
        receipts=fields.octets_or_none("receipts"),
        refusals=tuple(_read_refused(item) for item in fields.items("refusals", MAX_REFUSALS)),
        checkpoint=fields.octets_or_none("checkpoint"),
        base=fields.number("base"),
        consistency=_read_hashes(fields.items("consistency", MAX_PROOF)),
        cosignature=fields.octets_or_none("cosignature"),
        signed=signed,
    )
    fields.end()
    _check_order(batch)
    return batch


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


def _check_order(batch: Batch) -> None:
    """Letters follow one another without a gap and none is above `high`.

    Behind lost numbers stands one letter or none, so that `sent` is the head to go on from.
    """
    if len(batch.letters) > MAX_LETTERS or len(batch.refusals) > MAX_REFUSALS:
        raise WireError(Refusal.OVERSIZED, f"{len(batch.letters)} letters")
    lost, behind = batch.standing.lost, [letter.sequence for letter in batch.letters]
    if lost.last and not (
        1 <= lost.first <= lost.last
        and behind in ([], [lost.last + 1])
        and batch.standing.sent.number == lost.last + len(behind)
    ):
        raise WireError(Refusal.MALFORMED, f"lost {lost.first} to {lost.last}, but not all")
    if not batch.letters:
        return
    first = batch.letters[0].sequence
    expected = range(first, first + len(batch.letters))
    if first < 1 or [letter.sequence for letter in batch.letters] != list(expected):
        raise WireError(Refusal.MALFORMED, "letters are not in gap-free order")
    standing = batch.standing
    if not expected[-1] <= standing.sent.number <= standing.high:
        raise WireError(
            Refusal.MALFORMED, f"letter {expected[-1]} above sent {standing.sent.number}"
        )


def _read_letter(item: Any) -> Letter:
    fields = Fields(item, "letter")
    letter = Letter(fields.number(0), fields.octets(1))
    fields.end()
    return letter


def _read_refused(item: Any) -> Refused:
    fields = Fields(item, "refusal")
    refused = Refused(fields.number(0), fields.choice(1, Refusal), fields.text(2, MAX_DETAIL))
    fields.end()
    return refused


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


def _read_hashes(items: list[Any]) -> tuple[bytes, ...]:
    if any(type(item) is not bytes for item in items):
        raise WireError(Refusal.MALFORMED, "batch: consistency proof")
    return tuple(items)
