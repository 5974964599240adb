"""Deterministic CBOR (RFC 8949 §4.2) in the small profile the protocol uses.

The profile: integers of at most 64 bits, byte and text strings, arrays, maps, true, false and
null. Reading is our own and strict: every encoding but the one deterministic form is refused,
lengths are checked against the bytes at hand before anything is allocated, and no tag ever
turns into an object. So two different byte strings can never mean the same thing, and a
structure need not be written again to learn that it was canonical.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from zhengtong.wire.errors import Refusal, WireError

try:
    import cbor2
except ImportError:  # the one-file verifier on a machine without libraries
    cbor2 = None  # type: ignore[assignment]

MAX_DEPTH = 8
_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}


def encode(value: Any) -> bytes:
    """The deterministic encoding of a value of the profile.

    Map keys are put in order here: cbor2's own canonical form sorts them by length first (RFC 7049)
    and encodes each one twice, which at ten maps a letter is felt.
    """
    return encode_plainly(value) if cbor2 is None else cbor2.dumps(_in_order(value))


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in _order(tuple(value))}
    if isinstance(value, (list, tuple)):
        return [_in_order(item) for item in value]
    return value


@lru_cache(maxsize=1024)
def _order(keys: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The same few sets of keys come again and again."""
    return tuple(sorted(keys, key=encode_plainly))


def encode_plainly(value: Any) -> bytes:
    """The same without a library; slower. Raises TypeError for a value outside the profile."""
    if value is None or type(value) is bool:
        return bytes((0xF6 if value is None else 0xF4 + value,))
    if type(value) is int:
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if type(value) is str:
        data = value.encode()
        return head(3, len(data)) + data
    if type(value) is bytes:
        return bstr(value)
    if type(value) in (list, tuple):
        return head(4, len(value)) + b"".join(map(encode_plainly, value))
    if type(value) is dict:
        pairs = sorted((encode_plainly(key), encode_plainly(item)) for key, item in value.items())
        return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    raise TypeError(f"no value of the profile: {type(value).__name__}")


def bstr(data: bytes) -> bytes:
    """A byte string with its head; used to assemble large structures without a second copy."""
    return head(2, len(data)) + data


def head(major: int, argument: int) -> bytes:
    """The shortest head for a major type and its argument (RFC 8949 §3)."""
    top = major << 5
    if argument < 24:
        return bytes((top | argument,))
    if argument < 0x100:
        return bytes((top | 24, argument))
    if argument < 0x10000:
        return bytes((top | 25,)) + argument.to_bytes(2, "big")
    if argument < 0x100000000:
        return bytes((top | 26,)) + argument.to_bytes(4, "big")
    return bytes((top | 27,)) + argument.to_bytes(8, "big")


def decode(data: bytes) -> Any:
    """The one value that `data` encodes. Raises WireError: truncated or malformed."""
    value, end = decode_at(data, 0)
    if end != len(data):
        raise WireError(Refusal.MALFORMED, f"{len(data) - end} bytes after the end")
    return value


def decode_at(data: bytes, position: int) -> tuple[Any, int]:
    """The value that starts at `position`, and where the next one starts."""
    try:
        return _item(data, position, 0)
    except IndexError:
        raise WireError(Refusal.TRUNCATED, f"data ends at byte {len(data)}") from None
    except UnicodeDecodeError:
        raise WireError(Refusal.MALFORMED, "text is not UTF-8") from None


def read_bstr(data: bytes, position: int) -> tuple[bytes, int]:
    """The byte string that starts at `position`, and where the next item starts."""
    value, end = decode_at(data, position)
    if type(value) is not bytes:
        raise WireError(Refusal.MALFORMED, f"no byte string at byte {position}")
    return value, end


def _item(data: bytes, position: int, depth: int) -> tuple[Any, int]:
    first = data[position]
    major, argument = first >> 5, first & 31
    at = position + 1
    if major == 7:
        if first not in _SIMPLE:
            raise WireError(Refusal.MALFORMED, f"unexpected item at byte {position}")
        return _SIMPLE[first], at
    if argument >= 24:
        if argument > 27:
            raise WireError(Refusal.MALFORMED, f"indefinite length at byte {position}")
        width = 1 << (argument - 24)
        argument = int.from_bytes(data[at : at + width], "big")
        at += width
        if at > len(data):
            raise IndexError
        if argument < (24 if width == 1 else 1 << (width * 4)):
            raise WireError(Refusal.MALFORMED, f"a longer head than needed at byte {position}")
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major == 6:
        raise WireError(Refusal.MALFORMED, f"unexpected tag at byte {position}")
    if argument > len(data) - at:
        # Holds for strings and, as every element takes a byte, for arrays and maps.
        raise IndexError
    if major == 2:
        return data[at : at + argument], at + argument
    if major == 3:
        return data[at : at + argument].decode(), at + argument
    if depth == MAX_DEPTH:
        raise WireError(Refusal.MALFORMED, f"nested deeper than {MAX_DEPTH}")
    if major == 4:
        items = []
        for _ in range(argument):
            value, at = _item(data, at, depth + 1)
            items.append(value)
        return items, at
    return _mapping(data, at, argument, depth + 1)


def _mapping(data: bytes, at: int, count: int, depth: int) -> tuple[dict[Any, Any], int]:
    mapping: dict[Any, Any] = {}
    previous = b""
    for _ in range(count):
        start = at
        key, at = _item(data, at, depth)
        if type(key) is not int and type(key) is not str:
            raise WireError(Refusal.MALFORMED, f"map key at byte {start} is no label")
        encoded = data[start:at]
        if encoded <= previous:
            raise WireError(Refusal.MALFORMED, f"map keys unsorted or repeated at byte {start}")
        previous = encoded
        mapping[key], at = _item(data, at, depth)
    return mapping, at
