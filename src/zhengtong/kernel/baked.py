"""Finished public pages on disk: one file per URL, replaced whole or not at all.

The tree is plain enough for nginx to serve as it stands: ``/news/`` is ``news/index.html``,
``/news/1.html`` is ``news/1.html``, and a file worth compressing has a ``.gz`` twin with the same
modification time (what nginx's ``gzip_static`` expects). The content type follows from the suffix
alone, so it needs no second file that could disagree.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xml": "application/xml; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "webmanifest": "application/manifest+json; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "ofd": "application/ofd",
    "zip": "application/zip",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "wps": "application/vnd.ms-works",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
COMPRESSIBLE = frozenset(
    kind
    for kind, content_type in CONTENT_TYPES.items()
    if "charset" in content_type or kind in {"doc", "xls", "ppt", "wps"}
)
_LEAST_TO_COMPRESS = 512
_MOST_TO_COMPRESS = 8 * 1024 * 1024

# No leading dot (hidden and temporary files, and "." and ".."), no separator of any system,
# no control character, no replacement character (what a badly encoded URL decodes to).
_SEGMENT = re.compile(r"(?!\.)[^\x00-\x1f\x7f/\\\ufffd]+")


class BadPath(ValueError):
    """The URL path cannot name a baked file, or clashes with one that exists."""


@dataclass(frozen=True, slots=True)
class Baked:
    """One baked file: its bytes, content type and strong ETag (quoted, RFC 9110 §8.8.3)."""

    body: bytes
    content_type: str
    etag: str


def etag_of(body: bytes) -> str:
    """A quoted strong ETag: equal bytes have equal tags on every node."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def suffix_of(path: str) -> str:
    """The lower-case suffix that decides the content type of a URL path ("html" for a folder)."""
    name = path.rpartition("/")[2] or "index.html"
    return name.rpartition(".")[2].lower()


def relative_file(path: str) -> str:
    """The file, relative to the root, of an already percent-decoded URL path.

    Raises BadPath for anything that could leave the root, name a hidden or temporary file, or
    reach a compressed twin directly.
    """
    if not path.startswith("/") or len(path) > 1024:
        raise BadPath(path)
    inner = path[1:] + ("index.html" if path.endswith("/") else "")
    for segment in inner.split("/"):
        if not _SEGMENT.fullmatch(segment) or len(segment.encode("utf-8", "replace")) > 200:
            raise BadPath(path)
    if inner.lower().endswith(".gz"):
        raise BadPath(path)
    return inner


class BakedStore:
    """The writer's side: what publishing and withdrawing call.

    A reader never sees half a file, and what was written is on the disk when the call returns.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._workshop = root / ".new"
        self._workshop.mkdir(parents=True, exist_ok=True)

    def write(self, path: str, body: bytes, content_type: str) -> str:
        """Put `body` at the URL `path`, replacing what was there; returns its ETag.

        Raises BadPath if the path is unusable, its suffix does not stand for `content_type`, or
        a file is in the way of a folder or the other way round.
        """
        expected = CONTENT_TYPES.get(suffix_of(path))
        if expected is None or _bare(expected) != _bare(content_type):
            raise BadPath(f"{path}: the suffix does not stand for {content_type}")
        target = self.root / relative_file(path)
        packed = _compressed(body) if suffix_of(path) in COMPRESSIBLE else None
        with self._alone():
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise BadPath(f"{path}: a page stands where a folder is needed") from error
            if target.is_dir():
                raise BadPath(f"{path}: a folder stands where the page is needed")
            fresh = self._temporary(body)
            modified = fresh.stat().st_mtime_ns
            twin = _twin(target)
            # The old twin goes first: a crash in between leaves a page without compression,
            # never a new page with an old twin.
            twin.unlink(missing_ok=True)
            fresh.replace(target)
            if packed is not None:
                fresh_twin = self._temporary(packed)
                os.utime(fresh_twin, ns=(modified, modified))
                fresh_twin.replace(twin)
            _sync_folder(target.parent)
        return etag_of(body)

    def remove(self, path: str) -> bool:
        """Withdraw the page at `path`; False if there was none. Empty folders go with it."""
        target = self.root / relative_file(path)
        with self._alone():
            if not target.is_file():
                return False
            _twin(target).unlink(missing_ok=True)
            target.unlink()
            _sync_folder(target.parent)
            self._prune(target.parent)
        return True

    def read(self, path: str) -> Baked | None:
        """What is published at `path`, or None."""
        try:
            body = (self.root / relative_file(path)).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return Baked(body, CONTENT_TYPES[suffix_of(path)], etag_of(body))

    def paths(self) -> Iterator[str]:
        """Every URL path that is published, in no particular order."""
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inner = Path(folder).relative_to(self.root).as_posix()
            prefix = "/" if inner == "." else f"/{inner}/"
            for name in names:
                if not name.startswith(".") and not name.endswith(".gz"):
                    yield prefix + ("" if name == "index.html" else name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time over all processes, so a page and its twin stay a pair."""
        with open(self.root / ".lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever holds the lock is alone, so what lies here a crash has left behind.
            for leftover in self._workshop.iterdir():
                leftover.unlink()
            yield

    def _temporary(self, body: bytes) -> Path:
        """A file beside the tree, out of every reader's sight, safely on the disk."""
        descriptor, name = tempfile.mkstemp(dir=self._workshop)
        with open(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        return Path(name)

    def _prune(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _compressed(body: bytes) -> bytes | None:
    """The gzip form (without a timestamp, so equal bytes stay equal), or None if it is no gain."""
    if not _LEAST_TO_COMPRESS <= len(body) <= _MOST_TO_COMPRESS:
        return None
    packed = gzip.compress(body, compresslevel=9, mtime=0)
    return packed if len(packed) < len(body) * 9 // 10 else None


def _twin(target: Path) -> Path:
    return target.with_name(target.name + ".gz")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
