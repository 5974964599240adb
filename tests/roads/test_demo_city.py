"""`make run ROAD=nats`: the demo city over NATS with one command, stopped without a trace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.test_demo import NAMES, running, stop
from tests.federation.city import free_port, wait_until, zhengtong


@pytest.mark.soak
def test_a_city_over_nats(tmp_path: Path) -> None:
    folder, log = tmp_path / "city", tmp_path / "demo.log"
    with running(folder, free_port() // 2, log, "--road", "nats", seconds=180) as process:
        for name in NAMES:
            wait_until(
                lambda name=name: _settled(folder / name / "node.toml"),  # type: ignore[misc]
                120,
                f"{name} to have receipts for all it said",
            )
        stop(process, 30)


def _settled(node: Path) -> bool:
    listed = zhengtong("node", "list", node=node).stdout
    return "never" not in listed and set(re.findall(r"unreceipted (\d+)", listed)) == {"0"}
