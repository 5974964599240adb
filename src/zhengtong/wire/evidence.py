"""One file that carries everything needed to prove a document's road, offline.

A CBOR sequence (RFC 8742): a fixed mark, the table of sections with the length and hash of each,
the hash of the table, the sections, and the hash of all before it. These hashes only say *where*
a file is damaged; what it proves rests on the signatures inside (evidence_check.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from zhengtong.wire import cbor
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import check_node_id

MAX_BUNDLE = 512 * 1024 * 1024
MAX_TABLE = 1024 * 1024
MAX_SECTIONS = 5000
MAX_SPAN = 100_000
_MARK = cbor.encode("zhengtong-evidence/1")
_HASH = 32


class Part(StrEnum):
    """The sorts of sections, in the order in which they stand in the file."""

    ABOUT = "about"
    CARD = "card"
    FILE = "file"
    ENVELOPE = "envelope"
    CONTENT = "content"
    RECEIPT = "receipt"
    SPAN = "span"
    STANDING = "standing"
    CHECKPOINT = "checkpoint"
    ENTRY = "entry"
    STAMP = "stamp"


@dataclass(frozen=True)
class Name:
    """What a part is called in a finding, e.g. 附件 a.pdf / attachment a.pdf."""

    zh: str
    en: str


BUNDLE = Name("案卷文件", "the evidence file")
TABLE = Name("章节目录", "the table of sections")


def name_of(part: Part, label: str) -> Name:
    zh, en = _NAMES[part]
    return Name(zh.format(label), en.format(label))


@dataclass(frozen=True)
class About:
    """For the reader: which document, exported by which node. Proves nothing by itself."""

    title: str
    document: str
    exported_by: str
    exported_at: datetime


@dataclass(frozen=True)
class EvidenceFile:
    name: str
    data: bytes


@dataclass(frozen=True)
class EvidenceLetter:
    """An envelope as it travelled, and the disclosure that opens its content hash, if known."""

    envelope: bytes
    disclosure: bytes | None = None


@dataclass(frozen=True)
class EvidenceReceipt:
    """An entry of the receiver's evidence log, and the RFC 9942 receipt of its inclusion."""

    entry: bytes
    receipt: bytes


@dataclass(frozen=True)
class Span:
    """A stretch of one lane of a link: the hashes of all letters from `first` on, none left out.

    `before` is the chain up to letter `first` - 1. With the standings of both ends it shows that
    nothing in the stretch is missing.
    """

    sender: str
    receiver: str
    lane: int
    first: int
    before: bytes
    hashes: tuple[bytes, ...]


@dataclass(frozen=True)
class LoggedEntry:
    """An entry of one of a node's logs in its canonical bytes, and its place there.

    `index` counts from 0; `path` is the inclusion proof for the tree of `checkpoint`, which
    numbers `Evidence.checkpoints` from 0.
    """

    data: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: int


@dataclass(frozen=True)
class EvidenceStamp:
    """A time stamp (RFC 3161) on the text of a checkpoint, which is numbered as in LoggedEntry."""

    checkpoint: int
    token: bytes


@dataclass(frozen=True)
class Evidence:
    """The contents of an evidence file; cards, standings and checkpoints in their signed bytes."""

    about: About
    cards: tuple[bytes, ...] = ()
    files: tuple[EvidenceFile, ...] = ()
    letters: tuple[EvidenceLetter, ...] = ()
    receipts: tuple[EvidenceReceipt, ...] = ()
    spans: tuple[Span, ...] = ()
    standings: tuple[bytes, ...] = ()
    checkpoints: tuple[bytes, ...] = ()
    entries: tuple[LoggedEntry, ...] = ()
    stamps: tuple[EvidenceStamp, ...] = ()


@dataclass(frozen=True)
class Fault:
    """Damage: where, and what is wrong there."""

    where: Name
    zh: str
    en: str


