"""The procedure engine: (definition, state, action) → (state, effects), and nothing else.

`start` opens a case, `advance` applies one action or refuses it with a typed error, `options` says
beforehand what an actor may do, `replay` rebuilds the state from the log of accepted actions.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from .errors import NotAllowed, NotYourTurn, WrongVersion
from .fields import Data, checked
from .procedure import CUT_SHORT, ActionKind, Assignee, AssigneeKind, Procedure, Rule, Step
from .state import (
    Action,
    Actor,
    CloseTask,
    Closing,
    Decision,
    DropDue,
    Effect,
    Entered,
    Finished,
    Handover,
    OpenTask,
    Outcome,
    Participant,
    SetDue,
    State,
    require_zone,
)

# Arguments that belong to some kinds of action only; given to another they are a caller's mistake
# that must not be dropped in silence.
_ARGUMENTS: Mapping[str, tuple[ActionKind, ...]] = {
    "to_step": (ActionKind.RETURN,),
    "target": (ActionKind.REASSIGN, ActionKind.ADD_SIGNER),
    "changes": (ActionKind.AGREE, ActionKind.CLOSE),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What an actor may do now. `return_to` lists step keys, nearest first; `return_ends` is the
    outcome of a return that names no step."""

    actions: frozenset[ActionKind] = frozenset()
    return_to: tuple[str, ...] = ()
    return_ends: str | None = None


def start(procedure: Procedure, *, owner: str, data: Mapping[str, Any], at: datetime) -> Outcome:
    """Open a case in the first step. Raises WrongData, or NotAllowed when it names nobody."""
    require_zone(at)
    first = procedure.steps[0]
    state = State(
        procedure=procedure.key,
        version=procedure.version,
        owner=owner,
        step=first.key,
        round=1,
        data=checked(procedure.fields, data),
        participants=(),
    )
    effects: list[Effect] = []
    state = _enter(procedure, state, first, at, effects)
    return Outcome(state, tuple(effects))


def advance(procedure: Procedure, state: State, action: Action) -> Outcome:
    """Apply one action. Raises a FlowError and changes nothing when it may not be done."""
    _require_version(procedure, state)
    if state.outcome is not None:
        raise NotAllowed(f"{procedure.ending(state.outcome)}，不能再操作")
    step = procedure.step(action.step)
    if step.key != state.step:
        now = procedure.step(state.step).title
        raise NotYourTurn(f"案件现在“{now}”环节，已不在“{step.title}”，请刷新后再看")
    for name, kinds in _ARGUMENTS.items():
        if getattr(action, name) and action.kind not in kinds:
            raise NotAllowed(f"{action.kind.word}不能带 {name}")
    effects: list[Effect] = []
    state = _HANDLERS[action.kind](procedure, state, step, action, effects)
    return Outcome(state, tuple(effects))


def cut_short(procedure: Procedure, state: State, at: datetime) -> Outcome:
    """End a running case from outside its procedure, wherever it stands: its tasks fall away."""
    _require_version(procedure, state)
    effects: list[Effect] = []
    state = _leave(state, procedure.step(state.step), at, Closing.WITHDRAWN, effects)
    return Outcome(replace(state, outcome=CUT_SHORT, handover=None), tuple(effects))


def options(procedure: Procedure, state: State, actor: Actor) -> Options:
    """What `advance` would accept from this actor, for a page to offer."""
    _require_version(procedure, state)
    if state.finished:
        return Options()
    step = procedure.step(state.step)
    actions: set[ActionKind] = set()
    ends = step.ends.get(ActionKind.RETURN)
    for mine in _open_tasks(state, actor):
        actions |= _offered(step, mine)
    if len(_open(state)) > 1:
        actions.discard(ActionKind.CLOSE)
    if not state.path and ends is None:
        actions.discard(ActionKind.RETURN)
    if _can_withdraw(procedure, state, actor):
        actions.add(ActionKind.WITHDRAW)
    if ActionKind.RETURN not in actions:
        return Options(frozenset(actions))
    return Options(frozenset(actions), tuple(reversed(state.path)), ends)


def replay(
    procedure: Procedure,
    *,
    owner: str,
    data: Mapping[str, Any],
    at: datetime,
    actions: Iterable[Action],
) -> State:
    """The state that the log of accepted actions leads to."""
    state = start(procedure, owner=owner, data=data, at=at).state
    for action in actions:
        state = advance(procedure, state, action).state
    return state


def _agree(
    procedure: Procedure, state: State, step: Step, action: Action, effects: list[Effect]
) -> State:
    mine = _my_task(state, step, action)
    before = Handover(action.actor, step.key, state.path, state.participants)
    state = _decide(state, mine, action, effects)
    state = replace(state, data=_changed(procedure, step, state.data, action), handover=None)
    if not _agreed(step, state.participants):
        return state
    following = step.following(state.data)
    state = _leave(state, step, action.at, Closing.NOT_NEEDED, effects)
    if following.finish is not None:
        return _finish(state, following.finish, action.at, effects)
    state = replace(state, path=(*state.path, step.key), handover=before)
    return _enter(procedure, state, procedure.step(following.to or ""), action.at, effects)


