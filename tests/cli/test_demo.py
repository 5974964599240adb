"""`zhengtong demo`: a whole city with one command; it stops without a trace and keeps its data."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.test_serve import of_session
from tests.federation.city import ROOT, environment, wait_until, zhengtong

NAMES = ("henan", "zhoukou", "zhoukou-portal", "fugou", "shenqiu")


def _free_ports(number: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    for first in range(20_000 + os.getpid() % 20_000, 60_000, number):
        try:
            for port in range(first, first + number):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@contextmanager
def running(
    folder: Path, port: int, log: Path, *more: str, seconds: int = 120
) -> Iterator[subprocess.Popen[bytes]]:
    """The city once it says that it is ready; `seconds` are given to it until then."""
    command = [sys.executable, "-m", "zhengtong", "demo", "--folder", str(folder), *more]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--first-port", str(port)],
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until(
            lambda: "演示城市已就绪" in log.read_text() or process.poll() is not None, seconds
        )
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def stop(process: subprocess.Popen[bytes], seconds: int = 20) -> None:
    """Ctrl-C in the terminal; afterwards nothing of the city runs."""
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(seconds) == 0
    assert of_session(process.pid) == []


def test_a_city_with_one_command(tmp_path: Path) -> None:
    folder, log, port = tmp_path / "city", tmp_path / "demo.log", _free_ports(5)
    with running(folder, port, log) as process:
        said = log.read_text()
        addresses = re.findall(r"http://127\.0\.0\.1:(\d+)/", said)
        assert addresses == [str(port + number) for number in range(5)], said
        assert "均为虚构" in said and "Ctrl-C" in said
        for number in range(5):
            address = f"http://127.0.0.1:{port + number}/"
            with urllib.request.urlopen(address, timeout=20) as answer:
                assert answer.status == 200
        password = re.findall(r"登录口令（所有演示账号）：(\S+)", said)
        cards = {name: _card(folder, name) for name in NAMES}
        taken = zhengtong("demo", "--folder", tmp_path / "second", "--first-port", str(port))
        assert (taken.returncode, "--first-port" in taken.stderr) == (1, True)
        stop(process)
    for name in NAMES:
        assert zhengtong("doctor", "--audit", node=folder / name / "node.toml").returncode == 0

    with running(folder, port, log) as process:
        said = log.read_text()
        assert "正在登记节点" not in said, "nothing is built a second time"
        assert re.findall(r"登录口令（所有演示账号）：(\S+)", said) == password
        assert {name: _card(folder, name) for name in NAMES} == cards
        wait_until(lambda: "never" not in _links(folder, "zhoukou"), what="all links to be up")
        assert _links(folder, "zhoukou").count("last contact") == 4
        stop(process)


def _card(folder: Path, name: str) -> bytes:
    return (folder / name / "keys" / "node.pem").read_bytes()


def _links(folder: Path, name: str) -> str:
    return zhengtong("node", "list", node=folder / name / "node.toml").stdout


def test_only_the_two_sizes_of_city_are_made(tmp_path: Path) -> None:
    done = zhengtong("demo", "--nodes", "7", "--folder", tmp_path / "city")
    assert (done.returncode, "18" in done.stderr) == (1, True)
    assert not (tmp_path / "city").exists()
