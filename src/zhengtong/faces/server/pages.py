"""Baked pages answered from memory, with everything a request could need prepared beforehand.

A page costs one dictionary look-up per request; its file is looked at again at most four times a
second, so a withdrawn or replaced page is gone from every process within a second and the writer
need not tell anyone.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

from zhengtong.faces.server.negotiation import accepts_gzip, byte_range, matches
from zhengtong.kernel.baked import (
    COMPRESSIBLE,
    CONTENT_TYPES,
    BadPath,
    etag_of,
    relative_file,
    suffix_of,
)

Headers = list[tuple[str, str]]
HeaderGet = Callable[[str], str | None]

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# A drawing opened by itself may style itself, and do nothing else.
DRAWING_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
# Names that carry a hash of their content may be kept for a year; everything else is asked for
# again each time (a 304 is cheap), or a withdrawal would not reach the reader's own cache.
_HASHED_NAME = re.compile(r"/static/.*\.[0-9a-f]{12,64}\.[a-z0-9]+")


@dataclass(frozen=True)
class Answer:
    """A complete response: `body`, or else the bytes [start, end) of the file at `file`."""

    status: int
    headers: Headers
    body: bytes
    file: str | None = None
    start: int = 0
    end: int = 0

    @cached_property
    def head(self) -> bytes:
        """The head of an answer with `body` as HTTP/1.1 has it, still without its Date."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.status != 304:
            lines.append(f"content-length: {len(self.body)}")
        return "".join(f"{line}\r\n" for line in lines).encode()


@dataclass(slots=True)
class _Page:
    """One file's prepared answers and the state of the file they were made from."""

    stamp: tuple[int, int, int]
    checked: float
    file: str
    size: int
    etag: str
    whole: Answer
    unchanged: Answer
    packed_etag: str = ""
    packed: Answer | None = None
    packed_unchanged: Answer | None = None

    @property
    def weight(self) -> int:
        """Bytes this page holds in memory, headers included roughly."""
        return len(self.whole.body) + (len(self.packed.body) if self.packed else 0) + 2048


