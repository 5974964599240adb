"""A real server process on a free port of the loopback."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from zhengtong.kernel.baked import BakedStore

SITE = Path(__file__).with_name("sample_site.py")
SOURCE = Path(__file__).parents[2] / "src"
# As the server stands on a node of the office, and behind its front on a node with public pages.
ZONES = ("office", "public")


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], seconds: float = 8.0) -> bool:
    """Wait for something that another process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def answers(port: int) -> bool:
    """Whether anything accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Site:
    """The running sample site."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]
    zone: str

    @property
    def store(self) -> BakedStore:
        """Its baked pages."""
        return BakedStore(self.root / "baked")

    def connect(self) -> http.client.HTTPConnection:
        """A fresh connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request on a connection of its own; header names with _ for -."""
        connection = self.connect()
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


def start_site(root: Path, zone: str, grace: float = 1.7) -> Site:
    """Start the sample site and wait until it accepts connections."""
    BakedStore(root / "baked")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(SITE), str(root), str(port), zone, str(grace)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stderr=(root / "log").open("wb"),
    )
    assert until(lambda: answers(port) or process.poll() is not None)
    assert process.poll() is None, (root / "log").read_text()
    return Site(root, port, process, zone)


@pytest.fixture(scope="session", params=ZONES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One server for all tests that do not stop it."""
    running = start_site(tmp_path_factory.mktemp("site"), request.param)
    yield running
    running.process.terminate()
    running.process.wait(5)


@pytest.fixture(params=ZONES)
def own_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts servers that the test may stop or kill."""
    started: list[Site] = []

    def start(grace: float = 1.7) -> Site:
        started.append(start_site(tmp_path, request.param, grace))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()
