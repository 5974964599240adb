"""A site's own colour, taken only if people can read it (WCAG 2.1 §1.4.3). Pure."""

from __future__ import annotations

import re

LEAST_CONTRAST = 4.5


class UnreadableColour(ValueError):
    """The colour is no colour, or too pale to read or to write on; the text says which."""


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two #rrggbb colours, 1 to 21 (WCAG 2.1, relative luminance)."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def stylesheet(accent: str) -> str:
    """The style sheet that gives a site its colour. Raises UnreadableColour.

    It speaks for the light look only: the dark and the high-contrast one keep their own.
    """
    if not re.fullmatch(r"#[0-9a-f]{6}", accent):
        raise UnreadableColour(f"{accent!r}: write a colour as #rrggbb")
    if contrast(accent, "#ffffff") < LEAST_CONTRAST:
        raise UnreadableColour(f"{accent}: contrast with white is below {LEAST_CONTRAST}")
    deep, wash = _mixed(accent, "#000000", 0.25), _mixed(accent, "#ffffff", 0.92)
    if contrast(accent, wash) < LEAST_CONTRAST:
        raise UnreadableColour(f"{accent}: not readable on its own wash {wash}")
    return (
        ":root:not([data-theme]),:root[data-theme=light]{"
        f"--accent:{accent};--deep:{deep};--bar:{deep};--info:{accent};--wash:{wash}}}\n"
    )


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(colour: str, other: str, share: float) -> str:
    """A colour with a share of another in it."""
    pairs = zip(_parts(colour), _parts(other), strict=True)
    return "#" + "".join(f"{round(own + (its - own) * share):02x}" for own, its in pairs)
