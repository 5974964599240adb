"""Bench row `exchange-intl-https`: letters a second from one city node to one county node.

Two nodes as `zhengtong serve` runs them, over real sockets on loopback, on SQLite with
synchronous FULL. Letters of 4 KiB are enqueued in one transaction; the clock runs from its commit
until the city holds the county's receipt for the last of them. The reference is a second pair of
nodes whose suite does no cryptography. The pairs take turns and the median of the rounds counts.
"""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import load, plain_suite  # noqa: F401 - the plain suite registers itself
from bench.parts import Row, apart, free_ports, row
from zhengtong.faces.cli.init import write_node
from zhengtong.kernel.messages.keyfile import create_keys, read_keys
from zhengtong.kernel.node import load as read_node
from zhengtong.wire.keys import NodeCard

NAMES = ("exchange-intl-https",)
ROOT = Path(__file__).parents[1]
STALLED = 20.0
"""Seconds without a single receipt after which a run is given up."""


def rows(short: bool) -> list[Row]:
    """One row; `ours` and `reference` are letters delivered with receipt per second."""
    number, rounds = (2_000, 3) if short else (20_000, 3)
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name, ExitStack() as stack:
        pairs = {suite: Pair(Path(name) / suite, suite) for suite in ("intl", "none")}
        for pair in pairs.values():
            stack.enter_context(pair.running())
        for pair in pairs.values():
            pair.send(200)  # imports, caches and connections are warm
        rates: dict[str, list[float]] = {suite: [] for suite in pairs}
        for _ in range(rounds):
            for suite, pair in pairs.items():
                rates[suite].append(number / pair.send(number))
    ours, reference = (statistics.median(rates[suite]) for suite in ("intl", "none"))
    return [
        row(
            NAMES[0],
            ours,
            reference,
            ours / reference,
            "letters/s",
            letters=number,
            body_bytes=load.BODY,
            rounds=[round(rate) for rate in rates["intl"]],
            reference_rounds=[round(rate) for rate in rates["none"]],
        )
    ]


@dataclass(frozen=True)
class Pair:
    """A city node and a county node below it, both of one suite."""

    folder: Path
    suite: str

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make both nodes and keep them serving."""
        city, county = (self.folder / name for name in ("city", "county"))
        ports = free_ports(2)
        for home, port in zip((city, county), ports, strict=True):
            create_keys(home / "keys", home.name, self.suite)
            above = ("city", f"http://127.0.0.1:{ports[0]}") if home is county else None
            write_node(
                home,
                name=home.name,
                title=home.name,
                zone="private",
                listen=f"127.0.0.1:{port}",
                parent=above,
            )
        apart(load.make, city, card_of(county), is_parent=False)
        apart(load.make, county, card_of(city), is_parent=True)
        with serving(city), serving(county):
            yield

    def send(self, number: int) -> float:
        """Seconds from the commit of `number` letters to the receipt of the last."""
        with closing(sqlite3.connect(self.folder / "city" / "node.sqlite3")) as city:
            wanted = self._receipted(city) + number
            began = apart(load.enqueue, self.folder / "city", number)
            before, changed = 0, time.monotonic()
            while (receipted := self._receipted(city)) < wanted:
                now = time.monotonic()
                changed = now if receipted != before else changed
                before = receipted
                if now - changed > STALLED:
                    stood = f"no receipt for {STALLED:g} s after {receipted} of {wanted}"
                    raise RuntimeError(f"{stood}:\n{self.logs()}")
                time.sleep(0.01)
            return time.monotonic() - began

    def logs(self) -> str:
        """The end of what both nodes have said."""
        files = sorted(self.folder.glob("*/serve.log"))
        return "\n".join(f"{file.parent.name}: {file.read_text()[-3000:]}" for file in files)

    def _receipted(self, city: sqlite3.Connection) -> int:
        return int(city.execute("SELECT max(receipted) FROM kernel_neighbour").fetchone()[0])


def card_of(home: Path) -> bytes:
    node = read_node(home / "node.toml")
    return NodeCard.issue(
        read_keys(node.keys),
        title=node.title,
        zone=node.zone.value,
        ceiling=int(node.ceiling),
        url=node.url,
        issued_at=datetime.now(UTC),
    ).to_cbor()


@contextmanager
def serving(home: Path) -> Iterator[None]:
    """`zhengtong serve` for one node, from its start to its end."""
    command = [sys.executable, "-m", "bench.node", "--node", str(home / "node.toml"), "serve"]
    with (home / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    print(rows("--short" in sys.argv))
