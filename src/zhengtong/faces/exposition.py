"""The text that Prometheus reads (exposition format 0.0.4), written by hand.

Every figure comes from the database, which all processes share, and whichever web process is asked
answers for the whole node. A client library's registry of counters in one process would not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, type (gauge or counter), help, and its samples."""

    name: str
    type: str
    help: str
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many observations of one labelled series fell into each bucket, and their sum.

    `counts` has one entry for each of `bounds`, and a last one for whatever was greater.
    """

    labels: Labels
    counts: Sequence[int]
    sum: float


def write(families: Iterable[Family]) -> str:
    """The families as text. One without samples is left out."""
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines += _head(family.name, family.type, family.help)
            lines += [_line(family.name, labels, value) for labels, value in family.samples]
    return "".join(f"{line}\n" for line in lines)


def write_histogram(
    name: str, help: str, bounds: Sequence[float], series: Iterable[Histogram]
) -> str:
    """One histogram; its buckets are cumulative, as the format has them."""
    lines: list[str] = []
    for one in series:
        passed = 0
        for bound, count in zip([*map(_number, bounds), "+Inf"], one.counts, strict=True):
            passed += count
            lines.append(_line(f"{name}_bucket", {**one.labels, "le": bound}, passed))
        lines.append(_line(f"{name}_sum", one.labels, one.sum))
        lines.append(_line(f"{name}_count", one.labels, passed))
    if lines:
        lines[:0] = _head(name, "histogram", help)
    return "".join(f"{line}\n" for line in lines)


def _head(name: str, type: str, help: str) -> list[str]:
    told = help.replace("\\", r"\\").replace("\n", r"\n")
    return [f"# HELP {name} {told}", f"# TYPE {name} {type}"]


def _line(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
