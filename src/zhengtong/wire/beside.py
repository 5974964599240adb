"""A batch as a stream: its head first, then what is beside its letters, one after another.

So neither end holds more than one bulk at a time, however many travel together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from zhengtong.wire.errors import Refusal, WireError

Read = Callable[[int], bytes]
"""Gives the next bytes of a stream, at most so many; none at its end."""


class Beside(Protocol):
    """Sealed bytes beside a letter: at hand, or to be fetched once, in the order of the letters."""

    def __len__(self) -> int: ...

    def __bytes__(self) -> bytes: ...


class Coming:
    """What is still to be read from a stream. Raises WireError (truncated) if that ends before."""

    def __init__(self, size: int, read: Read) -> None:
        self._size, self._read = size, read

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return _exactly(self._read, self._size)


def read_head(read: Read, max_bytes: int) -> bytes:
    """The first two byte strings of a stream, standing and body, untouched. Raises WireError."""
    parts, left = list[bytes](), max_bytes
    for _ in range(2):
        parts.append(first := _exactly(read, 1))
        if not 0x40 <= first[0] <= 0x5B:
            raise WireError(Refusal.MALFORMED, "a byte string expected")
        size = first[0] & 31
        if size >= 24:
            parts.append(_exactly(read, 1 << (size - 24)))
            size = int.from_bytes(parts[-1], "big")
        if size > left:
            raise WireError(Refusal.OVERSIZED, f"more than {max_bytes} bytes")
        left -= size
        parts.append(_exactly(read, size))
    return b"".join(parts)


def _exactly(read: Read, size: int) -> bytes:
    parts, left = list[bytes](), size
    while left and (data := read(left)):
        parts.append(data)
        left -= len(data)
    if left:
        raise WireError(Refusal.TRUNCATED, f"{size - left} bytes of {size}")
    return parts[0] if len(parts) == 1 else b"".join(parts)
