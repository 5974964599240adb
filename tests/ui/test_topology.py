"""The picture of a node among its neighbours: nothing overlaps, nothing leaves the frame."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from zhengtong.ui import topology
from zhengtong.ui.pieces import TONES
from zhengtong.ui.topology import Box, Drawing, Place, draw

NAMES = ["扶沟县节点", "市发展和改革委员会节点", "a-node", "周口市某某开发区管理委员会办公室节点"]


def place(number: int) -> Place:
    tone = TONES[number % len(TONES)]
    return Place(NAMES[number % len(NAMES)], f"/links/{number}/", "久未联系", tone, "积压 1204")


def drawn(children: int, *, parent: bool = True) -> Drawing:
    here = Place("周口市中心节点", "", "本节点", "info")
    return draw(here, place(0) if parent else None, [place(n) for n in range(children)])


def boxes(drawing: Drawing) -> list[Box]:
    return [*([drawing.parent] if drawing.parent else []), drawing.hub, *drawing.children]


@pytest.mark.parametrize("children", [0, 1, 2, 5, 10, 11, 18, 19, 25, 40])
@pytest.mark.parametrize("parent", [True, False])
def test_boxes_stand_apart_inside_the_frame_and_hold_their_words(
    children: int, parent: bool
) -> None:
    drawing = drawn(children, parent=parent)
    found = boxes(drawing)
    assert len(found) == 1 + children + parent
    for box in found:
        assert box.x >= 0 and box.x + box.width <= drawing.width
        assert box.y >= 0 and box.y + box.height <= drawing.height
        texts = [y for y, _ in box.name] + [box.status_y, box.note_y]
        assert all(box.y + 12 <= y <= box.y + box.height - 4 for y in texts)
        assert all(len(text) * topology.NAME <= box.width for _, text in box.name)
        assert box.x < box.status_x and box.word_x + 4 * topology.NAME <= box.x + box.width
    for one, other in combinations(found, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        above = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or above


@pytest.mark.parametrize("children", [1, 10, 18, 19, 40])
def test_every_neighbour_hangs_on_a_wire_of_its_tone_and_no_wire_crosses_a_box(
    children: int,
) -> None:
    drawing = drawn(children)
    ends = {(wire.path, wire.tone) for wire in drawing.wires if wire.tone}
    for box in drawing.children:
        wires = [tone for path, tone in ends if re.match(rf"M{box.middle},[\d.]+V{box.y}$", path)]
        assert wires == [box.place.tone]
    for wire in drawing.wires:
        for left, top, right, bottom in segments(wire.path):
            for box in boxes(drawing):
                inside_x = left < box.x + box.width and right > box.x
                inside_y = top < box.y + box.height and bottom > box.y
                assert not (inside_x and inside_y), (wire, box)


def segments(path: str) -> list[tuple[float, float, float, float]]:
    """The straight pieces of a path as boxes without width or height."""
    found, x, y = [], 0.0, 0.0
    for sign, text in re.findall(r"([MVH])([\d.,]+)", path):
        numbers = [float(part) for part in text.split(",")]
        before = (x, y)
        if sign == "M":
            x, y = numbers
            continue
        x, y = (x, numbers[0]) if sign == "V" else (numbers[0], y)
        found.append((min(before[0], x), min(before[1], y), max(before[0], x), max(before[1], y)))
    return found


def test_nineteen_children_fill_two_rows_alike() -> None:
    rows: dict[float, int] = {}
    for box in drawn(19).children:
        rows[box.y] = rows.get(box.y, 0) + 1
    assert sorted(rows.values()) == [9, 10]


def test_every_tone_has_a_shape_of_its_own() -> None:
    assert len(set(topology.GLYPHS.values())) == len(TONES) == len(topology.GLYPHS)
