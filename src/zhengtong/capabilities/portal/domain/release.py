"""What must be looked at by a second person before something becomes public. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from zhengtong.capabilities.portal.domain.personal_data import find_personal_data

CERTAINTY = {1: "疑似", 2: "很可能", 3: "确认"}
MOST = 50
"""Findings kept; a roster of thousands is proven by its first lines."""


@dataclass(frozen=True, slots=True)
class Part:
    """One text that would become public: where it stands, and whether it could be read."""

    where: str
    text: str
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Remark:
    """Something a second person must look at. `masked` shows the place, not the secret."""

    where: str
    kind: str
    masked: str
    certainty: str


UNREAD = "无法自动检查"


def examine(parts: Iterable[Part], *, today: date) -> list[Remark]:
    """Personal data in any part, and parts that hold no text a program could read."""
    found: list[Remark] = []
    for part in parts:
        if not part.readable:
            found.append(Remark(part.where, UNREAD, "请人工核对是否含个人信息", "待核对"))
        for item in find_personal_data(part.text, today=today):
            found.append(
                Remark(part.where, item.kind.value, item.masked, CERTAINTY[item.certainty])
            )
    return found[:MOST]