class Damaged(Exception):
    """The file is not as it was written, or never was an evidence file."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(*(f"{fault.where.en} {fault.en}" for fault in faults))
        self.faults = faults


def pack(evidence: Evidence) -> bytes:
    """The bytes of an evidence file; the same evidence gives the same bytes.

    Raises WireError if there are too many parts or a name is too long to be read back.
    """
    sections = list(_sections(evidence))
    rows = [[part.value, label, len(data), _sha256(data)] for part, label, data in sections]
    if len(rows) > MAX_SECTIONS:
        raise WireError(Refusal.OVERSIZED, f"evidence of {len(rows)} parts")
    for row in rows:
        _read_row(row)
    table = cbor.encode(rows)
    body = b"".join(
        (
            _MARK,
            cbor.bstr(table),
            cbor.bstr(_sha256(table)),
            *(cbor.bstr(data) for _, _, data in sections),
        )
    )
    return body + cbor.bstr(_sha256(body))


def unpack(bundle: bytes) -> Evidence:
    """Read an evidence file whose every byte is as written. Raises Damaged, naming the place."""
    table, at = _read_table(bundle)
    faults: list[Fault] = []
    sections: list[tuple[Part, str, bytes]] = []
    for part, label, length, digest in table:
        where = name_of(part, label)
        mark = cbor.head(2, length)
        start = at + len(mark)
        data = bundle[start : start + length]
        if len(data) < length:
            raise Damaged([*faults, Fault(where, "不完整,文件在此中断", "is cut off here")])
        if bundle[at:start] != mark:
            faults.append(Fault(where, "的长度标记已损坏", "has a damaged length mark"))
        if _sha256(data) != digest:
            faults.append(
                Fault(where, "的内容与登记的哈希不符", "does not match its registered hash")
            )
        sections.append((part, label, data))
        at = start + length
    if not faults and bundle[at:] != cbor.bstr(_sha256(bundle[:at])):
        faults.append(Fault(BUNDLE, "末尾的总哈希不符", "does not match the hash at its end"))
    if faults:
        raise Damaged(faults)
    return _assemble(sections)


def _read_table(bundle: bytes) -> tuple[list[tuple[Part, str, int, bytes]], int]:
    if len(bundle) > MAX_BUNDLE:
        raise Damaged([Fault(BUNDLE, "超过大小上限", f"is larger than {MAX_BUNDLE} bytes")])
    if not bundle.startswith(_MARK):
        raise Damaged(
            [Fault(BUNDLE, "的文件头不符,不是证据案卷或已损坏", "has no valid mark at its start")]
        )
    try:
        # The table is small: its own bytes are all that is ever decoded before it is checked.
        encoded, at = cbor.read_bstr(bundle, len(_MARK))
        digest, at = cbor.read_bstr(bundle, at)
        if len(encoded) > MAX_TABLE or digest != _sha256(encoded):
            raise Damaged([Fault(TABLE, "与其哈希不符", "does not match its hash")])
        rows = cbor.decode(encoded)
        if type(rows) is not list or len(rows) > MAX_SECTIONS:
            raise WireError(Refusal.OVERSIZED, "table")
        return [_read_row(row) for row in rows], at
    except WireError as problem:
        raise Damaged(
            [Fault(TABLE, f"已损坏({problem.code.value})", f"is damaged ({problem})")]
        ) from None


def _read_row(row: object) -> tuple[Part, str, int, bytes]:
    fields = Fields(row, "table")
    read = (
        fields.choice(0, Part),
        fields.text(1),
        fields.number(2, MAX_BUNDLE),
        fields.octets(3, _HASH),
    )
    fields.end()
    return read


def _sections(evidence: Evidence) -> Iterator[tuple[Part, str, bytes]]:
    about = evidence.about
    yield (
        Part.ABOUT,
        "",
        cbor.encode(
            [
                about.title,
                about.document,
                about.exported_by,
                to_microseconds(about.exported_at),
            ]
        ),
    )
    for number, card in enumerate(evidence.cards, 1):
        yield Part.CARD, str(number), card
    for file in evidence.files:
        yield Part.FILE, file.name, file.data
    for number, letter in enumerate(evidence.letters, 1):
        yield Part.ENVELOPE, str(number), letter.envelope
        if letter.disclosure is not None:
            yield Part.CONTENT, str(number), letter.disclosure
    for number, receipt in enumerate(evidence.receipts, 1):
        yield Part.RECEIPT, str(number), cbor.encode([receipt.entry, receipt.receipt])
    for number, span in enumerate(evidence.spans, 1):
        parts = [span.sender, span.receiver, span.lane, span.first, span.before, list(span.hashes)]
        yield Part.SPAN, str(number), cbor.encode(parts)
    for number, standing in enumerate(evidence.standings, 1):
        yield Part.STANDING, str(number), standing
    for number, checkpoint in enumerate(evidence.checkpoints, 1):
        yield Part.CHECKPOINT, str(number), checkpoint
    for entry in evidence.entries:
        encoded = cbor.encode([entry.data, entry.index, list(entry.path), entry.checkpoint])
        yield Part.ENTRY, str(entry.index + 1), encoded
    for number, stamp in enumerate(evidence.stamps, 1):
        yield Part.STAMP, str(number), cbor.encode([stamp.checkpoint, stamp.token])


def _assemble(sections: list[tuple[Part, str, bytes]]) -> Evidence:
    """Sections back into evidence. Raises Damaged if one is not what its place says."""
    contents = {label: data for part, label, data in sections if part is Part.CONTENT}

    def all_of(wanted: Part) -> list[tuple[str, bytes]]:
        return [(label, data) for part, label, data in sections if part is wanted]

    where = name_of(Part.ABOUT, "")
    try:
        ((_, encoded),) = all_of(Part.ABOUT)
        about = _read_about(encoded)
        entries, receipts, spans, stamps = [], [], [], []
        for label, data in all_of(Part.ENTRY):
            where = name_of(Part.ENTRY, label)
            entries.append(_read_entry(data))
        for label, data in all_of(Part.RECEIPT):
            where = name_of(Part.RECEIPT, label)
            receipts.append(_read_receipt(data))
        for label, data in all_of(Part.SPAN):
            where = name_of(Part.SPAN, label)
            spans.append(_read_span(data))
        for label, data in all_of(Part.STAMP):
            where = name_of(Part.STAMP, label)
            stamps.append(_read_stamp(data))
    except (WireError, ValueError) as problem:
        raise Damaged(
            [Fault(where, "缺失或格式不符", f"is missing or malformed: {problem}")]
        ) from None
    evidence = Evidence(
        about=about,
        cards=tuple(data for _, data in all_of(Part.CARD)),
        files=tuple(EvidenceFile(label, data) for label, data in all_of(Part.FILE)),
        letters=tuple(
            EvidenceLetter(data, contents.get(label)) for label, data in all_of(Part.ENVELOPE)
        ),
        receipts=tuple(receipts),
        spans=tuple(spans),
        standings=tuple(data for _, data in all_of(Part.STANDING)),
        checkpoints=tuple(data for _, data in all_of(Part.CHECKPOINT)),
        entries=tuple(entries),
        stamps=tuple(stamps),
    )
    if list(_sections(evidence)) != sections:
        raise Damaged([Fault(TABLE, "与各章节的次序或编号不符", "does not fit its sections")])
    return evidence


def _read_about(data: bytes) -> About:
    fields = Fields(cbor.decode(data), "about")
    about = About(fields.text(0), fields.text(1), fields.text(2), fields.moment(3))
    fields.end()
    return about


def _read_receipt(data: bytes) -> EvidenceReceipt:
    fields = Fields(cbor.decode(data), "receipt")
    receipt = EvidenceReceipt(fields.octets(0), fields.octets(1))
    fields.end()
    return receipt


def _read_span(data: bytes) -> Span:
    fields = Fields(cbor.decode(data), "span")
    ends = check_node_id(fields.text(0)), check_node_id(fields.text(1))
    lane, first, before = fields.number(2), fields.number(3), fields.octets(4)
    hashes = fields.items(5, MAX_SPAN)
    fields.end()
    if first < 1 or any(type(item) is not bytes for item in hashes):
        raise WireError(Refusal.MALFORMED, "span: numbers from 1 and hashes expected")
    return Span(*ends, lane, first, before, tuple(hashes))


def _read_entry(data: bytes) -> LoggedEntry:
    fields = Fields(cbor.decode(data), "entry")
    content, index = fields.octets(0), fields.number(1)
    path = fields.items(2, 64)
    checkpoint = fields.number(3)
    fields.end()
    if any(type(node) is not bytes for node in path):
        raise WireError(Refusal.MALFORMED, "entry: inclusion proof")
    return LoggedEntry(content, index, tuple(path), checkpoint)


def _read_stamp(data: bytes) -> EvidenceStamp:
    fields = Fields(cbor.decode(data), "stamp")
    stamp = EvidenceStamp(fields.number(0), fields.octets(1))
    fields.end()
    return stamp


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


_NAMES = {
    Part.ABOUT: ("案卷说明", "the description"),
    Part.CARD: ("第{}张节点名片", "node card {}"),
    Part.FILE: ("附件 {} ", "attachment {}"),
    Part.ENVELOPE: ("第{}封信", "letter {}"),
    Part.CONTENT: ("第{}封信的正文", "the content of letter {}"),
    Part.RECEIPT: ("第{}份回执", "receipt {}"),
    Part.SPAN: ("第{}段收发序列", "sequence {}"),
    Part.STANDING: ("第{}份序列声明", "standing {}"),
    Part.CHECKPOINT: ("第{}个日志检查点", "log checkpoint {}"),
    Part.ENTRY: ("日志第{}条", "log entry {}"),
    Part.STAMP: ("第{}个时间戳", "time stamp {}"),
}
