"""What one dial carries: letters one way, acknowledgements and refusals the other.

A batch is one COSE_Sign1 by its sender for one neighbour. It always tells the sender's whole
view of the link (highest sequence ever assigned, highest contiguous sequence received), so that
a silent stall or an omission shows at the next dial.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from zhengtong.wire import cbor, cose
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import FindCard, NodeKeys, check_node_id, signer_of

MAX_LETTERS = 100
MAX_BATCH = 8 * 1024 * 1024
MAX_REFUSALS = 200
MAX_DETAIL = 500
MAX_WAIT = 60
CLOCK_TOLERANCE = timedelta(minutes=10)
_ROOM_FOR_THE_REST = 256 * 1024


@dataclass(frozen=True)
class Letter:
    """An envelope and its place in the gap-free sequence of its link (from 1)."""

    sequence: int
    envelope: bytes


@dataclass(frozen=True)
class Refused:
    """Why the letter with this sequence was not taken."""

    sequence: int
    code: Refusal
    detail: str


@dataclass(frozen=True)
class Batch:
    """One side's turn in a dial.

    `counter` grows with every batch of this sender to this receiver and makes a repeat visible.
    `acknowledged`: every letter up to this sequence is durably stored at the sender of the batch.
    `high`: the highest sequence the sender of the batch has ever assigned on this link.
    `wait`: seconds the receiver may hold the dial open for an answer.
    `receipts` and `checkpoint` are opaque here: see receipts.py and checkpoint.py.
    """

    sender: str
    receiver: str
    at: datetime
    counter: int
    acknowledged: int = 0
    high: int = 0
    letters: tuple[Letter, ...] = ()
    receipts: bytes | None = None
    refusals: tuple[Refused, ...] = ()
    checkpoint: bytes | None = None
    wait: int = 0

    @property
    def expected(self) -> int:
        """The sequence that the sender of this batch wants to receive next."""
        return self.acknowledged + 1


def take_what_fits(letters: Iterable[Letter]) -> tuple[Letter, ...]:
    """The leading letters that one batch can carry."""
    taken: list[Letter] = []
    room = MAX_BATCH - _ROOM_FOR_THE_REST
    for letter in letters:
        room -= len(letter.envelope) + 16
        if len(taken) == MAX_LETTERS or room < 0:
            break
        taken.append(letter)
    return tuple(taken)


def encode_batch(batch: Batch, keys: NodeKeys) -> bytes:
    """Sign a batch. Raises WireError if it breaks a limit that the receiver would hold."""
    if batch.sender != keys.node:
        raise WireError(Refusal.MALFORMED, f"batch of {batch.sender}, keys of {keys.node}")
    _check_order(batch)
    payload = cbor.encode(
        {
            "sender": batch.sender,
            "receiver": batch.receiver,
            "at": to_microseconds(batch.at),
            "counter": batch.counter,
            "acknowledged": batch.acknowledged,
            "high": batch.high,
            "letters": [[letter.sequence, letter.envelope] for letter in batch.letters],
            "receipts": batch.receipts,
            "refusals": [[r.sequence, r.code.value, r.detail[:MAX_DETAIL]] for r in batch.refusals],
            "checkpoint": batch.checkpoint,
            "wait": batch.wait,
        }
    )
    data = keys.state(cose.BATCH, payload)
    if len(data) > MAX_BATCH:
        raise WireError(Refusal.OVERSIZED, f"batch of {len(data)} bytes")
    return data


def decode_batch(
    data: bytes, find_card: FindCard, *, receiver: str, max_bytes: int = MAX_BATCH
) -> Batch:
    """Verify and read a batch addressed to `receiver`. Raises WireError.

    `find_card` knows the neighbours only. The contents are parsed only after the signature holds.
    """
    message = cose.parse(data, cose.BATCH, max_bytes)
    sender = signer_of(message, find_card)
    fields = Fields(cbor.decode(message.payload), "batch")
    batch = Batch(
        sender=check_node_id(fields.text("sender")),
        receiver=check_node_id(fields.text("receiver")),
        at=fields.moment("at"),
        counter=fields.number("counter"),
        acknowledged=fields.number("acknowledged"),
        high=fields.number("high"),
        letters=tuple(_read_letter(item) for item in fields.items("letters", MAX_LETTERS)),
        receipts=fields.octets_or_none("receipts"),
        refusals=tuple(_read_refused(item) for item in fields.items("refusals", MAX_REFUSALS)),
        checkpoint=fields.octets_or_none("checkpoint"),
        wait=fields.number("wait", MAX_WAIT),
    )
    fields.end()
    if batch.sender != sender.node:
        raise WireError(Refusal.BAD_SIGNATURE, f"{sender.node} signed as {batch.sender}")
    if batch.receiver != receiver:
        raise WireError(Refusal.WRONG_RECIPIENT, f"addressed to {batch.receiver}")
    _check_order(batch)
    return batch


def require_fresh(
    batch: Batch, last_counter: int, now: datetime, tolerance: timedelta = CLOCK_TOLERANCE
) -> None:
    """Refuse a repeated batch, or one from a clock that is off. Raises WireError."""
    if batch.counter <= last_counter:
        raise WireError(Refusal.REPLAYED, f"counter {batch.counter}, last {last_counter}")
    if abs(batch.at - now) > tolerance:
        raise WireError(Refusal.CLOCK, f"off by {abs(batch.at - now).total_seconds():.0f} s")


def _check_order(batch: Batch) -> None:
    """Letters follow one another without a gap and none is above `high`."""
    if len(batch.letters) > MAX_LETTERS or len(batch.refusals) > MAX_REFUSALS:
        raise WireError(Refusal.OVERSIZED, f"{len(batch.letters)} letters")
    if not batch.letters:
        return
    first = batch.letters[0].sequence
    expected = range(first, first + len(batch.letters))
    if first < 1 or [letter.sequence for letter in batch.letters] != list(expected):
        raise WireError(Refusal.MALFORMED, "letters are not in gap-free order")
    if expected[-1] > batch.high:
        raise WireError(Refusal.MALFORMED, f"letter {expected[-1]} above high {batch.high}")


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
