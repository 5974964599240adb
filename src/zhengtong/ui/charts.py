"""Geometry of the small server-side charts. Pure functions; the templates draw what they return.

Drawings are 320 units wide, the width of a phone's column, so that text in them stays legible.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 320
LINE_HEIGHT = 64
BAR_HEIGHT = 28
LABEL_WIDTH = 84
VALUE_WIDTH = 52
PAD = 5

Point = tuple[str, float | None]
"""A label and its value; None is a gap: nothing was reported."""


@dataclass(frozen=True, slots=True)
class Line:
    """A sparkline: one SVG path per unbroken run, the last known point, the target's height."""

    paths: tuple[str, ...]
    last_x: float
    last_y: float
    target_y: float | None
    height: int = LINE_HEIGHT


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar; ``y`` is its row's top, ``length`` its width, both in drawing units."""

    label: str
    text: str
    y: int
    length: float
    value_x: float


def line(points: Sequence[Point], target: float | None = None) -> Line | None:
    """Scale ``points`` (and ``target``) to the drawing; None when no value is known."""
    known = [value for _, value in points if value is not None]
    if not known:
        return None
    reach = [*known, *([target] if target is not None else [])]
    low, high = min(reach), max(reach)

    def height_of(value: float) -> float:
        share = 0.5 if high == low else (value - low) / (high - low)
        return round(LINE_HEIGHT - PAD - share * (LINE_HEIGHT - 2 * PAD), 1)

    step = (WIDTH - 2 * PAD) / max(len(points) - 1, 1)
    runs: list[list[str]] = [[]]
    last_x = last_y = 0.0
    for index, (_, value) in enumerate(points):
        if value is None:
            runs.append([])
            continue
        last_x, last_y = round(PAD + index * step, 1), height_of(value)
        runs[-1].append(f"{last_x},{last_y}")
    # A lone point is doubled: a path of one point draws nothing, with round caps a dot.
    paths = tuple("M" + "L".join(run if len(run) > 1 else run * 2) for run in runs if run)
    return Line(paths, last_x, last_y, None if target is None else height_of(target))


def bars(points: Sequence[Point]) -> tuple[Bar, ...]:
    """One bar per known point, the longest filling the drawing; values must not be negative."""
    known = [(label, value) for label, value in points if value is not None]
    if any(value < 0 for _, value in known):
        raise ValueError("a bar cannot show a negative value; use a line")
    longest = max((value for _, value in known), default=0) or 1
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    drawn = []
    for row, (label, value) in enumerate(known):
        length = round(value / longest * room, 1)
        value_x = round(LABEL_WIDTH + length + 8, 1)
        drawn.append(Bar(label, number(value), row * BAR_HEIGHT, length, value_x))
    return tuple(drawn)


def number(value: float) -> str:
    """1,204 or 3.5: thousands separated, no idle decimals."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")
