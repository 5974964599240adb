"""A clock for one node: all that runs on it is told another time than this machine's."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.faults.province import Walled


class Clock:
    """libfaketime before every program of a node that has not started yet.

    Time between two moments stays true: it is the clock on the wall that is wrong.
    """

    def __init__(self, site: Walled) -> None:
        self.file = site.folder.with_suffix(".clock")
        self.set(0)
        site.extra |= {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: int) -> None:
        """So far ahead of this machine; running programs see it within a second."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self.file)


def _library() -> str:
    """What the program faketime preloads, wherever this system keeps it."""
    done = subprocess.run(
        ["faketime", "-f", "+0s", "env"], check=True, capture_output=True, text=True
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("LD_PRELOAD=")]
    return str(Path(found[0].partition("=")[2]))
