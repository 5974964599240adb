"""A plugin of pytest: after a soak, what each plan played, for the soak report.

Loaded by the root's conftest, because with several workers only the first process prints.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

PROPERTY = "seeds"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    stats = terminalreporter.stats
    rows = [
        json.loads(str(value))
        for report in (*stats.get("passed", []), *stats.get("failed", []))
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if not rows:
        return
    terminalreporter.section("simulated runs")
    injected = Counter[str]()
    for row in rows:
        injected.update(row["injected"])
        terminalreporter.line(f"{row['plan']:<40} {_played(row)}; {_listed(row['injected'])}")
    total = {word: sum(row[word] for row in rows) for word in ("seeds", "documents", "failing")}
    terminalreporter.line(f"{'together':<40} {_played(total)}; {_listed(injected)}")


def _played(row: dict[str, Any]) -> str:
    return f"{row['seeds']} seeds, {row['documents']} documents, {row['failing']} failing"


def _listed(injected: dict[str, int]) -> str:
    return ", ".join(f"{fault} {number}" for fault, number in injected.items() if number)
