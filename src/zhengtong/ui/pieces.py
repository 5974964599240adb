"""What pages hand to the layouts and tags: small typed values, free of database and request.

Templates read them by attribute, so a plain dict with the same keys serves as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, get_args

Tone = Literal["ok", "wait", "bad", "info", "idle"]
"""ok: done well; wait: someone must act; bad: late or refused; info: under way; idle: not begun."""

TONES: tuple[Tone, ...] = get_args(Tone)


class UnknownTone(ValueError):
    """A status was given a tone that the design system has no colour and shape for."""

    def __init__(self, tone: object) -> None:
        super().__init__(f"unknown tone {tone!r}; choose one of {', '.join(TONES)}")


def check_tone(tone: object) -> Tone:
    """Return ``tone`` if it is one of :data:`TONES`, else raise :class:`UnknownTone`."""
    for known in TONES:
        if tone == known:
            return known
    raise UnknownTone(tone)


@dataclass(frozen=True, slots=True)
class Site:
    """A portal or office as its visitors know it.

    ``domain`` and ``id_code`` are the 网站域名 and 网站标识码 of the page tags required by
    国办发〔2017〕47号; both may be empty. ``footer`` holds (title, url) pairs.
    """

    name: str
    url: str = "/"
    organisation: str = ""
    demo: bool = False
    domain: str = ""
    id_code: str = ""
    contact: str = ""
    footer: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class NavItem:
    """One line of navigation; ``count`` is shown when above zero, ``group`` makes headings."""

    title: str
    url: str
    active: bool = False
    count: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a timeline: who did what, when, and the opinion written with it."""

    at: datetime
    who: str
    did: str
    organisation: str = ""
    opinion: str = ""
    tone: Tone = "idle"


@dataclass(frozen=True, slots=True)
class Cell:
    """One state of one unit in a matrix; ``at`` is when it was reached, if it was."""

    tone: Tone
    word: str
    at: date | datetime | None = None


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A unit and its cells, one for each column of the matrix."""

    unit: str
    cells: Sequence[Cell]
    url: str = ""
