"""The file store keeps files whole or not at all, each content once, under its own hash."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zhengtong.kernel import files
from zhengtong.kernel.errors import Invalid, Unavailable
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.messages import pieces
from zhengtong.kernel.messages.facts import FileRef
from zhengtong.kernel.messages.models import IncomingFile
from zhengtong.kernel.messages.pieces import FilePiece

pytestmark = pytest.mark.django_db

TEXT = "关于做好汛期防汛准备工作的通知".encode()


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """A store of its own for each test."""
    settings.NODE = replace(django_settings.NODE, files=tmp_path / "files", max_upload_mb=1)
    return tmp_path / "files"


def on_disk(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Stream(io.BytesIO):
    """An upload that remembers the largest block asked of it."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None and size > 0, "the whole upload was read at once"
        self.largest = max(self.largest, size)
        return super().read(size)


# ── uploads ──


def test_a_file_is_stored_under_its_hash_and_read_back(folder: Path) -> None:
    stream = Stream(TEXT * 20_000)
    stored = files.store(stream, "通知.txt")
    assert (stored.sha256, stored.size) == (digest(TEXT * 20_000), len(TEXT) * 20_000)
    assert stored.media_type == "text/plain"
    assert stream.largest <= 1 << 18
    with files.open_file(stored.sha256) as content:
        assert content.read() == TEXT * 20_000
    assert files.exists(stored.sha256)
    assert on_disk(folder) == [stored.sha256]


def test_the_same_content_is_kept_once_whatever_its_name(folder: Path) -> None:
    first, second = files.store(io.BytesIO(TEXT), "甲.txt"), files.store_bytes(TEXT, "乙.txt")
    assert first == second
    assert StoredFile.objects.count() == 1
    assert on_disk(folder) == [first.sha256]


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "空.txt", "“空.txt”是空文件，请重新选择"),
        (b"x" * ((1 << 20) + 1), "大.txt", "“大.txt”超过 1 MB 上限"),
        (b"MZ\x90\x00", "病毒.exe", "病毒.exe"),
        (b"MZ\x90\x00", "伪装.pdf", "伪装.pdf"),
        (TEXT, "没有后缀", "没有后缀"),
    ],
)
def test_what_may_not_enter_is_refused_and_leaves_nothing(
    folder: Path, data: bytes, name: str, words: str
) -> None:
    with pytest.raises(Invalid) as caught:
        files.store(io.BytesIO(data), name)
    assert words in caught.value.fields["file"]
    assert on_disk(folder) == []
    assert not StoredFile.objects.exists()


def test_a_file_of_exactly_the_limit_is_taken(folder: Path) -> None:
    assert files.store(io.BytesIO(b"x" * (1 << 20)), "满.txt").size == 1 << 20


