"""Whatever arrives, every reader answers with a value or a typed refusal, nothing else.

Nothing that was damaged passes for what its signer said, and nothing small takes much memory.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire import stamps, test_directory, test_ferry, test_vouching
from tests.wire.builders import (
    CITY,
    CITY_CARD,
    FUGOU,
    FUGOU_CARD,
    NOW,
    SHENQIU_CARD,
    batch,
    entry,
    evidence,
    find_card,
    receipts,
    sealed,
)
from zhengtong.wire import cbor, cose, directory, joining, timestamp
from zhengtong.wire.batch import decode_batch, encode_batch
from zhengtong.wire.checkpoint import Checkpoint, log_origin, sign_checkpoint, verify_checkpoint
from zhengtong.wire.encrypt import open_body
from zhengtong.wire.envelope import disclosed, open_envelope, read_header
from zhengtong.wire.errors import WireError
from zhengtong.wire.evidence import LoggedEntry, pack
from zhengtong.wire.evidence_check import verify
from zhengtong.wire.ferry import read_head
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.receipts import Entry, single, verify_single
from zhengtong.wire.receipts import verify as verify_run
from zhengtong.wire.standing import read_standing, sign_standing
from zhengtong.wire.vouching import Cause, read_voucher, vouch

Reader = Callable[[bytes], object]
LETTER = sealed(None, SHENQIU_CARD, CITY_CARD)
PARTS = cose.parse(LETTER.envelope, cose.ENVELOPE, 100_000)
RUN = receipts(entry(1), entry(2), before=3)
RECEIPT = single(RUN, 1, FUGOU_CARD.crypto)
BATCH = encode_batch(batch(), CITY)
STANDING, BODY = cbor.read_bstr(BATCH, 0)[0], cbor.read_bstr(BATCH, cbor.read_bstr(BATCH, 0)[1])[0]
HEAD = sign_checkpoint(Checkpoint(log_origin("zhoukou"), 3, bytes(32)), CITY)
REQUEST = joining.ask(
    FUGOU,
    FUGOU_CARD,
    token=bytes(20),
    csr=b"-----BEGIN",
    recovery=None,
    organisations=(test_directory.OFFICE,),
    at=NOW,
)
ANSWER = joining.answer(
    CITY,
    CITY_CARD,
    request=REQUEST.digest,
    recovery=None,
    certificate=b"-----BEGIN",
    authority=b"-----BEGIN",
    directory=test_directory.version(1).signed,
)
VOUCHER = vouch(FUGOU, test_vouching.card(), Cause.ROTATION, test_vouching.LATER)
VOLUME = test_ferry.packed([[b"a batch"]])[0]


def signed_as(message_type: str, reader: Reader) -> Reader:
    """A reader behind a valid signature: what an evil but known neighbour can reach."""
    return lambda payload: reader(CITY.state(message_type, payload))


def read_batch(data: bytes) -> object:
    return decode_batch(data, find_card, receiver="fugou")


def read_body(body: bytes) -> object:
    signed = sign_standing(batch().standing, CITY.suite.hash(body), CITY)
    return read_batch(cbor.bstr(signed) + cbor.bstr(body))


def read_run(data: bytes) -> object:
    return verify_run(data, find_card)


def read_receipt(data: bytes) -> object:
    return verify_single(RUN.entries[1], data, find_card)


def read_entry(data: bytes) -> object:
    return Entry.decode(data)


def read_card(payload: bytes) -> object:
    return NodeCard.from_cbor(CITY.state(cose.CARD, payload))


def header_of(protected: bytes) -> object:
    return open_envelope(CITY.sign(protected, PARTS.payload), CITY, find_card)


def read_disclosure(data: bytes) -> object:
    header = read_header(LETTER.envelope)
    told = header.__class__(**{**header.__dict__, "content_hash": CITY.suite.hash(data)})
    return disclosed(told, data)


READERS: dict[str, tuple[bytes, Reader]] = {
    "envelope": (LETTER.envelope, lambda data: open_envelope(data, CITY, find_card)),
    "header": (PARTS.protected, header_of),
    "encrypted": (PARTS.payload, lambda data: open_body(data, PARTS.protected, CITY)),
    "disclosure": (LETTER.disclosure, read_disclosure),
    "batch": (BATCH, read_batch),
    "batch-body": (BODY, read_body),
    "standing-payload": (
        cose.parse(STANDING, cose.STANDING, 10_000).payload,
        signed_as(cose.STANDING, lambda data: read_standing(data, find_card)),
    ),
    "receipts": (RUN.encode(), read_run),
    "receipt": (RECEIPT, read_receipt),
    "log-entry": (RUN.entries[0], read_entry),
    "card": (CITY_CARD.to_cbor(), NodeCard.from_cbor),
    "card-payload": (cose.parse(CITY_CARD.to_cbor(), cose.CARD, 10_000).payload, read_card),
    "keys": (CITY.to_pem(), NodeKeys.from_pem),
    "checkpoint": (HEAD, lambda data: verify_checkpoint(data, CITY_CARD)),
    "evidence": (pack(evidence()), verify),
    "directory": (test_directory.version(2).signed, lambda data: directory.read(data, find_card)),
    "join-request": (REQUEST.signed, joining.read_request),
    "join-answer": (ANSWER.signed, lambda data: joining.read_answer(data, REQUEST)),
    "voucher": (VOUCHER.signed, lambda data: read_voucher(data, FUGOU_CARD, None)),
    "ferry-head": (VOLUME, lambda data: read_head(data, find_card, receiver="fugou", ceiling=2)),
    "ferry-volume": (VOLUME, test_ferry.unloaded),
    "time-stamp": (stamps.token(HEAD, NOW), lambda data: timestamp.verify(data, HEAD)),
}
UNSIGNED = {
    "encrypted",
    "disclosure",
    "batch-body",
    "standing-payload",
    "log-entry",
    "card-payload",
    "keys",
}
"""What is read without a signature of its own over all of it: other values may come of it."""
LITTLE = 4 << 20
"""More bytes than reading any of the small inputs here may take at one time."""


@st.composite
def damage(draw: st.DrawFn, whole: bytes) -> bytes:
    """Cuts, overwrites, insertions and repeats of a valid input."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        patch = draw(
            st.binary(max_size=9)
            | st.sampled_from([b"\x9b" + b"\xff" * 8, b"\x5b" + b"\x7f" * 8, b"\xf6", b"\x80"])
            | st.just(bytes(data[start:end]) * 2)
        )
        data[start:end] = patch
    return bytes(data)


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_damaged_input_meets_a_value_or_a_typed_refusal(name: str, data: st.DataObject) -> None:
    whole, reader = READERS[name]
    damaged = data.draw(damage(whole))
    try:
        read = reader(damaged)
    except WireError as refused:
        assert refused.zh
        assert refused.en
        return
    if name == "evidence":
        assert read.ok == (damaged == whole)  # type: ignore[attr-defined]
    elif name not in UNSIGNED:
        assert read == reader(whole), "a forgery was taken for the signer's word"


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_reading_damaged_input_takes_little_memory(name: str, data: st.DataObject) -> None:
    whole, reader = READERS[name]
    damaged = data.draw(damage(whole))
    tracemalloc.start()
    try:
        with suppress(WireError):
            reader(damaged)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < LITTLE, f"{peak} bytes for an input of {len(damaged)}"


trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-24, 23), inner, max_size=4)
        | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=10,
)


def paths(value: object) -> list[tuple[object, ...]]:
    """Every place inside a decoded structure."""
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    else:
        return [()]
    return [(), *((key, *rest) for key, inner in steps for rest in paths(inner))]


def replaced(value: object, path: tuple[object, ...], by: object) -> object:
    if not path:
        return by
    copy = value.copy()  # type: ignore[attr-defined]
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


@pytest.mark.parametrize(
    "name",
    [
        "header",
        "encrypted",
        "disclosure",
        "batch-body",
        "standing-payload",
        "receipts",
        "log-entry",
        "card-payload",
    ],
)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_any_value_in_any_place_meets_a_value_or_a_typed_refusal(
    name: str, data: st.DataObject
) -> None:
    """Structure-aware: valid CBOR, properly signed, with something absurd inside."""
    whole, reader = READERS[name]
    tag = b"\xd8\x60" if name == "encrypted" else b""
    value = cbor.decode(whole.removeprefix(tag))
    path = data.draw(st.sampled_from(paths(value)))
    absurd = tag + cbor.encode(replaced(value, path, data.draw(trees)))
    try:
        reader(absurd)
    except WireError as refused:
        assert refused.zh


@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_an_evidence_file_of_damaged_parts_is_judged_not_crashed_on(data: st.DataObject) -> None:
    """The forger mends every hash, so the damage reaches the judge itself."""
    whole = evidence()
    letters = list(whole.letters)
    parts = {name: list(getattr(whole, name)) for name in ("cards", "standings", "checkpoints")}
    where = data.draw(st.sampled_from([*parts, "receipt", "envelope", "disclosure", "entry"]))
    receipt = whole.receipts[0]
    if where in parts:
        parts[where][0] = data.draw(damage(parts[where][0]))
    elif where == "receipt":
        receipt = replace(receipt, receipt=data.draw(damage(receipt.receipt)))
    elif where != "entry":
        letters[0] = replace(letters[0], **{where: data.draw(damage(getattr(letters[0], where)))})
    entries = list(whole.entries)
    if where == "entry":
        entries[0] = LoggedEntry(
            data.draw(st.binary(max_size=20)),
            data.draw(st.integers(0, 20)),
            tuple(data.draw(st.lists(st.binary(max_size=40), max_size=64))),
            data.draw(st.integers(0, 3)),
        )
    forged = replace(
        whole,
        letters=tuple(letters),
        entries=tuple(entries),
        cards=tuple(parts["cards"]),
        receipts=(receipt,),
        standings=tuple(parts["standings"]),
        checkpoints=tuple(parts["checkpoints"]),
    )
    report = verify(pack(forged))
    assert report.ok == (forged == whole)
