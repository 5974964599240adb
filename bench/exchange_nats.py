"""Bench rows `exchange-{intl,gm}-nats`: the same over two NATS servers and a leaf line.

Each node has a server of its own beside it, as in production, with every acknowledged message on
the disk (`sync_interval: always`). So a letter is made durable four times on its way: in the city's
tables, on the city's stream, in the county's tables, and its receipt on the county's stream.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench import load
from bench.exchange import SUITES, Pair, compare
from bench.parts import CannotRun, Row, apart, free_ports
from zhengtong.kernel.messages.roads import nats_files
from zhengtong.kernel.node import load as read_node

NAMES = ("exchange-intl-nats", "exchange-gm-nats")


def rows(short: bool) -> list[Row]:
    """A row for each suite; `ours` and `reference` are letters receipted per second."""
    return compare(dict(zip(SUITES, NAMES, strict=True)), NatsPair, short)


class NatsPair(Pair):
    """A city node and a county node, each with a NATS server that `zhengtong serve` runs."""

    def lay(self, city: Path, county: Path) -> None:
        server = Path(sys.executable).with_name("nats-server")
        if not server.exists():
            raise CannotRun("there is no nats-server beside this Python; run tools/setup test")
        above, below, leaves = free_ports(3)
        _append(city, f'url = "127.0.0.1:{above}"\nleaves = "127.0.0.1:{leaves}"', server)
        _append(county, f'url = "127.0.0.1:{below}"\nabove = "127.0.0.1:{leaves}"', server)
        written = nats_files.write(read_node(county / "node.toml"), [])
        node = read_node(city / "node.toml")
        nats_files.remember_leaf(node, county.name, written.key)
        nats_files.write(node, [county.name])
        apart(load.choose_road, city, county.name, "nats")


def _append(home: Path, table: str, server: Path) -> None:
    path = home / "node.toml"
    text = path.read_text(encoding="utf-8").replace("[parent]\n", '[parent]\nroad = "nats"\n')
    path.write_text(f'{text}\n[nats]\n{table}\nserver = "{server}"\n', encoding="utf-8")
