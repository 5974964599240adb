"""The engine's shell: load a case, apply one action, store the state and carry out the effects.

Call these inside a command. Case, log and tasks share its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db.models import Count, Subquery
from django.db.models.functions import Coalesce

from zhengtong.kernel import notices
from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.errors import Invalid, Refused
from zhengtong.kernel.flow import codec, definition, engine
from zhengtong.kernel.flow.errors import FlowError
from zhengtong.kernel.flow.models import Case, Step
from zhengtong.kernel.flow.procedure import ActionKind, Assignee, AssigneeKind, Procedure
from zhengtong.kernel.flow.state import (
    Action,
    Actor,
    CloseTask,
    Closing,
    Effect,
    Finished,
    OpenTask,
    State,
)
from zhengtong.kernel.records import Record
from zhengtong.kernel.tasks import Task, new_task, open_tasks

_procedures: dict[tuple[str, int], Procedure] = {}


def publish(path: Path) -> Procedure:
    """Register a version of a procedure from its JSON file."""
    procedure = definition.load(path)
    _procedures[procedure.key, procedure.version] = procedure
    return procedure


def procedure_of(case: Case) -> Procedure:
    return _procedures[case.procedure, case.version]


def newest(key: str) -> Procedure:
    return _procedures[key, max(version for name, version in _procedures if name == key)]


@dataclass(frozen=True, slots=True)
class Looks:
    """How the tasks of a case look in the to-do list."""

    title: str
    page: str
    urgency: int = 0
    reading: frozenset[str] = frozenset()  # steps whose tasks are 待阅
    started_by: UUID | None = None
    due_at: datetime | None = None


def start(act: Act, record: Record, key: str, data: Mapping[str, Any], looks: Looks) -> Case:
    """Open the newest version of a procedure for a record."""
    procedure = newest(key)
    with _plainly():
        outcome = engine.start(procedure, owner=str(record.owner_id), data=data, at=act.now)
    case = Case(
        owner_id=record.owner_id,
        level=record.level,
        share=record.share,
        subject=record.urn,
        procedure=procedure.key,
        version=procedure.version,
        opening={"owner": str(record.owner_id), "data": dict(data), "at": act.now.isoformat()},
    )
    _store(case, outcome.state, fresh=True)
    _carry_out(act, case, record, outcome.effects, looks)
    return case


def case_of(record: Record) -> Case:
    """The case of a record that the caller is already authorised for, locked."""
    cases = Case.objects.unlabelled("a case is reached through its record").filter(
        subject=record.urn
    )
    return locked_for_update(cases).get()


def take(
    act: Act,
    record: Record,
    kind: ActionKind,
    step: str,
    looks: Looks,
    *,
    opinion: str = "",
    to_step: str | None = None,
    target: Assignee | None = None,
    changes: Mapping[str, Any] | None = None,
) -> State:
    """Apply the actor's action at the step their page showed. Raises Refused in plain words."""
    case = case_of(record)
    procedure = procedure_of(case)
    action = Action(
        kind=kind,
        step=step,
        actor=flow_actor(act),
        at=act.now,
        opinion=opinion,
        to_step=to_step,
        target=target,
        changes=changes or {},
    )
    with _plainly():
        outcome = engine.advance(procedure, codec.read_state(case.state, procedure), action)
    earlier = Step.objects.filter(case=case).order_by().values("case").annotate(n=Count("pk"))
    office = Organisation.objects.filter(pk=act.actor.organisation).values("short_name")
    Step.objects.create(
        case=case,
        number=Coalesce(Subquery(earlier.values("n")), 0) + 1,
        at=act.now,
        step=step,
        person_name=act.actor.name,
        organisation_name=Subquery(office),
        action=codec.write_action(action),
    )
    _store(case, outcome.state)
    _carry_out(act, case, record, outcome.effects, looks)
    act.note(step=step, action=kind.value)
    return outcome.state


def cut_short(act: Act, record: Record) -> None:
    """End the record's case from outside its procedure, if it still runs; its tasks are closed."""
    case = case_of(record)
    state = state_of(case)
    if state.finished:
        return
    outcome = engine.cut_short(procedure_of(case), state, act.now)
    _store(case, outcome.state)
    notices.write(_close(act, case, [e for e in outcome.effects if isinstance(e, CloseTask)]))


def state_of(case: Case) -> State:
    return codec.read_state(case.state, procedure_of(case))


def flow_actor(act: Act) -> Actor:
    person = str(act.actor.person) if act.actor.person else act.actor.urn
    return Actor(person=person, organisation=str(act.actor.organisation))


def _store(case: Case, state: State, *, fresh: bool = False) -> None:
    case.state = codec.write_state(state)
    case.step = state.step
    case.outcome = state.outcome or ""
    case.save(force_insert=fresh)


class _plainly:
    """Turn the engine's typed errors into errors for people."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, FlowError):
            raise Refused(str(error)) from error


def _carry_out(
    act: Act, case: Case, record: Record, effects: tuple[Effect, ...], looks: Looks
) -> None:
    """Close and open tasks and say so, in as many statements for twenty people as for one."""
    told = _close(act, case, [effect for effect in effects if isinstance(effect, CloseTask)])
    if any(isinstance(effect, Finished) for effect in effects):
        text = "您发起的事项已办结。"
        told.append(notices.notice(case.owner_id, "finished", text, subject=record.urn))
    opened = [effect for effect in effects if isinstance(effect, OpenTask)]
    open_tasks([_task(case, record, effect, looks) for effect in opened], after=told)


def _task(case: Case, record: Record, effect: OpenTask, looks: Looks) -> Task:
    assignee = effect.assignee
    person = UUID(assignee.id) if assignee.kind is AssigneeKind.PERSON else None
    return new_task(
        record,
        owner=case.owner_id if person else UUID(assignee.id),
        duty=effect.duty,
        kind=effect.step,
        title=looks.title,
        page=looks.page,
        person=person,
        reading=effect.step in looks.reading,
        note=effect.title,
        urgency=looks.urgency,
        started_by=looks.started_by,
        due_at=looks.due_at,
        case_id=case.pk,
        number=effect.number,
    )


def _close(act: Act, case: Case, effects: list[CloseTask]) -> list[notices.Notice]:
    """Close tasks as done by the actor, or as fallen away; the notices still to be written."""
    done = {item.number for item in effects if item.why in (Closing.DONE, Closing.RETURNED)}
    fallen_away = {item.number for item in effects} - done
    for numbers, by in ((done, act.actor.person), (fallen_away, None)):
        if numbers:
            Task.objects.unlabelled("closing a task follows the case's own act").filter(
                case_id=case.pk, number__in=numbers, closed_at=None
            ).update(closed_at=act.now, closed_by=by)
    if not effects:
        return []
    text = "待办事项有变化。"
    return [notices.notice(case.owner_id, "task-closed", text, subject=case.subject)]


def require_opinion(opinion: str, field: str = "opinion") -> str:
    """An opinion that says something, within 2,000 characters. Raises Invalid naming the field."""
    text = opinion.strip()
    if not text:
        raise Invalid({field: "请写明理由或意见。"})
    if len(text) > 2000:
        raise Invalid({field: f"意见最多 2000 字，现在有 {len(text)} 字。"})
    return text
