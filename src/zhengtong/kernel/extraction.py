"""Text of a file that a stranger sent, read by a child process that may fail in its place.

Parsers of office formats meet hostile input; here they run in a process of their own, with hard
limits on processor time, memory, files and output, no environment and nothing to write to. Whatever
happens there arrives here as a `Problem`.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final


class Problem(StrEnum):
    """Why there is no text, or not all of it; `message` is for the screen."""

    UNSUPPORTED = "unsupported"
    ENCRYPTED = "encrypted"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    TOO_SLOW = "too_slow"
    TOO_MUCH_MEMORY = "too_much_memory"
    CRASHED = "crashed"

    @property
    def message(self) -> str:
        return _MESSAGES[self]


_MESSAGES: Final = {
    Problem.UNSUPPORTED: "此类文件不提取文字",
    Problem.ENCRYPTED: "文件已加密，无法提取文字",
    Problem.REFUSED: "文件内部结构异常，已停止提取文字",
    Problem.UNREADABLE: "文件已损坏或格式不符，无法提取文字",
    Problem.TOO_SLOW: "提取文字超时，已停止",
    Problem.TOO_MUCH_MEMORY: "提取文字占用内存过多，已停止",
    Problem.CRASHED: "解析程序异常中止，未能提取文字",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one extraction may cost: wall and processor seconds, MiB of address space, text."""

    seconds: float = 20
    memory_mb: int = 512
    characters: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Extracted:
    """`text` is complete if neither `truncated` nor `problem`; it holds no control characters
    but line feed and tab, so a database takes it. A scanned page has none and is no problem."""

    text: str
    truncated: bool = False
    problem: Problem | None = None


DEFAULT_LIMITS: Final = Limits()


def extract_text(path: Path, media_type: str, *, limits: Limits = DEFAULT_LIMITS) -> Extracted:
    """Read the text of the file at `path` as `media_type`, never longer than `limits` allow.

    No content makes this raise; only a file that cannot be opened does (`OSError`).
    """
    with path.open("rb") as file:
        child = _start(file, media_type, limits)
    try:
        answer = _listen(child, limits)
        if answer is None:
            return Extracted("", problem=Problem.TOO_SLOW)
        return _understand(answer, child.wait(timeout=5))
    except subprocess.TimeoutExpired:
        return Extracted("", problem=Problem.TOO_SLOW)
    finally:
        _end(child)


def _start(file: IO[bytes], media_type: str, limits: Limits) -> subprocess.Popen[bytes]:
    """The file is the child's standard input: it gets an open descriptor, not a path."""
    sources = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [
            sys.executable, "-s", "-P", "-B", "-m", "zhengtong.kernel.extraction_child",
            media_type, str(limits.seconds), str(limits.memory_mb), str(limits.characters),
        ],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONPATH": str(sources), "LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )  # fmt: skip


def _listen(child: subprocess.Popen[bytes], limits: Limits) -> bytes | None:
    """All the child says, or None once it spoke too long or too much for an honest one."""
    assert child.stdout is not None
    most = limits.characters * 4 * 2 + 4096  # UTF-8, and JSON doubles quotes and line feeds
    deadline = time.monotonic() + limits.seconds
    answer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while len(answer) <= most and (left := deadline - time.monotonic()) > 0:
            if selector.select(left):
                chunk = os.read(child.stdout.fileno(), 1 << 16)
                if not chunk:
                    return bytes(answer)
                answer += chunk
    return None


def _understand(answer: bytes, status: int) -> Extracted:
    if status == 0:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            said = json.loads(answer)
            problem = Problem(said["problem"]) if said["problem"] else None
            return Extracted(str(said["text"]), bool(said["truncated"]), problem)
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return Extracted("", problem=Problem.TOO_SLOW)
    return Extracted("", problem=Problem.CRASHED)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole session and reap it; harmless when it is already gone."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
