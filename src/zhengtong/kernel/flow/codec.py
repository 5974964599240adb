"""States and actions as plain JSON values: what the case row and the step log store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .fields import checked
from .procedure import ActionKind, Assignee, AssigneeKind, Procedure
from .state import Action, Actor, Decision, Handover, Participant, State

Json = dict[str, Any]


def write_state(state: State) -> Json:
    handover = state.handover
    return {
        "procedure": state.procedure,
        "version": state.version,
        "owner": state.owner,
        "step": state.step,
        "round": state.round,
        "data": _write_values(state.data),
        "participants": [_write_participant(each) for each in state.participants],
        "path": list(state.path),
        "handover": handover
        and {
            "actor": _write_actor(handover.actor),
            "step": handover.step,
            "path": list(handover.path),
            "participants": [_write_participant(each) for each in handover.participants],
        },
        "tasks": state.tasks,
        "outcome": state.outcome,
    }


def read_state(value: Mapping[str, Any], procedure: Procedure) -> State:
    """The state that `write_state` wrote; WrongData when its data do not fit the procedure."""
    handover = value["handover"]
    return State(
        procedure=value["procedure"],
        version=value["version"],
        owner=value["owner"],
        step=value["step"],
        round=value["round"],
        data=checked(procedure.fields, value["data"]),
        participants=tuple(map(_read_participant, value["participants"])),
        path=tuple(value["path"]),
        handover=handover
        and Handover(
            actor=Actor(**handover["actor"]),
            step=handover["step"],
            path=tuple(handover["path"]),
            participants=tuple(map(_read_participant, handover["participants"])),
        ),
        tasks=value["tasks"],
        outcome=value["outcome"],
    )


def write_action(action: Action) -> Json:
    return {
        "kind": action.kind.value,
        "step": action.step,
        "actor": _write_actor(action.actor),
        "at": _write_time(action.at),
        "opinion": action.opinion,
        "task": action.task,
        "to_step": action.to_step,
        "target": action.target and _write_assignee(action.target),
        "changes": _write_values(action.changes),
    }


def read_action(value: Mapping[str, Any]) -> Action:
    return Action(
        kind=ActionKind(value["kind"]),
        step=value["step"],
        actor=Actor(**value["actor"]),
        at=datetime.fromisoformat(value["at"]),
        opinion=value["opinion"],
        task=value["task"],
        to_step=value["to_step"],
        target=value["target"] and _read_assignee(value["target"]),
        changes=value["changes"],
    )


def _write_participant(participant: Participant) -> Json:
    decision = participant.decision
    return {
        "assignee": _write_assignee(participant.assignee),
        "task": participant.task,
        "decision": decision
        and {
            "kind": decision.kind.value,
            "actor": _write_actor(decision.actor),
            "opinion": decision.opinion,
            "at": _write_time(decision.at),
        },
        "added": participant.added,
    }


def _read_participant(value: Mapping[str, Any]) -> Participant:
    decision = value["decision"]
    return Participant(
        assignee=_read_assignee(value["assignee"]),
        task=value["task"],
        decision=decision
        and Decision(
            kind=ActionKind(decision["kind"]),
            actor=Actor(**decision["actor"]),
            opinion=decision["opinion"],
            at=datetime.fromisoformat(decision["at"]),
        ),
        added=value["added"],
    )


def _write_assignee(assignee: Assignee) -> Json:
    return {"kind": assignee.kind.value, "id": assignee.id}


def _read_assignee(value: Mapping[str, Any]) -> Assignee:
    return Assignee(AssigneeKind(value["kind"]), value["id"])


def _write_actor(actor: Actor) -> Json:
    return {"person": actor.person, "organisation": actor.organisation}


def _write_values(values: Mapping[str, Any]) -> Json:
    return {key: list(each) if isinstance(each, tuple) else each for key, each in values.items()}


def _write_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
