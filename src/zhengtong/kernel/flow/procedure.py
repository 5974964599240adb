"""A procedure (流程): steps, who acts, what they may do, where it goes next.

Steps stand in the order of the work and forward transitions only lead to later steps, so agreeing
always ends. Going back is an action (退回), open to every step the case has been through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from . import conditions
from .conditions import Condition
from .errors import UnknownStep
from .fields import Data, Field


class ActionKind(StrEnum):
    """What a person can do with a case."""

    AGREE = "agree"
    RETURN = "return"
    WITHDRAW = "withdraw"
    REASSIGN = "reassign"
    ADD_SIGNER = "add_signer"
    CLOSE = "close"

    @property
    def word(self) -> str:
        """The usual Chinese word; a step may say it differently (签收, 已阅)."""
        return _WORDS[self]


_WORDS = {
    ActionKind.AGREE: "同意",
    ActionKind.RETURN: "退回",
    ActionKind.WITHDRAW: "撤回",
    ActionKind.REASSIGN: "转办",
    ActionKind.ADD_SIGNER: "加签",
    ActionKind.CLOSE: "办结",
}


class AssigneeKind(StrEnum):
    ORGANISATION = "organisation"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Assignee:
    """One person, or one organisation meaning whoever there holds the step's duty."""

    kind: AssigneeKind
    id: str


@dataclass(frozen=True, slots=True)
class Who:
    """Who acts in a step: the duty needed, and whose.

    `field` None means the organisation that owns the case; otherwise a field of the case that
    holds one identifier or a list of them.
    """

    duty: str
    kind: AssigneeKind
    field: str | None

    def assignees(self, owner: str, data: Data) -> tuple[Assignee, ...]:
        """Everyone the data names, in its order; empty when the field is empty."""
        if self.field is None:
            return (Assignee(self.kind, owner),)
        value = data.get(self.field)
        names = value if isinstance(value, tuple) else (value,)
        return tuple(Assignee(self.kind, name) for name in names if isinstance(name, str))


class Rule(StrEnum):
    """How many of a step's participants must agree before the case leaves it."""

    ONE = "one"
    ALL = "all"
    ANY = "any"
    AT_LEAST = "at_least"


@dataclass(frozen=True, slots=True)
class Mode:
    """A rule and, for `at_least`, its count. Added signers (加签) must agree besides."""

    rule: Rule
    count: int = 1

    def needed(self, participants: int) -> int:
        return participants if self.rule is Rule.ALL else self.count

    @property
    def title(self) -> str:
        match self.rule:
            case Rule.ONE:
                return "一人办理"
            case Rule.ALL:
                return "全部办理"
            case Rule.ANY:
                return "任一办理"
            case Rule.AT_LEAST:
                return f"至少 {self.count} 个办理"


@dataclass(frozen=True, slots=True)
class Transition:
    """Where agreement leads: to a later step, or to the end with an outcome."""

    to: str | None
    finish: str | None
    when: Condition | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `ends` maps an action that ends the case here (办结; 退回 out of the procedure)
    to its outcome; `sets` names the fields its participants may fill; `due` names a clock rule.
    """

    key: str
    title: str
    who: Who
    mode: Mode
    actions: frozenset[ActionKind]
    next: tuple[Transition, ...]
    ends: Mapping[ActionKind, str]
    words: Mapping[ActionKind, str]
    sets: frozenset[str]
    due: str | None

    def word(self, kind: ActionKind) -> str:
        """What the action is called here."""
        return self.words.get(kind, kind.word)

    def following(self, data: Data) -> Transition:
        """The first transition whose condition holds; the last one needs none."""
        *conditional, last = self.next
        for transition in conditional:
            if transition.when is not None and conditions.holds(transition.when, data):
                return transition
        return last


CUT_SHORT = "cut_short"
"""The outcome of a case that something outside its procedure ended (中止)."""


@dataclass(frozen=True, slots=True)
class Procedure:
    """One published version. Running cases stay with the version they started in."""

    key: str
    version: int
    title: str
    fields: Mapping[str, Field]
    outcomes: Mapping[str, str]
    steps: tuple[Step, ...]

    def ending(self, outcome: str) -> str:
        """How a case ended, in words."""
        return "已中止" if outcome == CUT_SHORT else self.outcomes[outcome]

    def step(self, key: str) -> Step:
        for step in self.steps:
            if step.key == key:
                return step
        raise UnknownStep(f"流程“{self.title}”没有“{key}”这一环节")
