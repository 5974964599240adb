"""A running case: who has decided what in its present step, and what has become of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from .fields import Data
from .procedure import ActionKind, Assignee, AssigneeKind


def require_zone(at: datetime) -> None:
    """Refuse a time without a zone: it would mean another instant on another machine."""
    if at.tzinfo is None:
        raise ValueError(f"a zone-aware time is needed, not {at!r}")


@dataclass(frozen=True, slots=True)
class Actor:
    """The person acting and the organisation they act for. Duties are the caller's to check."""

    person: str
    organisation: str

    def stands_for(self, assignee: Assignee) -> bool:
        mine = self.person if assignee.kind is AssigneeKind.PERSON else self.organisation
        return mine == assignee.id


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person does. `step` is the step their page showed, so that a late or doubled
    click is refused instead of acting on the next step.

    `task` picks one of the actor's open tasks; without it, the one in their own name comes first.
    `to_step` belongs to 退回 (None: out of the procedure), `target` to 转办 and 加签, `changes`
    (values for the fields that the step sets) to 同意 and 办结.
    """

    kind: ActionKind
    step: str
    actor: Actor
    at: datetime
    opinion: str = ""
    task: int | None = None
    to_step: str | None = None
    target: Assignee | None = None
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        require_zone(self.at)


@dataclass(frozen=True, slots=True)
class Decision:
    kind: ActionKind
    actor: Actor
    opinion: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Participant:
    """One assignee in the present step. `task` is the number of their open task, None without."""

    assignee: Assignee
    task: int | None
    decision: Decision | None = None
    added: bool = False


@dataclass(frozen=True, slots=True)
class Handover:
    """How the case came into its present step; kept only until someone acts there, because until
    then whoever handed it over may take it back (撤回)."""

    actor: Actor
    step: str
    path: tuple[str, ...]
    participants: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class State:
    """The whole of a case. `path` lists the steps gone through to reach `step`; `round` counts
    from 1 and grows with each 退回; `tasks` is the number of the last task opened."""

    procedure: str
    version: int
    owner: str
    step: str
    round: int
    data: Data
    participants: tuple[Participant, ...]
    path: tuple[str, ...] = ()
    handover: Handover | None = None
    tasks: int = 0
    outcome: str | None = None

    @property
    def finished(self) -> bool:
        return self.outcome is not None


class Closing(StrEnum):
    """Why a task is no longer open."""

    DONE = "done"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"
    REASSIGNED = "reassigned"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task to put on someone's list. `number` is unique within the case and never reused."""

    number: int
    step: str
    round: int
    title: str
    duty: str
    assignee: Assignee


@dataclass(frozen=True, slots=True)
class CloseTask:
    number: int
    why: Closing


@dataclass(frozen=True, slots=True)
class Entered:
    step: str
    round: int


@dataclass(frozen=True, slots=True)
class SetDue:
    """The step's clock starts: `rule` names the clock rule."""

    step: str
    round: int
    rule: str
    since: datetime


@dataclass(frozen=True, slots=True)
class DropDue:
    """The case left a step that had a clock."""

    step: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Finished:
    outcome: str
    at: datetime


Effect: TypeAlias = OpenTask | CloseTask | Entered | SetDue | DropDue | Finished


@dataclass(frozen=True, slots=True)
class Outcome:
    """The new state and what has to be done about it, in order."""

    state: State
    effects: tuple[Effect, ...]