def test_an_upload_that_breaks_off_leaves_nothing(folder: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 600_000:
                raise ConnectionResetError("the line went down")
            return super().read(size)

    with pytest.raises(ConnectionResetError):
        files.store(Broken(TEXT * 20_000), "通知.txt")
    assert on_disk(folder) == []


def test_a_hash_nobody_stored_is_not_there(folder: Path) -> None:
    assert not files.exists("0" * 64)
    with pytest.raises(FileNotFoundError):
        files.open_file("0" * 64)


@pytest.mark.parametrize("name", ["../../keys/node.pem", "", "0" * 63, "Z" * 64, "0" * 64 + "\n"])
def test_what_is_no_hash_is_no_path(folder: Path, name: str) -> None:
    for use in (files.path_of, files.open_file, lambda bad: files.write_piece(bad, 0, b"x")):
        with pytest.raises(ValueError, match="SHA-256"):
            use(name)


# ── a full disk ──


@contextmanager
def tiny_disk(folder: Path) -> Iterator[None]:
    """64 KiB of room: a file system of that size where we may mount one, else a limit on files."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    with ExitStack() as after:
        if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
            after.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
        else:
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, before[1]))
            after.callback(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        yield


@pytest.mark.parametrize("size", [100 << 10, (300 << 10) + 77])
def test_on_a_full_disk_an_upload_is_refused_and_leaves_no_half_file(
    folder: Path, size: int
) -> None:
    with tiny_disk(folder):
        with pytest.raises(Unavailable, match="磁盘已满"):
            files.store(io.BytesIO(b"x" * size), "通知.txt")
        assert on_disk(folder) == []
        assert files.store(io.BytesIO(TEXT), "通知.txt").size == len(TEXT)  # there is room again
    assert StoredFile.objects.count() == 1


def test_on_a_full_disk_a_piece_is_not_taken_for_written(folder: Path) -> None:
    with tiny_disk(folder), pytest.raises(Unavailable, match="磁盘已满"):
        files.write_piece("0" * 64, 0, b"x" * (100 << 10))
    assert not StoredFile.objects.exists()


# ── files that arrive in pieces ──

PIECE = 1000
KEY = bytes(range(32))
CONTENT = (TEXT * 200)[: 4 * PIECE + 321]
REFERENCE = FileRef(digest(CONTENT), "通知.txt", len(CONTENT), "text/plain")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", PIECE)


def receive(piece: FilePiece, data: bytes) -> None:
    """Take in one piece by itself. Raises ValueError."""
    arriving = pieces.Arriving()
    pieces.write(piece, data)
    arriving.take(1, piece)
    for _, fault in arriving.settle():
        raise fault


def receive_all(order: list[int]) -> None:
    for index in order:
        receive(FilePiece(REFERENCE, index, KEY), CONTENT[index * PIECE : (index + 1) * PIECE])


def forget_rows() -> None:
    """Lose the rows of stored files, as when the machine stops before the commit."""
    StoredFile.objects.all()._raw_delete("default")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(list(range(5)) * 2))
def test_pieces_in_any_order_and_twice_make_the_file(folder: Path, order: list[int]) -> None:
    receive_all(order)
    with files.open_file(REFERENCE.sha256) as whole:
        assert whole.read() == CONTENT
    assert on_disk(folder) == [REFERENCE.sha256]
    stored = StoredFile.objects.get()
    assert (stored.size, stored.media_type) == (len(CONTENT), "text/plain")
    assert not IncomingFile.objects.exists()
    forget_rows()
    files.path_of(REFERENCE.sha256).unlink()


def test_until_the_last_piece_there_is_no_file(folder: Path) -> None:
    receive_all([0, 1, 3, 4, 3, 1])
    assert not files.exists(REFERENCE.sha256)
    assert not StoredFile.objects.exists()
    assert on_disk(folder) == [f"{REFERENCE.sha256}.part"]


def test_a_corrupt_piece_spoils_the_file_and_nothing_is_kept(folder: Path) -> None:
    receive_all([0, 1, 3, 4])
    with pytest.raises(ValueError, match="content hash"):
        receive(FilePiece(REFERENCE, 2, KEY), b"\x00" * PIECE)
    assert on_disk(folder) == []
    assert not StoredFile.objects.exists() and not IncomingFile.objects.exists()
    receive_all([4, 3, 2, 1, 0])  # sent once more, it arrives
    assert files.exists(REFERENCE.sha256)


@pytest.mark.parametrize(
    ("index", "length", "file"),
    [
        (5, 0, REFERENCE),
        (-1, PIECE, REFERENCE),
        (0, PIECE - 1, REFERENCE),
        (4, PIECE, REFERENCE),
        (0, PIECE, replace(REFERENCE, sha256="../../keys/secret")),
        (0, 0, replace(REFERENCE, size=-1)),
        (0, PIECE, replace(REFERENCE, size=1 << 50)),
        (0, PIECE, replace(REFERENCE, media_type="text/html")),
    ],
)
def test_what_cannot_be_a_piece_of_the_file_is_refused(
    folder: Path, index: int, length: int, file: FileRef
) -> None:
    with pytest.raises(ValueError, match="file piece"):
        receive(FilePiece(file, index, KEY), b"x" * length)
    assert on_disk(folder) == []
    assert not IncomingFile.objects.exists()


def test_a_file_whose_row_was_lost_is_found_again(folder: Path) -> None:
    """The machine stopped after the file was moved to its place, before the commit."""
    receive_all(list(range(5)))
    forget_rows()
    IncomingFile.objects.bulk_create(
        [IncomingFile(sha256=REFERENCE.sha256, index=index) for index in range(4)]
    )
    receive_all([4])
    assert files.exists(REFERENCE.sha256)
    assert not IncomingFile.objects.exists()
    assert on_disk(folder) == [REFERENCE.sha256]


@pytest.mark.parametrize(("size", "wanted"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (5000, 5)])
def test_a_file_travels_in_so_many_pieces(size: int, wanted: int) -> None:
    assert pieces.count(size) == wanted


@pytest.mark.django_db
def test_a_piece_that_another_process_has_written_over_is_noticed() -> None:
    good = b"a" * pieces.PIECE + b"b" * 10
    sha256 = hashlib.sha256(good).hexdigest()
    for offset in (0, pieces.PIECE):
        files.write_piece(sha256, offset, good[offset : offset + pieces.PIECE])
    write = "import sys; open(sys.argv[1], 'r+b').write(b'X')"
    subprocess.run([sys.executable, "-c", write, str(files._arriving(sha256))], check=True)
    with pytest.raises(ValueError, match="content hash"):
        files.complete(sha256, "水位.txt", "text/plain")
    assert not files.path_of(sha256).exists()
