"""`python -m bench [--short] [ROW …]`: measure, print a table, write bench/latest.json.

Every row is measured against its reference in the same run. A row that cannot be measured here
says why and is written down as such. No figure fails the run, only a crash does: whether a goal is
met is shown and left to the reader, because it depends on what else the machine is doing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
import traceback
from operator import ge, le, lt
from pathlib import Path

from bench.parts import CannotRun, Row

LATEST = Path(__file__).with_name("latest.json")
MODULES = {
    "label_list": ("label-list", "label-list-postgres"),
    "command": ("command",),
    "exchange": ("exchange-intl-https", "exchange-gm-https"),
    "exchange_nats": ("exchange-intl-nats", "exchange-gm-nats"),
    "ferry": ("exchange-intl-ferry", "exchange-gm-ferry"),
    "attachment": ("attachment-1g",),
    "attachment_tls": ("attachment-tls-down", "attachment-tls-up"),
    "catch_up": ("catch-up",),
    "nation": ("nation",),
    "evidence": ("evidence",),
    "portal_baked": ("portal-baked", "portal-nginx"),
    "search_100k": ("search-100k",),
    "suites": ("suite-intl", "suite-gm"),
    "starts": ("cold-start", "second-start", "node-memory"),
}
"""Which module measures which rows; each has `rows(short)`."""
GOALS = {
    "label-list": (("ratio", ">=", 0.67),),
    "command": (("statements", "<=", 12),),
    "exchange-intl-https": (("ratio", ">=", 0.6), ("ours", ">=", 1000)),
    "exchange-intl-nats": (("ratio", ">=", 0.6), ("ours", ">=", 1000)),
    "exchange-intl-ferry": (("ratio", ">=", 0.6),),
    "exchange-gm-https": (("ratio", ">=", 0.4),),
    "exchange-gm-nats": (("ratio", ">=", 0.4),),
    "exchange-gm-ferry": (("ratio", ">=", 0.4),),
    "attachment-1g": (("ratio", ">=", 0.5), ("peak_mb", "<", 150)),
    "catch-up": (("ratio", ">=", 0.8),),
    "nation": (("p99_bulk", "<=", 60), ("p99_emergency", "<=", 5), ("spread", "<=", 1.5)),
    "portal-baked": (("ratio", ">=", 0.5),),
    "search-100k": (("ratio", ">=", 5), ("recall", ">=", 1)),
    "cold-start": (("ours", "<=", 60),),
    "second-start": (("ours", "<=", 8),),
    "node-memory": (("ours", "<=", 150),),
}
FULL_SIZE_ONLY = ("search-100k",)
"""Rows whose goal says nothing about the smaller data of a short run."""
KNOWN = ("name", "ours", "reference", "ratio", "unit")


def main(arguments: list[str]) -> int:
    """Measure what was asked for; 1 if anything crashed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="within three minutes, less exact")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these rows")
    chosen = parser.parse_args(arguments)
    every = [name for names in MODULES.values() for name in names]
    if unknown := set(chosen.rows) - set(every):
        parser.error(f"no row is called {', '.join(unknown)}; known: {', '.join(every)}")
    wanted = chosen.rows or every
    found: list[Row] = []
    crashed = False
    for module, names in MODULES.items():
        if set(names) & set(wanted):
            began = time.monotonic()
            print(f"measuring {', '.join(names)} …", end=" ", file=sys.stderr, flush=True)
            measured, crash = measure(module, names, chosen.short)
            print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            found += [line for line in measured if line["name"] in wanted]
            crashed |= crash
    kept = keep(found, [name for name in every if name not in wanted], every)
    print(table(found))
    load = os.getloadavg()[0]
    print(f"\n{kept} rows in {LATEST.name}; load {load:.1f} on {os.cpu_count()} cores")
    return 1 if crashed else 0


def keep(found: list[Row], others: list[str], order: list[str]) -> int:
    """Write down what was found; rows that nobody asked for keep their earlier figures."""
    rows = {line["name"]: line for line in found}
    if others and LATEST.exists():
        earlier = json.loads(LATEST.read_text(encoding="utf-8"))
        rows |= {line["name"]: line for line in earlier if line["name"] in others}
    ordered = [rows[name] for name in order if name in rows]
    LATEST.write_text(json.dumps(ordered, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return len(ordered)


def measure(module: str, names: tuple[str, ...], short: bool) -> tuple[list[Row], bool]:
    """The rows of one module, and whether it crashed."""
    try:
        rows: list[Row] = importlib.import_module(f"bench.{module}").rows(short)
        return [{**line, **_goal(line, short), "short": short} for line in rows], False
    except CannotRun as reason:
        return [_without_figures(name, str(reason)) for name in names], False
    except Exception as error:
        traceback.print_exc()
        why = f"crashed: {type(error).__name__}: {error}"
        return [_without_figures(name, why[:500]) for name in names], True


def _without_figures(name: str, why: str) -> Row:
    return {**dict.fromkeys(KNOWN), "name": name, "unit": "", "why": why}


def _goal(line: Row, short: bool) -> Row:
    """The goal in words, and whether this run met it."""
    goals = GOALS.get(line["name"], ())
    if not goals or line["ours"] is None or (short and line["name"] in FULL_SIZE_ONLY):
        return {}
    tests = {">=": ("≥", ge), "<=": ("≤", le), "<": ("<", lt)}
    words = ", ".join(f"{field} {tests[sign][0]} {bound:g}" for field, sign, bound in goals)
    met = all(tests[sign][1](line[field], bound) for field, sign, bound in goals)
    return {"goal": words, "met": met}


def table(rows: list[Row]) -> str:
    """The rows in columns, the further fields of each in a line of their own beneath it."""
    head = ("row", "ours", "reference", "ratio", "unit", "goal")
    lines = [head, tuple("─" * len(word) for word in head)]
    lines += [
        (
            line["name"],
            *(_number(line[key]) for key in ("ours", "reference", "ratio")),
            line["unit"],
            f"{'✓' if line['met'] else '✗'} {line['goal']}" if "goal" in line else "",
        )
        for line in rows
    ]
    widths = [max(len(cells[place]) for cells in lines) for place in range(len(head))]
    text = []
    for cells, line in zip(lines, [None, None, *rows], strict=True):
        sides = zip("<>>><<", cells, widths, strict=True)
        text.append("  ".join(f"{cell:{side}{width}}" for side, cell, width in sides).rstrip())
        hidden = {*KNOWN, "goal", "met", "short"}
        more = {key: value for key, value in (line or {}).items() if key not in hidden}
        if more:
            text.append("    " + " · ".join(f"{key} {_number(more[key])}" for key in more))
    return "\n".join(text)


def _number(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_number(part)}" for key, part in value.items())
    if isinstance(value, list):
        return " ".join(map(_number, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