class BakedPages:
    """Answers GET and HEAD for files under `roots` (the first that has the file wins).

    Not thread-safe: one thread asks. `memory` bounds the bytes kept, least recently looked-at
    out first; a file above `streamed_from` bytes is never kept but streamed from the disk.
    """

    def __init__(
        self,
        *roots: Path,
        memory: int = 32 * 1024 * 1024,
        streamed_from: int = 1024 * 1024,
        fresh_for: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._roots = [str(root) for root in roots]
        self._memory = memory
        self._streamed_from = streamed_from
        self._fresh_for = fresh_for
        self._clock = clock
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self.held = 0  # bytes in memory

    def answer(self, path: str, header: HeaderGet) -> Answer | None:
        """The response for a percent-decoded URL path; None if no such page is baked.

        `header` gives a request header by its lower-case name. The query string plays no part.
        """
        now = self._clock()
        page = self._pages.get(path)
        if page is None or now - page.checked > self._fresh_for:
            page = self._look(path, page, now)
            if page is None:
                return None
        ranged = header("range")
        if ranged is not None:
            return _part(page, ranged, header)
        known = header("if-none-match")
        if page.packed is not None and page.packed_unchanged is not None:
            accepted = header("accept-encoding")
            if accepted is not None and accepts_gzip(accepted):
                if known is not None and matches(known, page.packed_etag):
                    return page.packed_unchanged
                return page.packed
        if known is not None and matches(known, page.etag):
            return page.unchanged
        return page.whole

    def _look(self, path: str, page: _Page | None, now: float) -> _Page | None:
        """Look at the disk: keep, replace or forget what is in memory for `path`."""
        found = self._stat(path)
        if found is None:
            self._forget(path)
            return None
        file, stamp = found
        if page is not None and page.stamp == stamp and page.file == file:
            page.checked = page.checked if page.whole.file else now
            self._pages.move_to_end(path)
            return page
        self._forget(path)
        try:
            page = self._load(path, file, now)
        except OSError:  # withdrawn between the look and the reading
            return None
        self._pages[path] = page
        self.held += page.weight
        while self.held > self._memory and len(self._pages) > 1:
            self.held -= self._pages.popitem(last=False)[1].weight
        return page

    def _stat(self, path: str) -> tuple[str, tuple[int, int, int]] | None:
        try:
            inner = relative_file(path)
        except BadPath:
            return None
        for root in self._roots:
            file = f"{root}/{inner}"
            try:
                found = os.stat(file)
            except OSError:
                continue
            if found.st_mode & 0o170000 == 0o100000:
                return file, (found.st_mtime_ns, found.st_size, found.st_ino)
        return None

    def _forget(self, path: str) -> None:
        page = self._pages.pop(path, None)
        if page is not None:
            self.held -= page.weight

    def _load(self, path: str, file: str, now: float) -> _Page:
        with open(file, "rb") as opened:
            found = os.fstat(opened.fileno())
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            size = found.st_size
            if size > self._streamed_from:
                # Hashing a large file would hold up every other page. Files are only ever
                # replaced whole, so size and time identify the content as well.
                etag = f'"{size:x}-{found.st_mtime_ns:x}"'
                headers = _headers(path, etag)
                sized = [*headers, ("content-length", str(size))]
                whole = Answer(200, sized, b"", file, 0, size)
                # Never checked, so looked at each time: its size must be that of the file that
                # the engine is about to open.
                never = float("-inf")
                return _Page(stamp, never, file, size, etag, whole, Answer(304, headers, b""))
            body = opened.read()
        etag = etag_of(body)
        headers = _headers(path, etag)
        page = _Page(
            stamp, now, file, size, etag, Answer(200, headers, body), Answer(304, headers, b"")
        )
        twin = _read_twin(file, found.st_mtime_ns)
        if twin is not None:
            page.packed_etag = f'{etag[:-1]}-gzip"'
            headers = _headers(path, page.packed_etag)
            page.packed_unchanged = Answer(304, headers, b"")
            page.packed = Answer(200, [*headers, ("content-encoding", "gzip")], twin)
        return page


def _read_twin(file: str, modified: int) -> bytes | None:
    """The compressed form, if it was made from this very version of the file."""
    try:
        with open(f"{file}.gz", "rb") as twin:
            return twin.read() if os.fstat(twin.fileno()).st_mtime_ns == modified else None
    except OSError:
        return None


def _headers(path: str, etag: str) -> Headers:
    kind = suffix_of(path)
    kept = "public, max-age=31536000, immutable" if _HASHED_NAME.fullmatch(path) else "no-cache"
    headers = [
        ("content-type", CONTENT_TYPES.get(kind, "application/octet-stream")),
        ("etag", etag),
        ("cache-control", kept),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("server", "zhengtong"),
    ]
    if kind in COMPRESSIBLE:
        headers.append(("vary", "accept-encoding"))
    if kind == "html":
        headers.append(("content-security-policy", PAGE_POLICY))
    elif kind == "svg":
        headers.append(("content-security-policy", DRAWING_POLICY))
    return headers


def _part(page: _Page, ranged: str, header: HeaderGet) -> Answer:
    """The answer to a request with a Range header."""
    known = header("if-none-match")
    if known is not None and matches(known, page.etag):
        return page.unchanged
    condition = header("if-range")
    span = byte_range(ranged, page.size)
    if span is None or (condition is not None and condition.strip() != page.etag):
        return page.whole
    start, end = span
    bare = page.unchanged.headers
    if start >= end:
        return Answer(416, [*bare, ("content-range", f"bytes */{page.size}")], b"")
    headers = [
        *bare,
        ("content-range", f"bytes {start}-{end - 1}/{page.size}"),
        ("content-length", str(end - start)),
    ]
    if page.whole.file is not None:
        return Answer(206, headers, b"", page.whole.file, start, end)
    return Answer(206, headers, page.whole.body[start:end])
