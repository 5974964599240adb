"""A demo city in an empty clone, started the way a newcomer starts it: `make run`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.parts import CannotRun

ROOT = Path(__file__).parents[1]
NODES = ("henan", "zhoukou", "zhoukou-portal", "fugou", "shenqiu")
PATIENCE = 240.0
"""Seconds after which a city that does not answer is given up."""


@dataclass(frozen=True)
class Clone:
    """A clone of this repository's last commit, in a scratch folder."""

    folder: Path
    first_port: int

    @property
    def urls(self) -> dict[str, str]:
        places = enumerate(NODES, self.first_port)
        return {name: f"http://127.0.0.1:{port}" for port, name in places}

    @property
    def data(self) -> Path:
        """Where the demo keeps its nodes."""
        return self.folder / "var" / "demo-5"

    @contextmanager
    def running(self) -> Iterator[City]:
        """`make run`, until the block ends; then Ctrl-C."""
        began = time.monotonic()
        log = self.folder.with_suffix(".log")
        # The port goes along with the number of nodes, so that a demo that runs already may stay.
        words = f"NODES=5 --first-port {self.first_port}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["make", "--no-print-directory", "run", words],
                cwd=self.folder,
                env=_environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield City(self, process, log, began)
        finally:
            _stop(process)


@dataclass(frozen=True)
class City:
    """A running demo city; `began` is the moment of `make run` (monotonic seconds)."""

    clone: Clone
    process: subprocess.Popen[bytes]
    log: Path
    began: float

    def until_answered(self) -> dict[str, float]:
        """Seconds from `make run` to the first page of each node. Raises CannotRun."""
        answered: dict[str, float] = {}
        while len(answered) < len(NODES):
            for name, url in self.clone.urls.items():
                if name not in answered and _answers(url):
                    answered[name] = time.monotonic() - self.began
            if self.process.poll() is not None or time.monotonic() - self.began > PATIENCE:
                said = self.log.read_text(errors="replace").strip().splitlines()[-3:]
                raise CannotRun(f"the city does not answer: {' / '.join(said)}")
            time.sleep(0.02)
        return answered

    def groups(self) -> dict[str, list[int]]:
        """The processes of each node: the demo puts every node into a process group of its own."""
        demo = _descendants(self.process.pid)
        leaders = [pid for pid in demo if os.getpgid(pid) == pid]
        if len(leaders) != len(NODES):
            raise RuntimeError(f"{len(leaders)} process groups for {len(NODES)} nodes")
        return {
            name: [pid for pid in demo if os.getpgid(pid) == leader]
            for name, leader in zip(NODES, leaders, strict=True)
        }


@contextmanager
def clone() -> Iterator[Clone]:
    """Clone the repository; everything is removed afterwards. Raises CannotRun."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        raise CannotRun("git, or the repository's history, is not at hand")
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        command = ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(home / "clone")]
        subprocess.run(command, check=True)
        yield Clone(home / "clone", _free_run_of_ports(len(NODES)))


def _environment() -> dict[str, str]:
    """What a newcomer's shell holds: nothing of this run of make, of Python's or of a node."""
    ours = ("ZHENGTONG", "MAKE", "MFLAGS", "PYTHONPATH", "VIRTUAL_ENV", "DJANGO")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C for the whole session of make, then by force whatever is left of it."""
    left = _descendants(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _descendants(pid: int) -> list[int]:
    """Every process below `pid`, each parent's in the order in which they were started."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [one for child in map(int, below) for one in (child, *_descendants(child))]


def _answers(url: str) -> bool:
    """Whether a page comes: the sign-in page of an office, the front page of a portal."""
    with suppress(OSError), urllib.request.urlopen(f"{url}/", timeout=5) as answer:
        return bool(answer.status == 200 and answer.read())
    return False


def _free_run_of_ports(count: int) -> int:
    """The first of `count` neighbouring ports that nobody listens on."""
    for first in range(18_100, 30_000, 10):
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
    raise CannotRun(f"no {count} free ports in a row")
