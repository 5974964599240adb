"""DER (ITU-T X.690), as far as certificates, their keys and time stamps need it.

Reading is strict and shallow: one level at a time, shortest definite lengths only, so that nothing
is ever parsed that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from zhengtong.wire.errors import Refusal, WireError

BOOLEAN, INTEGER, BITS, OCTETS, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTC_TIME, TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31


def explicit(number: int) -> int:
    """The tag of a constructed, context-specific field."""
    return 0xA0 | number


@dataclass(frozen=True)
class Item:
    """One element: its tag, its content, and the whole of it as it stood."""

    tag: int
    content: bytes
    raw: bytes

    def inside(self, tag: int = SEQUENCE) -> Parts:
        """The elements within. Raises WireError unless this is of that tag."""
        return Parts(items(self.of(tag)))

    def of(self, tag: int) -> bytes:
        """The content. Raises WireError unless this is of that tag."""
        if self.tag != tag:
            raise _malformed(f"tag {self.tag:02x} where {tag:02x} belongs")
        return self.content

    def integer(self) -> int:
        content = self.of(INTEGER)
        if not content:
            raise _malformed("an empty integer")
        return int.from_bytes(content, "big", signed=True)

    def oid(self) -> str:
        numbers, value = list[int](), 0
        for byte in self.of(OID):
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        if not numbers or len(self.content) > 64:
            raise _malformed("object identifier")
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def bits(self) -> bytes:
        """A bit string of whole bytes."""
        content = self.of(BITS)
        if content[:1] != b"\x00":
            raise _malformed("bit string")
        return content[1:]

    def moment(self) -> datetime:
        """GeneralizedTime or UTCTime, in UTC (RFC 5280 §4.1.2.5, RFC 3161 §2.4.2)."""
        text = self.content.decode("ascii", "replace")
        if self.tag == UTC_TIME:
            text = ("19" if text[:2] >= "50" else "20") + text
        elif self.tag != TIME:
            raise _malformed("no time")
        form = "%Y%m%d%H%M%S.%fZ" if "." in text else "%Y%m%d%H%M%SZ"
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            raise _malformed("no time in UTC") from None


class Parts:
    """The elements of a structure, taken in order; the optional ones are asked for by tag."""

    def __init__(self, found: Iterator[Item]) -> None:
        self._items = list(found)

    def next(self) -> Item:
        if not self._items:
            raise _malformed("an element is missing")
        return self._items.pop(0)

    def optional(self, *tags: int) -> Item | None:
        """The next element if it is of one of these tags."""
        return self._items.pop(0) if self._items and self._items[0].tag in tags else None

    def rest(self) -> list[Item]:
        return self._items


def read(data: bytes) -> Item:
    """The one element that these bytes are. Raises WireError."""
    found = list(items(data))
    if len(found) != 1:
        raise _malformed(f"{len(found)} elements where one belongs")
    return found[0]


def items(data: bytes) -> Iterator[Item]:
    """The elements that stand one after another. Raises WireError."""
    at = 0
    while at < len(data):
        head = data[at : at + 2]
        if len(head) < 2 or head[0] & 0x1F == 0x1F:
            raise _malformed(f"element at byte {at}")
        length, start = head[1], at + 2
        if length & 0x80:
            width = length & 0x7F
            length, start = int.from_bytes(data[start : start + width], "big"), start + width
            if not 1 <= width <= 4 or length < 0x80 or length >> 8 * (width - 1) == 0:
                raise _malformed(f"length at byte {at + 1}")
        end = start + length
        if end > len(data):
            raise WireError(Refusal.TRUNCATED, "DER")
        yield Item(head[0], data[start:end], data[at:end])
        at = end


def signed_parts(data: bytes) -> tuple[Item, Item, bytes]:
    """What was signed, with which algorithm, and the signature: the form of certificates, requests
    and revocation lists (RFC 5280 §4.1, §5.1). Raises WireError."""
    parts = read(data).inside()
    found = parts.next(), parts.next(), parts.next().bits()
    if parts.rest():
        raise _malformed("data behind a signature")
    return found


def write(tag: int, *parts: bytes) -> bytes:
    """One element around these parts."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    return write(SEQUENCE, *parts)


def write_bits(whole_bytes: bytes) -> bytes:
    return write(BITS, b"\0", whole_bytes)


def write_integer(value: int) -> bytes:
    """A whole number from 0 on."""
    return write(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def write_oid(dotted: str) -> bytes:
    first, second, *others = map(int, dotted.split("."))
    encoded = bytearray()
    for number in (40 * first + second, *others):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return write(OID, bytes(encoded))


def _malformed(what: str) -> WireError:
    return WireError(Refusal.MALFORMED, f"DER: {what}")