def _return(
    procedure: Procedure, state: State, step: Step, action: Action, effects: list[Effect]
) -> State:
    mine = _my_task(state, step, action)
    if not action.opinion.strip():
        raise NotAllowed("退回须写明理由（《党政机关公文处理工作条例》第二十四条）")
    outcome = step.ends.get(ActionKind.RETURN)
    if action.to_step is None and outcome is None:
        raise NotAllowed("请选择退回到哪一环节")
    before = Handover(action.actor, step.key, state.path, state.participants)
    if action.to_step is None:
        state = _decide(state, mine, action, effects)
        state = _leave(state, step, action.at, Closing.NOT_NEEDED, effects)
        return _finish(state, outcome or "", action.at, effects)
    target = procedure.step(action.to_step)
    if target.key not in state.path:
        raise NotAllowed(f"案件没有经过“{target.title}”，不能退回到那里")
    state = _decide(state, mine, action, effects)
    state = _leave(state, step, action.at, Closing.RETURNED, effects)
    state = replace(
        state,
        path=state.path[: state.path.index(target.key)],
        round=state.round + 1,
        handover=before,
    )
    return _enter(procedure, state, target, action.at, effects)


def _close(
    procedure: Procedure, state: State, step: Step, action: Action, effects: list[Effect]
) -> State:
    mine = _my_task(state, step, action)
    if waiting := len(_open(state)) - 1:
        raise NotAllowed(f"还有 {waiting} 个加签没有办理，不能{step.word(ActionKind.CLOSE)}")
    state = _decide(state, mine, action, effects)
    state = replace(state, data=_changed(procedure, step, state.data, action))
    state = _leave(state, step, action.at, Closing.NOT_NEEDED, effects)
    return _finish(state, step.ends[ActionKind.CLOSE], action.at, effects)


def _withdraw(
    procedure: Procedure, state: State, step: Step, action: Action, effects: list[Effect]
) -> State:
    """Take back a handover nobody has acted on, or one's own decision while the step is open."""
    if not _can_withdraw(procedure, state, action.actor):
        raise NotYourTurn("没有可以撤回的操作：后面已有人办理，或者不是您办理的")
    handover = state.handover
    if handover is not None:
        state = _leave(state, step, action.at, Closing.WITHDRAWN, effects)
        state = replace(state, path=handover.path, handover=None)
        target = procedure.step(handover.step)
        return _open_step(state, target, handover.participants, action.at, effects)
    mine = _decided_by(state, action.actor)[-1]
    participants = tuple(
        replace(each, decision=None) if each is mine else each for each in state.participants
    )
    return _open_tasks_for(replace(state, participants=participants), step, effects)


def _reassign(
    procedure: Procedure, state: State, step: Step, action: Action, effects: list[Effect]
) -> State:
    mine = _my_task(state, step, action)
    target = _new_participant(state, action)
    effects.append(CloseTask(_number(mine), Closing.REASSIGNED))
    participants = tuple(
        replace(each, assignee=target, task=None) if each is mine else each
        for each in state.participants
    )
    return _open_tasks_for(replace(state, participants=participants, handover=None), step, effects)


def _add_signer(
    procedure: Procedure, state: State, step: Step, action: Action, effects: list[Effect]
) -> State:
    _my_task(state, step, action)
    added = Participant(_new_participant(state, action), None, added=True)
    state = replace(state, participants=(*state.participants, added), handover=None)
    return _open_tasks_for(state, step, effects)


_Handler = Callable[[Procedure, State, Step, Action, list[Effect]], State]
_HANDLERS: Mapping[ActionKind, _Handler] = MappingProxyType(
    {
        ActionKind.AGREE: _agree,
        ActionKind.RETURN: _return,
        ActionKind.WITHDRAW: _withdraw,
        ActionKind.REASSIGN: _reassign,
        ActionKind.ADD_SIGNER: _add_signer,
        ActionKind.CLOSE: _close,
    }
)


def _enter(
    procedure: Procedure, state: State, step: Step, at: datetime, effects: list[Effect]
) -> State:
    """Enter a step afresh: everyone the data names is asked. Refused when they cannot decide it."""
    assignees = step.who.assignees(state.owner, state.data)
    needed = max(1, step.mode.needed(len(assignees)))
    if len(assignees) < needed:
        field = procedure.fields[step.who.field].title if step.who.field else "承办者"
        least = f"至少 {needed} 个" if step.mode.rule is Rule.AT_LEAST else ""
        raise NotAllowed(f"“{step.title}”需要先填写{least}{field}")
    asked = tuple(Participant(assignee, None) for assignee in assignees)
    return _open_step(state, step, asked, at, effects)


def _open_step(
    state: State,
    step: Step,
    participants: tuple[Participant, ...],
    at: datetime,
    effects: list[Effect],
) -> State:
    effects.append(Entered(step.key, state.round))
    if step.due is not None:
        effects.append(SetDue(step.key, state.round, step.due, at))
    fresh = tuple(replace(each, task=None) for each in participants)
    return _open_tasks_for(replace(state, step=step.key, participants=fresh), step, effects)


