"""Processes of a node meet at an arriving file: what stands at a file's address is that file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.federation.city import wait_until
from zhengtong.kernel import files
from zhengtong.kernel.files import StoredFile

pytestmark = pytest.mark.django_db

GOOD, BAD = b"a" * 1000, b"b" * 1000
SHA256 = hashlib.sha256(GOOD).hexdigest()

WRITER = """
import os, sys
from pathlib import Path
from zhengtong.faces.cli.start import enter
enter(Path(os.environ["ZHENGTONG_NODE"]))
from zhengtong.kernel import files

def say(word, write=os.pwrite):
    print(word, flush=True)
    sys.stdin.readline()
    return write

if sys.argv[1] == "open":
    os.pwrite = lambda *given: say("file open")(*given)
else:
    say("not begun")
files.write_piece(sys.argv[2], 0, b"b" * 1000)
"""


class Writer:
    """Another process of the node that writes a wrong piece of the file, when told to go on."""

    def __init__(self, stands: str) -> None:
        command = [sys.executable, "-c", WRITER, stands, SHA256]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, env=os.environ, **pipes)
        assert self.process.stdout and self.process.stdout.readline()

    def go_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def ended(self) -> bool:
        return self.process.poll() is not None


@contextmanager
def writer(stands: str) -> Iterator[Writer]:
    made = Writer(stands)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


@pytest.fixture(autouse=True)
def arriving() -> Iterator[Path]:
    """A file that has come but for its completion."""
    files.write_piece(SHA256, 0, GOOD)
    part = files._arriving(SHA256)
    yield part
    for path in (part, files.path_of(SHA256)):
        path.unlink(missing_ok=True)


def somebody_waits(inode: int) -> bool:
    """Whether a process waits for the lock on a file."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f":{inode} " in line for line in lines)


def test_what_another_process_is_about_to_write_is_judged_with_the_file(arriving: Path) -> None:
    inode, over = arriving.stat().st_ino, threading.Event()
    with writer("open") as other:

        def let_it_write() -> None:
            wait_until(lambda: over.is_set() or somebody_waits(inode), 20)
            other.go_on()

        beside = threading.Thread(target=let_it_write)
        beside.start()
        try:
            with pytest.raises(ValueError, match="content hash"):
                files.complete(SHA256, "水位.txt", "text/plain")
        finally:
            over.set()
            beside.join()
        assert other.process.wait(20) == 0
    assert not files.path_of(SHA256).exists()


def test_a_piece_that_comes_while_the_file_is_hashed_does_not_reach_it(
    arriving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inode, digest = arriving.stat().st_ino, hashlib.file_digest
    with writer("outside") as other:

        def hash_slowly(*given: Any) -> Any:
            found = digest(*given)
            other.go_on()
            wait_until(lambda: other.ended() or somebody_waits(inode), 20)
            return found

        monkeypatch.setattr(hashlib, "file_digest", hash_slowly)
        files.complete(SHA256, "水位.txt", "text/plain")
        assert other.process.wait(20) == 0
    assert files.path_of(SHA256).read_bytes() == GOOD
    assert not arriving.exists(), "nothing is left of a piece that came too late"
    assert StoredFile.objects.get().size == len(GOOD)


def test_the_lock_dies_with_the_process_that_held_it(arriving: Path) -> None:
    with writer("open") as other:
        other.process.kill()
        other.process.wait(20)
        files.complete(SHA256, "水位.txt", "text/plain")
    assert files.exists(SHA256)


def test_of_two_that_complete_a_file_the_second_finds_it_done(arriving: Path) -> None:
    files.complete(SHA256, "水位.txt", "text/plain")
    StoredFile.objects.all()._raw_delete("default")
    files.complete(SHA256, "水位.txt", "text/plain")
    assert files.exists(SHA256)
    assert not arriving.exists()
