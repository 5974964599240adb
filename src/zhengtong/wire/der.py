"""As much of DER (X.690) as certificates and their keys need: writing, and taking apart."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass

INTEGER, BITS, OCTETS, NULL, OID, TIME, SEQUENCE, SET = 2, 3, 4, 5, 6, 24, 48, 49


def write(tag: int, *parts: bytes) -> bytes:
    """One element: its tag, its length, and the parts one after the other as its contents."""
    body = b"".join(parts)
    if len(body) < 128:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 128 | len(length))) + length + body


def sequence(*parts: bytes) -> bytes:
    return write(SEQUENCE, *parts)


def integer(value: int) -> bytes:
    """An integer that is not negative; a leading zero byte keeps its sign bit clear."""
    return write(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bits(whole_bytes: bytes) -> bytes:
    return write(BITS, b"\0", whole_bytes)


def oid(dotted: str) -> bytes:
    """An object identifier such as ``1.2.156.10197.1.301``."""
    first, second, *others = map(int, dotted.split("."))
    return write(OID, *(_base_128(number) for number in (40 * first + second, *others)))


def _base_128(number: int) -> bytes:
    digits = [number & 127]
    while number := number >> 7:
        digits.append(128 | number & 127)
    return bytes(reversed(digits))


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it was read: its tag, its contents, and itself whole."""

    tag: int
    body: bytes
    whole: bytes

    def parts(self, *tags: int) -> Items[Element]:
        """The elements inside. Raises ValueError unless they begin with these tags."""
        found, rest = [], self.body
        while rest:
            element, rest = _take(rest)
            found.append(element)
        if tuple(part.tag for part in found[: len(tags)]) != tags:
            raise ValueError("not the expected DER structure")
        return found

    def whole_bytes(self) -> bytes:
        """The contents of a bit string that holds whole bytes. Raises ValueError."""
        if self.tag != BITS or self.body[:1] != b"\0":
            raise ValueError("not a bit string of whole bytes")
        return self.body[1:]


def read(data: bytes) -> Element:
    """The one element that `data` is. Raises ValueError."""
    element, rest = _take(data)
    if rest:
        raise ValueError("data after the end of a DER structure")
    return element


def _take(data: bytes) -> tuple[Element, bytes]:
    """The first element and what follows it."""
    start, length = 2, int.from_bytes(data[1:2], "big")
    if length & 128:
        start += length & 127
        length = int.from_bytes(data[2:start], "big")
    end = start + length
    if len(data) < max(end, 2) or start > 6:
        raise ValueError("a DER structure ends too early")
    return Element(data[0], data[start:end], data[:end]), data[end:]