def _open_tasks_for(state: State, step: Step, effects: list[Effect]) -> State:
    """Open a task, with a number never used before, for everyone undecided who has none."""
    number = state.tasks
    participants = []
    for each in state.participants:
        if each.task is None and each.decision is None:
            number += 1
            effects.append(
                OpenTask(number, step.key, state.round, step.title, step.who.duty, each.assignee)
            )
            each = replace(each, task=number)
        participants.append(each)
    return replace(state, participants=tuple(participants), tasks=number)


def _leave(state: State, step: Step, at: datetime, why: Closing, effects: list[Effect]) -> State:
    effects.extend(CloseTask(_number(each), why) for each in _open(state))
    if step.due is not None:
        effects.append(DropDue(step.key, at))
    closed = tuple(replace(each, task=None) for each in state.participants)
    return replace(state, participants=closed)


def _finish(state: State, outcome: str, at: datetime, effects: list[Effect]) -> State:
    effects.append(Finished(outcome, at))
    return replace(state, outcome=outcome, handover=None)


def _decide(state: State, mine: Participant, action: Action, effects: list[Effect]) -> State:
    effects.append(CloseTask(_number(mine), Closing.DONE))
    decision = Decision(action.kind, action.actor, action.opinion, action.at)
    participants = tuple(
        replace(each, task=None, decision=decision) if each is mine else each
        for each in state.participants
    )
    return replace(state, participants=participants)


def _agreed(step: Step, participants: tuple[Participant, ...]) -> bool:
    """Enough of those first asked have agreed, and every added signer has."""
    asked = [each for each in participants if not each.added]
    enough = sum(each.decision is not None for each in asked) >= step.mode.needed(len(asked))
    return enough and all(each.decision is not None for each in participants if each.added)


def _changed(procedure: Procedure, step: Step, data: Data, action: Action) -> Data:
    changes = checked(procedure.fields, action.changes)
    for key in changes:
        if key not in step.sets:
            raise NotAllowed(f"“{step.title}”环节不能修改{procedure.fields[key].title}")
    return MappingProxyType({**data, **changes})


def _my_task(state: State, step: Step, action: Action) -> Participant:
    """The open task acted on; NotYourTurn without one, NotAllowed for an action not offered."""
    mine = _open_tasks(state, action.actor)
    if action.task is not None:
        mine = [each for each in mine if each.task == action.task]
    if not mine:
        raise NotYourTurn(f"“{step.title}”环节没有待您办理的任务")
    for each in mine:
        if action.kind in _offered(step, each):
            return each
    raise NotAllowed(f"“{step.title}”环节不能{action.kind.word}")


def _offered(step: Step, mine: Participant) -> frozenset[ActionKind]:
    """What the step offers to this participant; an added signer gives an opinion, never ends it."""
    offered = step.actions - {ActionKind.WITHDRAW}
    if mine.added:
        return (offered | {ActionKind.AGREE}) - {ActionKind.CLOSE}
    return offered


def _open(state: State) -> list[Participant]:
    return [each for each in state.participants if each.task is not None]


def _open_tasks(state: State, actor: Actor) -> list[Participant]:
    """The actor's open tasks, those in their own name first."""
    mine = [each for each in _open(state) if actor.stands_for(each.assignee)]
    return sorted(mine, key=lambda each: each.assignee.kind is not AssigneeKind.PERSON)


def _number(participant: Participant) -> int:
    if participant.task is None:
        raise NotYourTurn("这项任务已经办理")
    return participant.task


def _can_withdraw(procedure: Procedure, state: State, actor: Actor) -> bool:
    if state.handover is not None:
        came_from = procedure.step(state.handover.step)
        mine = state.handover.actor.person == actor.person
        return mine and ActionKind.WITHDRAW in came_from.actions
    offered = ActionKind.WITHDRAW in procedure.step(state.step).actions
    return offered and bool(_decided_by(state, actor))


def _decided_by(state: State, actor: Actor) -> list[Participant]:
    """The actor's decisions in the present step, oldest first."""
    mine = [
        (each.decision.at, index, each)
        for index, each in enumerate(state.participants)
        if each.decision is not None and each.decision.actor.person == actor.person
    ]
    return [each for _, _, each in sorted(mine, key=lambda item: item[:2])]


def _new_participant(state: State, action: Action) -> Assignee:
    if action.target is None:
        raise NotAllowed(f"请选择{action.kind.word}给谁")
    if any(each.assignee == action.target for each in state.participants):
        raise NotAllowed(f"对方已在本环节，不需要{action.kind.word}")
    return action.target


def _require_version(procedure: Procedure, state: State) -> None:
    if (procedure.key, procedure.version) != (state.procedure, state.version):
        raise WrongVersion(
            f"案件按 {state.procedure} 第 {state.version} 版办理，"
            f"不能用 {procedure.key} 第 {procedure.version} 版"
        )
