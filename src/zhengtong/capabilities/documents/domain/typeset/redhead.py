"""The elements of a red-headed document and their way into the template.

Geometry and typography live in `template.typ`; here is only what the text itself decides:
which level a paragraph has, how far its lead sentence reaches, how a date is written.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from . import press

TEMPLATE: Final = Path(__file__).with_name("template.typ")


class BlockKind(StrEnum):
    """Levels of the body, 一、 （一） 1. （1）, and plain paragraphs (GB/T 9704 §7.3.3)."""

    HEADING1 = "heading1"
    HEADING2 = "heading2"
    HEADING3 = "heading3"
    HEADING4 = "heading4"
    PARAGRAPH = "paragraph"


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph of the body. `text` keeps its number and holds no line break."""

    kind: BlockKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Redhead:
    """The printed elements of one issued document (条例 art. 9).

    `title` may contain "\\n" where its author wants the line broken. `note` is printed in
    full-width brackets whether or not it brings them. What is None or empty leaves no trace.
    """

    issuing_mark: str
    document_number: str
    title: str
    addressees: tuple[str, ...]
    body: tuple[Block, ...]
    signature: str
    issued_on: date
    printing_office: str
    printed_on: date
    level: str | None = None
    urgency: str | None = None
    issuer: str | None = None
    attachments: tuple[str, ...] = ()
    note: str | None = None
    copy_to: tuple[str, ...] = ()


_NUMERAL = "一二三四五六七八九十百"
_LEVELS: Final = (
    (re.compile(rf"[{_NUMERAL}]+、"), BlockKind.HEADING1),
    (re.compile(rf"[（(][{_NUMERAL}]+[）)]"), BlockKind.HEADING2),
    (re.compile(r"\d{1,2}[.．](?!\d)"), BlockKind.HEADING3),
    (re.compile(r"[（(]\d{1,2}[）)]"), BlockKind.HEADING4),
)


def blocks(text: str) -> tuple[Block, ...]:
    """Split plain text into blocks, one per non-empty line, level told by the number in front.

    White space around a line (the full-width indent of a pasted draft) is dropped: the indent is
    the template's to give.
    """
    lines = (line.strip() for line in text.splitlines())
    return tuple(Block(_kind(line), line) for line in lines if line)


def typeset(doc: Redhead, *, timestamp: datetime) -> bytes:
    """Print `doc` as PDF/A-2u; the same input on the same fonts gives the same bytes.

    `timestamp` (zone-aware) becomes the file's creation time. Raises `press.TypesetError` when an
    element is missing or a character is in none of the fonts; its message is fit for the screen.
    """
    _require(doc)
    return press.to_pdf(TEMPLATE, _data(doc), timestamp=timestamp)


def chinese_date(day: date) -> str:
    """成文日期 in Arabic numerals without padding: 2026年1月5日 (GB/T 9704 §7.3.5)."""
    return f"{day.year}年{day.month}月{day.day}日"


def _kind(line: str) -> BlockKind:
    for pattern, kind in _LEVELS:
        if pattern.match(line):
            return kind
    return BlockKind.PARAGRAPH


_REQUIRED: Final = {
    "issuing_mark": "发文机关标志",
    "document_number": "发文字号",
    "title": "标题",
    "body": "正文",
    "signature": "发文机关署名",
    "printing_office": "印发机关",
}


def _require(doc: Redhead) -> None:
    missing = [label for name, label in _REQUIRED.items() if not _filled(getattr(doc, name))]
    if missing:
        raise press.TypesetError(f"公文缺少要素，不能排版：{'、'.join(missing)}")


def _filled(value: object) -> bool:
    return bool(value.strip()) if isinstance(value, str) else bool(value)


def _data(doc: Redhead) -> dict[str, object]:
    """The JSON the template reads: strings and lists only, absent elements null."""
    note = doc.note.strip().strip("（）()") if doc.note else None
    return {
        "mark": doc.issuing_mark.strip(),
        "number": doc.document_number.strip(),
        "issuer": doc.issuer,
        "classification": [word for word in (doc.level, doc.urgency) if word],
        "title": [line.strip() for line in doc.title.splitlines() if line.strip()],
        "addressees": "，".join(doc.addressees) or None,
        "body": [_block_data(block) for block in doc.body],
        "attachments": list(doc.attachments),
        "signature": doc.signature.strip(),
        "issued_on": chinese_date(doc.issued_on),
        "note": f"（{note}）" if note else None,
        "copy_to": "，".join(doc.copy_to) or None,
        "printing_office": doc.printing_office.strip(),
        "printed_on": chinese_date(doc.printed_on),
    }


def _block_data(block: Block) -> dict[str, str]:
    """Split "（一）加强领导。各级……": only the lead sentence carries the level's typeface."""
    if block.kind in (BlockKind.HEADING1, BlockKind.HEADING2):
        lead, stop, rest = block.text.partition("。")
        if rest:
            return {"kind": block.kind, "lead": lead + stop, "rest": rest}
        return {"kind": block.kind, "lead": block.text, "rest": ""}
    return {"kind": block.kind, "lead": "", "rest": block.text}
