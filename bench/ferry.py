"""Bench rows `exchange-{intl,gm}-ferry`: letters a second over an air gap, receipts and all.

Two nodes on SQLite with synchronous FULL and nothing between them. Letters of 4 KiB are enqueued at
the city; the clock runs while the city exports them onto CD volumes, the county imports them, the
county exports its receipts and the city imports those. The carrier walks in no time. The reference
is a second pair of nodes whose suite does no cryptography; the pairs take turns and the median of
the rounds counts. `peak_mb` is the most memory either of our nodes held.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import bare, load
from bench.exchange import SUITES, card_of, figures
from bench.parts import Row, apart
from zhengtong.faces.cli.init import write_node
from zhengtong.kernel.messages.keyfile import create_keys

NAMES = ("exchange-intl-ferry", "exchange-gm-ferry")
CD = 650_000_000


def rows(short: bool) -> list[Row]:
    """A row for each suite; `ours` and `reference` are letters receipted per second."""
    number, rounds = (1_000, 2) if short else (10_000, 3)
    suites = (*SUITES, "none")
    rates: dict[str, list[float]] = {suite: [] for suite in suites}
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name, ExitStack() as stack:
        floor = bare.insert_pairs(Path(name), number)
        pairs = {suite: stack.enter_context(pair(Path(name) / suite, suite)) for suite in suites}
        for nodes in pairs.values():
            nodes.send(0)  # the two meet
            nodes.send(100)
        for _ in range(rounds):
            for suite, nodes in pairs.items():
                rates[suite].append(number / nodes.send(number))
        peaks = {
            suite: max(nodes.city.run(peak_mb), nodes.county.run(peak_mb))
            for suite, nodes in pairs.items()
        }
    return [
        figures(name, rates[suite], rates["none"], number, floor, peak_mb=peaks[suite])
        for suite, name in zip(SUITES, NAMES, strict=True)
    ]


@dataclass
class Node:
    """One node and the process that acts on it."""

    home: Path
    pool: ProcessPoolExecutor

    def run(self, work: object, *arguments: object) -> float:
        return float(self.pool.submit(work, *arguments).result())  # type: ignore[arg-type]


@dataclass
class Pair:
    """A city and a county."""

    folder: Path
    city: Node
    county: Node
    voyages: int = 0

    def send(self, number: int) -> float:
        """Seconds from the order of the first disc to the last receipt of `number` letters."""
        if number:
            apart(load.enqueue, self.city.home, number)
        self.voyages += 1
        there, back = (self.folder / f"{way}-{self.voyages}" for way in ("there", "back"))
        began = time.monotonic()
        self.city.run(export, self.city.home, "county", there)
        self.county.run(bring, self.county.home, there)
        self.county.run(export, self.county.home, "city", back)
        left = self.city.run(bring, self.city.home, back)
        took = time.monotonic() - began
        if left:
            raise RuntimeError(f"{left:g} letters have no receipt")
        return took


@contextmanager
def pair(folder: Path, suite: str) -> Iterator[Pair]:
    """Two nodes of one suite that know each other's cards."""
    homes = [folder / name for name in ("city", "county")]
    for home in homes:
        create_keys(home / "keys", home.name, suite)
        write_node(
            home,
            name=home.name,
            title=home.name,
            zone="private",
            listen="127.0.0.1:8100",  # nobody listens: there is no line
        )
    city, county = homes
    apart(load.make, city, card_of(county), is_parent=False)
    apart(load.make, county, card_of(city), is_parent=True)
    for home, neighbour in ((city, county), (county, city)):
        apart(load.choose_road, home, neighbour.name, "ferry")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as first, ProcessPoolExecutor(1, context) as second:
        yield Pair(folder, Node(city, first), Node(county, second))


def export(home: Path, to: str, folder: Path) -> int:
    """Write a voyage; its letters."""
    from zhengtong.faces.cli.start import enter

    enter(home / "node.toml")
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.messages.roads import commands, ferry

    actor = node_actor({"ferry.export"})
    return ferry.make(commands.export(actor, to, limit=CD, folder=str(folder))).letters


def bring(home: Path, folder: Path) -> int:
    """Import a voyage; how many of our own letters are still without a receipt."""
    from zhengtong.faces.cli.start import enter

    enter(home / "node.toml")
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.messages.roads import ferry, queries

    for path in sorted(folder.iterdir()):
        ferry.land(node_actor({"ferry.import"}), path)
    for voyage in queries.arriving():
        ferry.unload(voyage)
    return queries.under_way("county").filter(letters__gt=0).count()


def peak_mb() -> int:
    """The most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
