"""Bench row `attachment-1g`: MB/s of one file from a city node to a county node below it.

The file is 1 GiB of bytes that do not compress (64 MiB in a short run), taken in by the city's
file store beforehand. The clock runs from the commit of a fact that names it until the county's
file store holds it whole and verified: sealed, receipted and logged piece by piece on the way. The
nodes are those of the exchange rows. The reference is a plain copy of the same file over the same
road, without a node: see `plain_copy`. The two take turns and the median of the rounds counts.

`peak_mb` is the most memory that any process of either node held meanwhile; `cpu_ms_per_mb` is
processor time by process.
"""

from __future__ import annotations

import hashlib
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bench import load, plain_copy
from bench.exchange import Pair
from bench.parts import Row, apart, row

NAME = "attachment-1g"
MIB = 1 << 20


def rows(short: bool) -> list[Row]:
    """One row; `ours` and `reference` are megabytes (MiB) a second."""
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name:
        pair = Parcels(Path(name), "intl")
        with pair.running():
            pair.send(200)  # imports, caches and connections are warm
            return [measure(NAME, pair, short=short)]


def measure(
    name: str, pair: Parcels, source: str = "city", target: str = "county", *, short: bool
) -> Row:
    """The row of files from one node of a running pair to the other, and of plain copies."""
    size, rounds = (64 * MIB, 3) if short else (1 << 30, 3)
    ours, copies, peaks = list[float](), list[float](), list[float]()
    pair.used = {}
    for _ in range(rounds):
        sha256 = apart(load.keep_file, pair.folder / source, size)
        ours.append(size / MIB / pair.carry(sha256, source, target))
        peaks.append(pair.peak_mb())
        here, there = (stored(pair.folder / home, sha256) for home in (source, target))
        copy = pair.folder / "copy"
        copies.append(size / MIB / plain_copy.copy(here, copy, sha256))
        for path in (here, there, copy):
            path.unlink()
    middle, reference = statistics.median(ours), statistics.median(copies)
    return row(
        name,
        middle,
        reference,
        middle / reference,
        "MB/s",
        bytes=size,
        peak_mb=max(peaks),
        rounds=[round(rate) for rate in ours],
        reference_rounds=[round(rate) for rate in copies],
        cpu_ms_per_mb={
            process: round(spent * 1000 / (rounds * size / MIB), 2)
            for process, spent in pair.used.items()
        },
    )


class Parcels(Pair):
    """A pair over which a file goes."""

    def lay(self, city: Path, county: Path) -> None:
        for home in (city, county):
            with (home / "node.toml").open("a") as config:
                config.write("\n[serve]\nmax_upload_mb = 4096\n")

    def carry(self, sha256: str, source: str = "city", target: str = "county") -> float:
        """Seconds from the commit of a fact with this file until the other node has it."""
        letters = "SELECT count(*) FROM kernel_arrival"
        kept = "SELECT count(*) FROM kernel_storedfile WHERE sha256 = ?"
        for pid in self.processes.values():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
        with (
            closing(sqlite3.connect(self.folder / target / "node.sqlite3")) as there,
            self.metered(),
        ):
            began = apart(load.post_file, self.folder / source, sha256, target)
            self.follow(
                lambda: int(there.execute(letters).fetchone()[0]),
                lambda _: bool(there.execute(kept, (sha256,)).fetchone()[0]),
            )
            took = time.monotonic() - began
        with stored(self.folder / target, sha256).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise RuntimeError(f"the {target} holds another file")
        return took

    def peak_mb(self) -> float:
        """The most memory that one process of either node held since the last file set out."""
        return max(map(_peak_mb, self.processes.values()))


def stored(home: Path, sha256: str) -> Path:
    """Where a node keeps a file."""
    return home / "files" / sha256[:2] / sha256[2:4] / sha256


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
