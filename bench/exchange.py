"""Bench rows `exchange-{intl,gm}-https`: letters a second from one city node to one county node.

Two nodes as `zhengtong serve` runs them, over real sockets on loopback, on SQLite with
synchronous FULL. Letters of 4 KiB are enqueued in one transaction; the clock runs from its commit
until the city holds the county's receipt for the last of them. The reference is a second pair of
nodes whose suite does no cryptography. The pairs take turns and the median of the rounds counts.
`of_bare_insert` compares with inserting the same bytes durably into two databases, without nodes.

`cpu_ms_per_100` tells where the time goes, whatever else the machine does: processor time for 100
letters in the worker that seals, in the web process that answers dials, and in the county's worker,
whose courier dials, opens and receipts.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench import bare, load
from bench.parts import (
    Row,
    apart,
    child_processes,
    cpu_seconds,
    free_ports,
    row,
    wait_for_port,
)
from zhengtong.faces.cli.init import write_node
from zhengtong.kernel.messages.keyfile import create_keys, read_keys
from zhengtong.kernel.node import load as read_node
from zhengtong.wire.keys import NodeCard

SUITES = ("intl", "gm")
NAMES = ("exchange-intl-https", "exchange-gm-https")
ROOT = Path(__file__).parents[1]
STALLED = 20.0
"""Seconds in which nothing moved after which a run is given up."""


def rows(short: bool) -> list[Row]:
    """A row for each suite; `ours` and `reference` are letters receipted per second."""
    return compare(dict(zip(SUITES, NAMES, strict=True)), Pair, short)


def compare(names: dict[str, str], kind: type[Pair], short: bool) -> list[Row]:
    """The rows of one road, by suite: pairs of nodes against a pair whose suite does nothing."""
    number, rounds = (2_000, 2) if short else (20_000, 3)
    suites = (*names, "none")
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as folder, ExitStack() as stack:
        floor = bare.insert_pairs(Path(folder), number)
        pairs = {suite: kind(Path(folder) / suite, suite) for suite in suites}
        for pair in pairs.values():
            stack.enter_context(pair.running())
        for pair in pairs.values():
            pair.send(200)  # imports, caches and connections are warm
        rates: dict[str, list[float]] = {suite: [] for suite in pairs}
        for pair in pairs.values():
            pair.used = {}
        for _ in range(rounds):
            for suite, pair in pairs.items():
                with resting([other for other in pairs.values() if other is not pair]):
                    rates[suite].append(number / pair.send(number))
    sent = number * rounds
    return [
        figures(
            name,
            rates[suite],
            rates["none"],
            number,
            floor,
            cpu_ms_per_100=per_hundred(pairs[suite].used, sent),
            reference_cpu_ms_per_100=per_hundred(pairs["none"].used, sent),
        )
        for suite, name in names.items()
    ]


def figures(
    name: str, ours: list[float], none: list[float], letters: int, floor: float, **more: object
) -> Row:
    """The row of one suite on one road: letters a second, round by round, beside those without."""
    median, reference = statistics.median(ours), statistics.median(none)
    return row(
        name,
        median,
        reference,
        median / reference,
        "letters/s",
        letters=letters,
        body_bytes=load.BODY,
        of_bare_insert=median / floor,
        rounds=[round(rate) for rate in ours],
        reference_rounds=[round(rate) for rate in none],
        **more,
    )


def per_hundred(used: dict[str, float], letters: int) -> dict[str, int]:
    """Milliseconds of processor time for 100 letters, by process."""
    return {name: round(spent / letters * 100_000) for name, spent in used.items()}


@contextmanager
def resting(pairs: list[Pair]) -> Iterator[None]:
    """Let the nodes of these pairs stand still: even idle ones look round now and then."""
    processes = [pid for pair in pairs for pid in pair.processes.values()]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


@dataclass
class Pair:
    """A city node and a county node below it, both of one suite."""

    folder: Path
    suite: str
    processes: dict[str, int] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    """Processor seconds of each process while letters were under way."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make both nodes and keep them serving."""
        city, county = self.make()
        with serving(city) as upper, serving(county) as lower:
            self.watch(upper, lower)
            yield

    def make(self) -> tuple[Path, Path]:
        """The homes of both nodes, which know each other."""
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
        self.lay(city, county)
        return city, county

    def watch(self, upper: dict[str, int], lower: dict[str, int]) -> None:
        """Note the processes of both nodes that have to do with the exchange."""
        self.processes = {
            **{f"city {name}": pid for name, pid in upper.items()},
            **{f"county {name}": pid for name, pid in lower.items() if name != "web"},
        }

    def lay(self, city: Path, county: Path) -> None:
        """What the road needs before the nodes start; a child that dials needs nothing."""

    def send(self, number: int) -> float:
        """Seconds from the commit of `number` letters to the receipt of the last."""
        return self.until_receipted(
            number, lambda: apart(load.enqueue, self.folder / "city", number)
        )

    def until_receipted(self, number: int, begin: Callable[[], float]) -> float:
        """Seconds from the moment that `begin` returns until so many more letters are receipted."""
        with closing(sqlite3.connect(self.folder / "city" / "node.sqlite3")) as city:
            wanted = self._receipted(city) + number
            with self.metered():
                began = begin()
                self.follow(lambda: self._receipted(city), lambda receipted: receipted >= wanted)
                return time.monotonic() - began

    def follow(self, count: Callable[[], int], done: Callable[[int], bool]) -> None:
        """Wait until `done` says so of what `count` says.

        Raises RuntimeError with the nodes' logs when the count has stood still for STALLED seconds.
        """
        before, changed = 0, time.monotonic()
        while not done(counted := count()):
            now = time.monotonic()
            before, changed = counted, changed if counted == before else now
            if now - changed > STALLED:
                raise RuntimeError(f"stood still for {STALLED:g} s at {counted}:\n{self.logs()}")
            time.sleep(0.01)

    @contextmanager
    def metered(self) -> Iterator[None]:
        """Add to `used` what each process spends inside the block."""
        before = {name: cpu_seconds(pid) for name, pid in self.processes.items()}
        yield
        for name, pid in self.processes.items():
            self.used[name] = self.used.get(name, 0.0) + cpu_seconds(pid) - before[name]

    def logs(self) -> str:
        """The end of what both nodes have said."""
        files = sorted(self.folder.glob("*/serve.log"))
        return "\n".join(f"{file.parent.name}: {file.read_text()[-3000:]}" for file in files)

    def _receipted(self, city: sqlite3.Connection) -> int:
        return int(
            city.execute("SELECT coalesce(sum(receipted), 0) FROM kernel_linklane").fetchone()[0]
        )


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
def serving(home: Path) -> Iterator[dict[str, int]]:
    """`zhengtong serve` for one node, from its first answer to its end; its processes by name."""
    command = [sys.executable, "-m", "bench.node", "--node", str(home / "node.toml"), "serve"]
    address = read_node(home / "node.toml")
    with (home / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            wait_for_port(process, address.port)
            *broker, web, worker = child_processes(process.pid)
            yield {"web": web, "worker": worker, **dict(zip(["nats"], broker, strict=False))}
        finally:
            process.terminate()
            process.wait(20)
