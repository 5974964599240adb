"""Files by content: stored once under their SHA-256, written whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from django.conf import settings
from django.db import models

from zhengtong.kernel import moment
from zhengtong.kernel.engine import plain_errors
from zhengtong.kernel.errors import Invalid
from zhengtong.kernel.file_types import FileRefused, inspect

BLOCK = 1 << 18
HASH = re.compile(r"[0-9a-f]{64}")


class StoredFile(models.Model):
    """A file in the store. `text` is extracted later by the worker; `problem` says why not."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    stored_at = models.DateTimeField(default=moment.now)
    text = models.TextField(default="")
    extracted = models.BooleanField(default=False, db_index=True)
    problem = models.CharField(max_length=200, default="")


class Chunks(Protocol):
    """What an upload gives: its bytes, a block at a time."""

    def read(self, size: int = ..., /) -> bytes: ...


def path_of(sha256: str) -> Path:
    """Where a file stands. Raises ValueError: what is no SHA-256 in hex must become no path."""
    return settings.NODE.files / _hash(sha256)[:2] / sha256[2:4] / sha256


def _hash(sha256: str) -> str:
    if not HASH.fullmatch(sha256):
        raise ValueError(f"not a SHA-256 in hex: {sha256[:80]!r}")
    return sha256


def exists(sha256: str) -> bool:
    return path_of(sha256).exists() and StoredFile.objects.filter(pk=sha256).exists()


def open_file(sha256: str) -> IO[bytes]:
    """Open a stored file for reading. Raises FileNotFoundError."""
    return path_of(sha256).open("rb")


def store(stream: Chunks | BinaryIO, name: str) -> StoredFile:
    """Take in an upload: streamed, its size limited, its type checked by content and name.

    Raises Invalid(file=…) naming the limit or the allowed types, Unavailable when the disk is full.
    """
    limit = settings.NODE.max_upload_mb << 20
    digest, size = hashlib.sha256(), 0
    with plain_errors(), _temporary() as (target, path):
        while block := stream.read(BLOCK):
            size += len(block)
            if size > limit:
                raise Invalid({"file": f"“{name}”超过 {settings.NODE.max_upload_mb} MB 上限。"})
            digest.update(block)
            target.write(block)
        if size == 0:
            raise Invalid({"file": f"“{name}”是空文件，请重新选择。"})
        target.flush()
        try:
            with path.open("rb") as written:
                media_type = inspect(written, name).media_type
        except FileRefused as error:
            raise Invalid({"file": str(error)}) from error
        _keep(target, path, digest.hexdigest())
    found, _ = StoredFile.objects.get_or_create(
        sha256=digest.hexdigest(), defaults={"size": size, "media_type": media_type}
    )
    return found


class _temporary:
    """A temporary file in the store's own file system, removed unless it was renamed."""

    def __enter__(self) -> tuple[IO[bytes], Path]:
        folder = settings.NODE.files / "incoming"
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        self.file, self.path = os.fdopen(handle, "wb"), Path(name)
        return self.file, self.path

    def __exit__(self, *exc: object) -> None:
        try:
            self.file.close()  # may fail as well: it writes what is still in memory
        finally:
            self.path.unlink(missing_ok=True)


def _keep(target: IO[bytes], path: Path, sha256: str) -> None:
    target.flush()
    os.fsync(target.fileno())
    final = path_of(sha256)
    final.parent.mkdir(parents=True, exist_ok=True)
    path.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _arriving(sha256: str) -> Path:
    return settings.NODE.files / "incoming" / f"{_hash(sha256)}.part"


@contextmanager
def _held(sha256: str) -> Iterator[int | None]:
    """A file that arrives, open and locked against every other process; None if it is here already.

    Whoever writes to it or completes it holds it, so that nothing comes between the last look at
    its content and its move to its address. The lock is the kernel's and ends with its process.
    """
    path = _arriving(sha256)
    handle = _opened(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        while not _stands_at(path, handle):  # moved or dropped by the one we waited for
            os.close(handle)
            handle = _opened(path)
            fcntl.flock(handle, fcntl.LOCK_EX)
        if path_of(sha256).exists():
            path.unlink()
            yield None
        else:
            yield handle
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _stands_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def write_piece(sha256: str, offset: int, data: bytes) -> None:
    """Write one received piece at its place, unless the file is here already.

    Raises Unavailable when the disk is full. It is durable, like all others of its file, once
    `sync_pieces` has returned.
    """
    with plain_errors(), _held(sha256) as handle:
        if handle is None:
            return
        at, rest = offset, memoryview(data)
        while rest:  # near the end of a disk less is written than was asked
            done = os.pwrite(handle, rest, at)
            rest, at = rest[done:], at + done
        # The disk begins with it now, so that `sync_pieces` need not wait for everything.
        os.posix_fadvise(handle, offset, len(data), os.POSIX_FADV_DONTNEED)


def sync_pieces(sha256: str) -> None:
    """Bring the pieces written so far to the disk. Raises Unavailable when it is full."""
    with plain_errors(), _held(sha256) as handle:
        if handle is not None:
            os.fsync(handle)


def place(sha256: str) -> bool:
    """All pieces are here: move the file to its address if its hash is right; whether it is there.

    It takes as long as reading the file; the row is left to `complete`. Raises Unavailable.
    """
    with plain_errors(), _held(sha256) as handle:
        return handle is None or _placed(sha256, handle)


def complete(sha256: str, name: str, media_type: str) -> None:
    """The same, and note the file as stored.

    Raises ValueError when the content is not what its name promises; the parts are dropped.
    """
    with _held(sha256) as handle:
        if handle is not None and not _placed(sha256, handle):
            _arriving(sha256).unlink()
            raise ValueError(f"file {name}: its content hash is not {sha256}")
    StoredFile.objects.get_or_create(
        sha256=sha256,
        defaults={"size": path_of(sha256).stat().st_size, "media_type": media_type},
    )


def _placed(sha256: str, handle: int) -> bool:
    with os.fdopen(handle, "rb", closefd=False) as stream:
        # As it lies there: a piece may have been written over since it came.
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            return False
    os.fsync(handle)
    final = path_of(sha256)
    final.parent.mkdir(parents=True, exist_ok=True)
    _arriving(sha256).replace(final)
    sync_folder(final.parent)
    return True


def store_bytes(data: bytes, name: str) -> StoredFile:
    """Keep something the platform itself has made, through the same door as uploads."""
    return store(io.BytesIO(data), name)
