"""Geometry of the picture of a node among its neighbours. Pure; the template draws what it returns.

The parent stands above, the node itself in the middle, its children below in rows. A rail at the
left leads from row to row, so that no line crosses a box however many children there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zhengtong.ui.pieces import Tone

WIDTH = 1000
MOST_IN_ROW = 10
LEFT = 22  # room for the rail
GAP = 8
WIDEST = 190
BOX = 96  # height of a child
HUB_WIDTH, HUB = 260, 58
DROP = 34  # of a line between two levels
LINE = 17  # from one line of text to the next
FIRST = 22  # from a box's top to its first line of text
NAME = 13  # pixels, the size of a name; a Chinese character is as wide as it is high

GLYPHS: dict[Tone, str] = {
    "ok": "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",
    "wait": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",
    "bad": "M0,-6L6,0L0,6L-6,0z",
    "info": "M-4.5,-4.5H4.5V4.5H-4.5z",
    "idle": "M-5,-1H5V1H-5z",
}
"""A shape for each tone, drawn round (0, 0); the same as the dots of the tables."""


@dataclass(frozen=True, slots=True)
class Place:
    """A neighbour as it is to be drawn: `word` and `tone` say how the link stands."""

    title: str
    url: str
    word: str
    tone: Tone
    note: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a place stands: its box, the lines of its name with their baselines, its status."""

    place: Place
    x: float
    y: float
    width: float
    height: float
    name: tuple[tuple[float, str], ...]
    status_x: float  # of the glyph's middle; the word stands beside it
    status_y: float
    note_x: float
    note_y: float

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)

    @property
    def glyph(self) -> str:
        return GLYPHS[self.place.tone]

    @property
    def glyph_y(self) -> float:
        return self.status_y - 4.5

    @property
    def word_x(self) -> float:
        return round(self.status_x + 10, 1)


@dataclass(frozen=True, slots=True)
class Wire:
    """A line between two levels; without a tone it is part of the frame and not of one link."""

    path: str
    tone: Tone | None = None


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything to draw, in units of which the picture is WIDTH wide."""

    height: float
    hub: Box
    parent: Box | None
    children: tuple[Box, ...]
    wires: tuple[Wire, ...]
    width: int = WIDTH


def draw(centre: Place, parent: Place | None, children: Sequence[Place]) -> Drawing:
    """Lay out a node between its parent and its children."""
    wires: list[Wire] = []
    top = 1.0
    above = None
    if parent is not None:
        above = _wide(parent, top)
        top += HUB + DROP
        wires.append(Wire(f"M{WIDTH / 2},{1 + HUB}V{top}", parent.tone))
    hub = _wide(centre, top)
    top += HUB
    boxes: list[Box] = []
    rows = _rows(children)
    for number, row in enumerate(rows):
        bus = top + DROP / 2
        placed = _row(row, top + DROP, LEFT if len(rows) > 1 else 0)
        boxes += placed
        wires += [Wire(f"M{box.middle},{bus}V{box.y}", box.place.tone) for box in placed]
        wires.append(Wire(_bus(placed, bus, top, first=number == 0, more=len(rows) > 1)))
        top += DROP + BOX
    if len(rows) > 1:
        first, last = boxes[0].y - DROP / 2, boxes[-1].y - DROP / 2
        wires.append(Wire(f"M{LEFT / 2},{first}V{last}"))
    return Drawing(top + 1, hub, above, tuple(boxes), tuple(wires))


def _rows(children: Sequence[Place]) -> list[Sequence[Place]]:
    """As few rows as fit, filled alike: nineteen are ten and nine."""
    count = -(-len(children) // MOST_IN_ROW)
    if not count:
        return []
    length = -(-len(children) // count)
    return [children[start : start + length] for start in range(0, len(children), length)]


def _row(row: Sequence[Place], y: float, left: float) -> list[Box]:
    """One row of children, side by side and centred in what is right of the rail."""
    step = min((WIDTH - left - 1) / len(row), WIDEST + GAP)
    start = left + (WIDTH - left - step * len(row)) / 2
    return [
        _box(place, start + step * number + GAP / 2, y, step - GAP, BOX)
        for number, place in enumerate(row)
    ]


def _bus(row: Sequence[Box], bus: float, top: float, *, first: bool, more: bool) -> str:
    """The line above a row: from the rail, if there is one, to the last box."""
    ends = [row[0].middle, row[-1].middle]
    if more:
        ends.append(LEFT / 2)
    if first:
        ends.append(WIDTH / 2)
    line = f"M{min(ends)},{bus}H{max(ends)}"
    return f"M{WIDTH / 2},{top}V{bus}{line}" if first else line


def _wide(place: Place, y: float) -> Box:
    """The box of the node itself or of its parent: name on one line, status and note below."""
    return _box(place, (WIDTH - HUB_WIDTH) / 2, y, HUB_WIDTH, HUB)


def _box(place: Place, x: float, y: float, width: float, height: float) -> Box:
    """A tall box gives the note a line of its own, a wide one puts it beside the status."""
    tall = height == BOX
    name = _broken(place.title.removesuffix("节点"), int((width - 10) // NAME))
    first = y + FIRST + (LINE / 2 if tall and len(name) == 1 else 0)
    shown = len(place.word) * NAME + 10
    beside = 0 if tall or not place.note else len(place.note) * 12 + 12
    status_x = x + (width - shown - beside) / 2 + 4
    return Box(
        place,
        round(x, 1),
        y,
        round(width, 1),
        height,
        tuple((first + LINE * number, text) for number, text in enumerate(name)),
        round(status_x, 1),
        y + height - (30 if tall and place.note else 20 if tall else 14),
        round(x + width / 2 if tall else status_x + shown + beside / 2, 1),
        y + height - (13 if tall else 14),
    )


def _broken(name: str, room: int) -> tuple[str, ...]:
    """A name on one line, or on two of about the same length; what does not fit is cut."""
    if len(name) <= room:
        return (name,)
    half = min(room, -(-len(name) // 2))
    second = name[half:]
    return name[:half], second if len(second) <= room else f"{second[: room - 1]}…"
