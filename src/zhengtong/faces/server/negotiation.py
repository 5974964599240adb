"""What a request's headers ask for: pure rules of HTTP (RFC 9110)."""

from __future__ import annotations

import re
from functools import lru_cache

_ZERO = re.compile(r"\s*q\s*=\s*0(\.0*)?\s*")
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*", re.ASCII)


@lru_cache(maxsize=256)
def accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding value admits gzip (RFC 9110 §12.5.3)."""
    verdict = False
    for item in accepted.lower().split(","):
        coding, _, weight = item.partition(";")
        refused = _ZERO.fullmatch(weight) is not None
        if coding.strip() in {"gzip", "x-gzip"}:
            return not refused
        if coding.strip() == "*":
            verdict = not refused
    return verdict


def matches(known: str, etag: str) -> bool:
    """Weak comparison of an If-None-Match value with our tag (RFC 9110 §13.1.2)."""
    if known.strip() == "*":
        return True
    return any(tag.strip().removeprefix("W/") == etag for tag in known.split(","))


def byte_range(ranged: str, size: int) -> tuple[int, int] | None:
    """The half-open span of a file of `size` bytes that a Range value asks for (§14.1.2).

    None for what we answer with the whole file: several ranges, other units, nonsense. An empty
    span (start >= end) cannot be satisfied.
    """
    wanted = _RANGE.fullmatch(ranged)
    if wanted is None:
        return None
    first, last = wanted.groups()
    if first and last:
        return (int(first), min(int(last) + 1, size)) if int(first) <= int(last) else None
    if first:
        return int(first), size
    return (max(size - int(last), 0), size) if last else None
