"""A plugin of pytest: after the run, one line for each test that made faults, for the soak report.

Loaded by the root's conftest, because with several workers only the first process prints.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

PROPERTY = "faults"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = list(_rows(terminalreporter.stats.get("passed", [])))
    if not rows:
        return
    terminalreporter.section("real faults between three nodes")
    for name, counts in rows:
        made = ", ".join(f"{what} {number}" for what, number in counts["faults"].items())
        given, lost, twice = (counts[word] for word in ("given", "lost", "twice"))
        terminalreporter.line(f"{name:<66} {given:>5} sent, lost {lost}, twice {twice}; {made}")
    total = {word: sum(counts[word] for _, counts in rows) for word in ("given", "lost", "twice")}
    faults = sum(sum(counts["faults"].values()) for _, counts in rows)
    terminalreporter.line(
        f"{total['given']} letters and documents, {faults} faults, "
        f"lost {total['lost']}, twice {total['twice']}"
    )


def _rows(reports: Iterable[pytest.TestReport]) -> Iterable[tuple[str, dict[str, Any]]]:
    for report in reports:
        for name, value in report.user_properties:
            if name == PROPERTY:
                yield report.nodeid.rpartition("::")[2], json.loads(str(value))
