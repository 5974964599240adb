"""What one turn on a link carries: letters of one lane, receipts, refusals, and where we stand.

A batch is a CBOR sequence of two byte strings. The first is the sender's signed standing
(standing.py), which names the second part by its hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from zhengtong.wire import cbor
from zhengtong.wire.beside import Beside, Coming, Read
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields
from zhengtong.wire.keys import FindCard, NodeKeys
from zhengtong.wire.receipts import MAX_RECEIPTS
from zhengtong.wire.standing import Standing, read_standing, sign_standing

MAX_LETTERS = 100
MAX_BATCH = 8 * 1024 * 1024
MAX_REFUSALS = 200
MAX_DETAIL = 500
MAX_PROOF = 128
HASH = 32
"""Bytes of a hash, in either suite."""
MAX_ROOM = MAX_BATCH - MAX_RECEIPTS - 128 * 1024
"""Bytes of a batch that letters may fill."""
MAX_BULKS = 64 * 1024 * 1024
"""Bytes beside the letters of one batch, where they are streamed; MAX_BATCH is for all else."""


@dataclass(frozen=True)
class Letter:
    """An envelope and its place in the gap-free sequence of its lane (from 1).

    `bulk` is what travels beside it, sealed, and is named by its header. `withheld` is the hash of
    an envelope that stays here, because its level is above what the receiver may have: it takes the
    letter's place, so that the sequence goes on.
    """

    sequence: int
    envelope: bytes
    bulk: Beside = b""
    withheld: bytes = b""

    @property
    def size(self) -> int:
        """Bytes that it takes in a batch."""
        return len(self.envelope) + len(self.withheld) + len(self.bulk) + 16


@dataclass(frozen=True)
class Refused:
    """Why the letter with this sequence was not taken; 0 stands for the whole last batch."""

    sequence: int
    code: Refusal
    detail: str


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
    """The leading letters that one batch of at most `room` bytes can carry; at least one.

    More than MAX_BATCH is room on a road that streams: for what is beside the letters.
    """
    taken: list[Letter] = []
    room, left = min(room, MAX_BULKS if room > MAX_BATCH else MAX_ROOM), MAX_ROOM
    for letter in letters:
        room -= letter.size
        left -= len(letter.envelope) + 16
        if len(taken) == MAX_LETTERS or (taken and min(room, left) < 0):
            break
        taken.append(letter)
    return tuple(taken)


def encode_batch(batch: Batch, keys: NodeKeys) -> bytes:
    """A signed batch with what is beside its letters. Raises WireError; see encode_head."""
    data = b"".join((encode_head(batch, keys), *(bytes(item.bulk) for item in batch.letters)))
    if len(data) > MAX_BATCH:
        raise WireError(Refusal.OVERSIZED, f"batch of {len(data)} bytes")
    return data


def encode_head(batch: Batch, keys: NodeKeys) -> bytes:
    """A signed batch up to where that begins which is beside its letters.

    Raises WireError if it breaks a limit that the receiver would hold.
    """
    standing = batch.standing
    if standing.sender != keys.node:
        raise WireError(Refusal.MALFORMED, f"batch of {standing.sender}, keys of {keys.node}")
    _check_order(batch)
    body = cbor.encode(
        {
            "letters": [_written(letter) for letter in batch.letters],
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


def decode_batch(
    data: bytes,
    find_card: FindCard,
    *,
    receiver: str,
    max_bytes: int = MAX_BATCH,
    beside: Read | None = None,
) -> Batch:
    """Verify and read a batch addressed to `receiver`. Raises WireError.

    `find_card` knows the neighbours only. The bulk is parsed only after the signature holds for it.
    What is beside the letters follows in `data`, or comes from `beside` (then `data` is the head).
    """
    if len(data) > max_bytes:
        raise WireError(Refusal.OVERSIZED, f"{len(data)} bytes, at most {max_bytes}")
    signed, at = cbor.read_bstr(data, 0)
    body, end = cbor.read_bstr(data, at)
    standing, card = read_standing(signed, find_card)
    if card.crypto.hash(body) != standing.body_hash:
        raise WireError(Refusal.BAD_SIGNATURE, "the body is not the one that was signed")
    if standing.receiver != receiver:
        raise WireError(Refusal.WRONG_RECIPIENT, f"addressed to {standing.receiver}")
    fields = Fields(cbor.decode(body), "batch")
    batch = Batch(
        standing=standing,
        letters=_read_letters(fields.items("letters", MAX_LETTERS), data[end:], beside),
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


def _written(letter: Letter) -> list[Any]:
    if letter.withheld:
        return [letter.sequence, None, letter.withheld]
    sizes = [len(letter.bulk)] if letter.bulk else []
    return [letter.sequence, letter.envelope, *sizes]


def _read_letters(items: list[Any], rest: bytes, beside: Read | None) -> tuple[Letter, ...]:
    """The letters of a batch, and what travels beside them in the same order."""
    letters, at, limit = [], 0, MAX_BATCH if beside is None else MAX_BULKS
    for item in items:
        fields = Fields(item, "letter")
        number, envelope = fields.number(0), fields.octets_or_none(1)
        if envelope is None:
            letters.append(Letter(number, b"", withheld=fields.octets(2, HASH)))
            fields.end()
            continue
        size = fields.number(2, limit) if 2 in fields else 0
        if 2 in fields and not size:
            raise WireError(Refusal.MALFORMED, "letter: nothing beside it, and said so")
        bulk: Beside = rest[at : at + size]
        if size and beside is not None:
            bulk = Coming(size, beside)
        elif len(bulk) < size:
            raise WireError(Refusal.TRUNCATED, f"{len(bulk)} bytes where {size} were announced")
        letters.append(Letter(number, envelope, bulk))
        fields.end()
        at += size
        limit -= size
    if len(rest) != (at if beside is None else 0):
        raise WireError(Refusal.MALFORMED, "bytes after the end")
    return tuple(letters)


def _read_refused(item: Any) -> Refused:
    fields = Fields(item, "refusal")
    refused = Refused(fields.number(0), fields.choice(1, Refusal), fields.text(2, MAX_DETAIL))
    fields.end()
    return refused


def _read_hashes(items: list[Any]) -> tuple[bytes, ...]:
    if any(type(item) is not bytes for item in items):
        raise WireError(Refusal.MALFORMED, "batch: consistency proof")
    return tuple(items)
