"""Bench row `catch-up`: letters a second after a cut of an hour, over those on an open link.

The nodes are those of the exchange rows. For a round of `ours` the county's node is shut down, so
that every connection, doorbell and lease of it is gone; the letters are enqueued, and the city
seals as far ahead as it ever does. No hour is waited for: what an hour leaves behind in the
databases, the moments of the last contact and of the leases, is set back by an hour at both ends.
Then the county is started. The clock runs from the moment it listens until the city holds its
receipt for the last letter. Not in the figure is how long a courier would still have paused that
failed all the while: up to five minutes, by chance.

The reference is the same number enqueued on the same pair while the link is open, from the commit
to the last receipt. The two take turns and the median of the rounds counts.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import load
from bench.exchange import Pair, per_hundred, serving
from bench.parts import Row, apart, row

NAME = "catch-up"
CUT = timedelta(hours=1)
AHEAD = 400
"""Letters that the city seals while it has no receipt for them."""


def rows(short: bool) -> list[Row]:
    """One row; `ours` and `reference` are letters receipted a second."""
    number, rounds = (1_000, 2) if short else (10_000, 3)
    ours, reference = list[float](), list[float]()
    used = dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name:
        pair = Interrupted(Path(name), "intl")
        with pair.running():
            pair.send(200)  # imports, caches and connections are warm
            pair.used = {}
            for _ in range(rounds):
                reference.append(number / pair.send(number))
                pair.used, used = used, pair.used
                ours.append(number / pair.catch_up(number))
                pair.used, used = used, pair.used
    middle, open_link = statistics.median(ours), statistics.median(reference)
    return [
        row(
            NAME,
            middle,
            open_link,
            middle / open_link,
            "letters/s",
            letters=number,
            body_bytes=load.BODY,
            rounds=[round(rate) for rate in ours],
            reference_rounds=[round(rate) for rate in reference],
            cpu_ms_per_100=per_hundred(used, number * rounds),
            reference_cpu_ms_per_100=per_hundred(pair.used, number * rounds),
        )
    ]


class Interrupted(Pair):
    """A pair whose county goes away and comes back."""

    @contextmanager
    def running(self) -> Iterator[None]:
        city, county = self.make()
        with serving(city) as self.upper, ExitStack() as self.county:
            self._begin(county)
            yield

    def catch_up(self, number: int) -> float:
        """Seconds from the return of the county to the receipt of the last of `number` letters."""
        self.county.close()
        apart(load.enqueue, self.folder / "city", number)
        self._until_sealed(min(number, AHEAD))
        for home in ("city", "county"):
            _set_back(self.folder / home)
        self._begin(self.folder / "county")
        began = time.monotonic()
        return self.until_receipted(number, lambda: began)

    def _begin(self, county: Path) -> None:
        self.watch(self.upper, self.county.enter_context(serving(county)))

    def _until_sealed(self, number: int) -> None:
        """Wait for the city to have done what it can do without a receipt."""
        ahead = "SELECT coalesce(sum(sealed - receipted), 0) FROM kernel_linklane"
        with closing(sqlite3.connect(self.folder / "city" / "node.sqlite3")) as city:
            self.follow(
                lambda: int(city.execute(ahead).fetchone()[0]), lambda sealed: sealed >= number
            )


def _set_back(home: Path) -> None:
    """Let this node's last contacts and leases lie an hour further back."""
    with closing(sqlite3.connect(home / "node.sqlite3")) as node, node:
        for table, column in (("neighbour", "last_contact"), ("lease", "until")):
            rows = node.execute(f"SELECT rowid, {column} FROM kernel_{table}").fetchall()
            for key, at in rows:
                if at is not None:
                    earlier = datetime.fromisoformat(at).replace(tzinfo=UTC) - CUT
                    value = earlier.strftime("%Y-%m-%d %H:%M:%S.%f")
                    node.execute(
                        f"UPDATE kernel_{table} SET {column} = ? WHERE rowid = ?", (value, key)
                    )
