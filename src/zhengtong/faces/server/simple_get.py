"""The one kind of request that needs no HTTP engine: a plain GET or HEAD without a body.

Pure. What is read here is a small, strict part of HTTP/1.1 (RFC 9112): a head that does not fit
it to the letter is not refused but left to the engine, which knows all the rest. So nothing is
ever read in two ways: either a request is understood here wholly, or not a byte of it is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

LONGEST = 16 * 1024
"""Bytes of a head; a longer one is the engine's business."""
END = b"\r\n\r\n"

_HEAD = re.compile(
    rb"(GET|HEAD) (/[!\"$-~]*) HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n"
)
_NAMED = re.compile(
    rb"\r\n(host|connection|accept-encoding|if-none-match|if-range|range"
    rb"|content-length|transfer-encoding|expect|upgrade):[\t ]*([^\r]*)",
    re.IGNORECASE,
)
_ENGINE_ONLY = frozenset(("content-length", "transfer-encoding", "expect", "upgrade"))
_BEGINNINGS = (b"GET /", b"HEAD /")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request read: `path` percent-decoded and without its query, header names lower-case."""

    method: str
    path: str
    headers: dict[str, str]


def may_become_simple(beginning: bytes) -> bool:
    """Whether a head that has not wholly come may still be one that `read` understands."""
    return len(beginning) < LONGEST and any(
        beginning.startswith(word[: len(beginning)]) for word in _BEGINNINGS
    )


def read(head: bytes) -> Asked | None:
    """The request of a whole head, its empty line included; None if the engine must read it."""
    found = _HEAD.fullmatch(head)
    if found is None or len(head) > LONGEST:
        return None
    headers: dict[str, str] = {}
    for name, value in _NAMED.findall(head):
        key = name.decode().lower()
        if key in headers:
            return None
        headers[key] = value.rstrip().decode("latin-1")
    if "host" not in headers or not _ENGINE_ONLY.isdisjoint(headers):
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    method, target = found.groups()
    path = target.decode().partition("?")[0]
    if "%" in path:
        try:
            path = unquote(path, errors="strict")
        except UnicodeDecodeError:
            return None
    return Asked(method.decode(), path, headers)
