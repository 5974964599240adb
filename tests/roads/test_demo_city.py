"""`make run ROAD=nats`: the demo city over NATS with one command, stopped without a trace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_serve import of_session
from tests.federation.city import ROOT, environment, free_port, wait_until, zhengtong

NODES = ("henan", "zhoukou", "zhoukou-portal", "fugou", "shenqiu")


@pytest.mark.soak
def test_a_city_over_nats(tmp_path: Path) -> None:
    folder, log = tmp_path / "city", tmp_path / "demo.log"
    command = [sys.executable, "-m", "zhengtong", "demo", "--road", "nats", "--folder", str(folder)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--first-port", str(free_port() // 2)],
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until(lambda: "演示城市已就绪" in log.read_text() or process.poll() is not None, 180)
        assert process.poll() is None, log.read_text()
        for name in NODES:
            wait_until(
                lambda name=name: _settled(folder / name / "node.toml"),  # type: ignore[misc]
                120,
                f"{name} to have receipts for all it said",
            )
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
        assert of_session(process.pid) == []
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _settled(node: Path) -> bool:
    listed = zhengtong("node", "list", node=node).stdout
    return "never" not in listed and set(re.findall(r"unreceipted (\d+)", listed)) == {"0"}
