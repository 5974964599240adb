"""The label and the one rule: what a record is, where it may be, who may read it.

Pure: no database. `zhengtong.kernel.records` states the same rule as SQL, and a test enumerates
every combination to show that the two agree.

Sources: 保守国家秘密法 (2024) arts 14, 29, 31, 64; 政务数据共享条例 (国令809); the decision table
in docs/adr/0003-one-label-rule.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Level(IntEnum):
    """Confidentiality (密级), ordered: a higher number is more secret."""

    PUBLIC = 0
    INTERNAL = 1
    WORK_SECRET = 2
    SECRET = 3
    CONFIDENTIAL = 4
    TOP_SECRET = 5

    @property
    def word(self) -> str:
        return LEVEL_WORDS[self]

    @classmethod
    def from_word(cls, word: str) -> Level:
        """The level whose Chinese name is `word`; ValueError names the six that exist."""
        for level, name in LEVEL_WORDS.items():
            if name == word:
                return level
        raise ValueError(f"密级只能是 {'、'.join(LEVEL_WORDS.values())}，不能是“{word}”")


LEVEL_WORDS = {
    Level.PUBLIC: "公开",
    Level.INTERNAL: "内部",
    Level.WORK_SECRET: "工作秘密",
    Level.SECRET: "秘密",
    Level.CONFIDENTIAL: "机密",
    Level.TOP_SECRET: "绝密",
}


class Share(IntEnum):
    """Sharing type (共享类型)."""

    UNCONDITIONAL = 0
    CONDITIONAL = 1
    REFUSED = 2

    @property
    def word(self) -> str:
        return ("无条件共享", "有条件共享", "不予共享")[self]


class Zone(StrEnum):
    """The network a node stands in: 内网, 专网 or 外网."""

    INNER = "inner"
    PRIVATE = "private"
    PUBLIC = "public"

    @property
    def word(self) -> str:
        return {"inner": "内网", "private": "专网", "public": "外网"}[self.value]


DEFAULT_CEILING = {
    Zone.INNER: Level.WORK_SECRET,
    Zone.PRIVATE: Level.WORK_SECRET,
    Zone.PUBLIC: Level.PUBLIC,
}

# State secrets begin here: such a record is read only by people named in its 知悉范围.
STATE_SECRET = Level.SECRET


@dataclass(frozen=True, slots=True)
class Label:
    """What every record carries. `open` means released to the public by its owner."""

    level: Level = Level.INTERNAL
    share: Share = Share.CONDITIONAL
    open: bool = False

    def joined(self, other: Label) -> Label:
        """The label of something derived from both: the stricter of each part (就高从严)."""
        return Label(
            max(self.level, other.level), max(self.share, other.share), self.open and other.open
        )


class Verdict(StrEnum):
    """The outcome of the rule and the line of the table that gave it."""

    DENY_ZONE = "deny:zone"
    DENY_CLEARANCE = "deny:clearance"
    PERMIT_OPEN = "permit:open"
    DENY_ANONYMOUS = "deny:anonymous"
    PERMIT_NAMED = "permit:named"
    DENY_NOT_NAMED = "deny:not-named"
    PERMIT_OWN = "permit:own"
    DENY_REFUSED = "deny:refused"
    PERMIT_FREE = "permit:free"
    PERMIT_GRANT = "permit:grant"
    ASK = "ask"

    @property
    def permits(self) -> bool:
        return self.value.startswith("permit")


def decide(
    label: Label,
    *,
    ceiling: Level,
    clearance: Level,
    anonymous: bool = False,
    same_organisation: bool = False,
    named: bool = False,
    granted: bool = False,
) -> Verdict:
    """Whether a reader may read a record; the first line that fits decides.

    `ceiling` is the node's, `clearance` the reader's; `named` means listed in the record's
    知悉范围; `granted` means the reader's organisation holds a live grant on the record.
    """
    if label.level > ceiling:
        return Verdict.DENY_ZONE
    if clearance < label.level:
        return Verdict.DENY_CLEARANCE
    if label.level == Level.PUBLIC and label.open:
        return Verdict.PERMIT_OPEN
    if anonymous:
        return Verdict.DENY_ANONYMOUS
    if label.level >= STATE_SECRET:
        return Verdict.PERMIT_NAMED if named else Verdict.DENY_NOT_NAMED
    if same_organisation:
        return Verdict.PERMIT_OWN
    if label.share == Share.REFUSED:
        return Verdict.DENY_REFUSED
    if label.share == Share.UNCONDITIONAL and label.level <= Level.INTERNAL:
        return Verdict.PERMIT_FREE
    if granted:
        return Verdict.PERMIT_GRANT
    return Verdict.ASK


def may_enter(level: int, ceiling: int) -> bool:
    """Whether something of this level may be created on, sent to or received by a node."""
    return level <= ceiling
