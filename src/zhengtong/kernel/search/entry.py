"""What is indexed, who searches, and the label as terms of the index. Pure.

The label rule (docs/adr/0003-one-label-rule.md) is applied inside the query, so that hits, totals
and facets alike never count what the reader may not see. To that end each entry states its
*audience*: one term per level and kind of reader who may read it. A reader searches with the
terms he answers to; the two sets meet exactly when the rule permits, which a test shows for
every combination.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from zhengtong.kernel.labels import STATE_SECRET, Level, Share


class BadEntry(ValueError):
    """An entry whose values cannot be indexed; the message names the field."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be found.

    urn            its identity over all nodes; a later entry with the same urn replaces it
    kind           what it is (document, article, law …), a facet
    title, body    plain text; the body may be empty
    organisation   id of the owner, a facet and part of the label
    site, column   where on the portal it stands, or ""
    date           zone-aware; when it was issued or published
    level, share   numbers of `labels.Level` and `labels.Share`
    open           released to the public by its owner
    grants         ids of organisations holding a live grant
    named          ids of people in its 知悉范围
    """

    urn: str
    kind: str
    title: str
    body: str
    organisation: str
    date: datetime
    site: str = ""
    column: str = ""
    level: int = Level.INTERNAL
    share: int = Share.CONDITIONAL
    open: bool = False
    grants: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("urn", "kind", "organisation"):
            value = getattr(self, field)
            if not value or len(value) > 1000:
                raise BadEntry(f"{field} must have 1 to 1000 characters: {value[:60]!r}")
        if self.date.tzinfo is None:
            raise BadEntry(f"date must be zone-aware: {self.date!r} of {self.urn}")
        if self.level not in range(6) or self.share not in range(3):
            raise BadEntry(f"no such label: level={self.level} share={self.share} of {self.urn}")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who searches, and on what node: everything the label rule asks about the reader."""

    ceiling: int
    clearance: int = 0
    organisation: str | None = None
    person: str | None = None
    anonymous: bool = True


def audience(entry: Entry) -> tuple[str, ...]:
    """The terms of those who may read an entry; empty when nobody may."""
    level = entry.level
    terms: list[str] = []
    if level == Level.PUBLIC and entry.open:
        terms.append(_EVERYONE)
    if level >= STATE_SECRET:
        terms += [_person(level, person) for person in entry.named]
    else:
        terms.append(_organisation(level, entry.organisation))
        if entry.share == Share.UNCONDITIONAL and level <= Level.INTERNAL:
            terms.append(_signed_in(level))
        elif entry.share != Share.REFUSED:
            terms += [_organisation(level, grantee) for grantee in entry.grants]
    return tuple(dict.fromkeys(terms))


def answers_to(reader: Reader) -> tuple[str, ...]:
    """The audience terms a reader belongs to; empty when he may read nothing at all."""
    top = min(reader.ceiling, reader.clearance)
    terms = [_EVERYONE] if top >= Level.PUBLIC else []
    if not reader.anonymous:
        for level in range(top + 1):
            if level >= STATE_SECRET:
                terms += [_person(level, reader.person)] if reader.person else []
                continue
            terms += [_organisation(level, reader.organisation)] if reader.organisation else []
            terms += [_signed_in(level)] if level <= Level.INTERNAL else []
    return tuple(terms)


_EVERYONE = "0:everyone"


def _signed_in(level: int) -> str:
    return f"{int(level)}:signed-in"


def _organisation(level: int, organisation: str) -> str:
    return f"{int(level)}:organisation:{organisation}"


def _person(level: int, person: str) -> str:
    return f"{int(level)}:person:{person}"
