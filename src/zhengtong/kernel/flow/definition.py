"""Procedures as JSON: `read` accepts exactly what `write` produces and names every mistake's place.

The shape, by example (`who` may also be `"person": "field:<name>"` or `"each:<name>"`):

    {"key": "documents.outgoing", "version": 1, "title": "发文办理",
     "fields": {"countersigners": {"type": "organisations", "title": "会签单位"}},
     "outcomes": {"issued": "已签发"},
     "steps": [{"key": "countersign", "title": "会签",
                "who": {"duty": "documents.countersign", "organisation": "each:countersigners"},
                "mode": "all", "actions": ["agree", "return"],
                "next": [{"when": {"exists": "countersigners"}, "to": "issue"}, …]}, …]}
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import conditions, reading
from .errors import DefinitionError
from .fields import Field, FieldType, read_fields
from .procedure import (
    ActionKind,
    AssigneeKind,
    Mode,
    Procedure,
    Rule,
    Step,
    Transition,
    Who,
)


def load(path: Path) -> Procedure:
    """Read a procedure from a JSON file; DefinitionError names the file or the place within."""
    return read(reading.parse(path.read_text(encoding="utf-8"), path.name))


def read(value: Any) -> Procedure:
    """A validated procedure from plain JSON values. Raises DefinitionError."""
    found = reading.members(
        value, "流程", ("key", "version", "title", "fields", "outcomes", "steps")
    )
    fields = read_fields(found["fields"], "fields")
    outcomes = {
        reading.name(key, f"outcomes.{key}"): reading.title(title, f"outcomes.{key}")
        for key, title in reading.mapping(found["outcomes"], "outcomes").items()
    }
    raw_steps = reading.sequence(found["steps"], "steps", least=1)
    steps = tuple(_read_step(raw, f"steps[{index}]", fields) for index, raw in enumerate(raw_steps))
    _check_graph(steps, outcomes)
    return Procedure(
        key=reading.name(found["key"], "key", reading.DOTTED_NAME),
        version=reading.whole_number(found["version"], "version"),
        title=reading.title(found["title"], "title"),
        fields=fields,
        outcomes=MappingProxyType(outcomes),
        steps=steps,
    )


def _read_step(value: Any, place: str, fields: Mapping[str, Field]) -> Step:
    found = reading.members(
        value,
        place,
        ("key", "title", "who", "mode", "actions", "next"),
        ("ends", "words", "sets", "due"),
    )
    actions = _read_actions(found["actions"], f"{place}.actions")
    who = _read_who(found["who"], f"{place}.who", fields)
    mode = _read_mode(found["mode"], f"{place}.mode")
    several = who.field is not None and fields[who.field].type.is_list
    if several == (mode.rule is Rule.ONE):
        problem = "名单中可能不止一个，不能用 one" if several else "只有一个承办者，应为 one"
        raise DefinitionError(f"{place}.mode", problem)
    if several and ActionKind.CLOSE in actions:
        raise DefinitionError(f"{place}.actions", "多个承办者的环节不能由其中一个办结")
    sets = [
        reading.one_of(name, f"{place}.sets[{index}]", fields)
        for index, name in enumerate(reading.sequence(found.get("sets", []), f"{place}.sets"))
    ]
    return Step(
        key=reading.name(found["key"], f"{place}.key"),
        title=reading.title(found["title"], f"{place}.title"),
        who=who,
        mode=mode,
        actions=actions,
        next=tuple(
            _read_transition(raw, f"{place}.next[{index}]", fields)
            for index, raw in enumerate(reading.sequence(found["next"], f"{place}.next"))
        ),
        ends=_read_ends(found.get("ends", {}), f"{place}.ends", actions),
        words=_by_action(found.get("words", {}), f"{place}.words", actions, reading.title),
        sets=frozenset(sets),
        due=reading.name(found["due"], f"{place}.due", reading.DOTTED_NAME)
        if "due" in found
        else None,
    )


def _read_actions(value: Any, place: str) -> frozenset[ActionKind]:
    raw = reading.sequence(value, place, least=1)
    actions = [
        ActionKind(reading.one_of(kind, f"{place}[{index}]", ActionKind))
        for index, kind in enumerate(raw)
    ]
    if len(set(actions)) != len(actions):
        raise DefinitionError(place, "有重复")
    if not {ActionKind.AGREE, ActionKind.CLOSE} & set(actions):
        raise DefinitionError(place, "至少要能同意或办结，否则案件停在这里")
    return frozenset(actions)


def _read_who(value: Any, place: str, fields: Mapping[str, Field]) -> Who:
    """`{"duty": …, "organisation" or "person": "owner" | "field:<name>" | "each:<name>"}`."""
    found = reading.members(value, place, ("duty",), ("organisation", "person"))
    duty = reading.name(found["duty"], f"{place}.duty", reading.DOTTED_NAME)
    kinds = [kind for kind in AssigneeKind if kind in found]
    if len(kinds) != 1:
        raise DefinitionError(place, "organisation 与 person 应恰有一个")
    kind = kinds[0]
    here = f"{place}.{kind}"
    selector = found[kind]
    if selector == "owner" and kind is AssigneeKind.ORGANISATION:
        return Who(duty, kind, None)
    prefix, _, name = selector.partition(":") if isinstance(selector, str) else ("", "", "")
    if prefix not in ("field", "each"):
        raise DefinitionError(here, "应为 owner（仅机关）、field:项 或 each:项")
    if name not in fields:
        raise DefinitionError(here, f"没有声明“{name}”这一项")
    wanted = {
        ("field", AssigneeKind.PERSON): FieldType.PERSON,
        ("field", AssigneeKind.ORGANISATION): FieldType.ORGANISATION,
        ("each", AssigneeKind.PERSON): FieldType.PEOPLE,
        ("each", AssigneeKind.ORGANISATION): FieldType.ORGANISATIONS,
    }[prefix, kind]
    if fields[name].type is not wanted:
        raise DefinitionError(here, f"“{fields[name].title}”的类型应为 {wanted}")
    return Who(duty, kind, name)


def _read_mode(value: Any, place: str) -> Mode:
    if isinstance(value, Mapping):
        found = reading.members(value, place, (Rule.AT_LEAST,))
        count = reading.whole_number(found[Rule.AT_LEAST], f"{place}.{Rule.AT_LEAST}")
        return Mode(Rule.AT_LEAST, count)
    plain = (Rule.ONE, Rule.ALL, Rule.ANY)
    return Mode(Rule(reading.one_of(value, place, plain)))


def _read_transition(value: Any, place: str, fields: Mapping[str, Field]) -> Transition:
    found = reading.members(value, place, (), ("to", "finish", "when"))
    if ("to" in found) == ("finish" in found):
        raise DefinitionError(place, "to 与 finish 应恰有一个")
    target = "to" if "to" in found else "finish"
    name = reading.name(found[target], f"{place}.{target}")
    when = conditions.read(found["when"], fields, f"{place}.when") if "when" in found else None
    return Transition(name if target == "to" else None, name if target == "finish" else None, when)


def _read_ends(value: Any, place: str, actions: frozenset[ActionKind]) -> Mapping[ActionKind, str]:
    ends = _by_action(value, place, actions, reading.name)
    for kind in ends:
        if kind not in (ActionKind.CLOSE, ActionKind.RETURN):
            raise DefinitionError(f"{place}.{kind}", "只有办结和退回可以结束案件")
    if ActionKind.CLOSE in actions and ActionKind.CLOSE not in ends:
        raise DefinitionError(place, "办结应写明结果：缺少“close”")
    return ends


def _by_action(
    value: Any, place: str, actions: frozenset[ActionKind], read_one: Any
) -> Mapping[ActionKind, str]:
    result = {}
    for key, raw in reading.mapping(value, place).items():
        kind = ActionKind(reading.one_of(key, f"{place}.{key}", ActionKind))
        if kind not in actions:
            raise DefinitionError(f"{place}.{key}", "本环节没有这一操作")
        result[kind] = read_one(raw, f"{place}.{key}")
    return MappingProxyType(result)


def _check_graph(steps: tuple[Step, ...], outcomes: Mapping[str, str]) -> None:
    """Every step can be reached, every transition leads forward, agreeing always leads on."""
    order = {step.key: index for index, step in enumerate(steps)}
    if len(order) != len(steps):
        raise DefinitionError("steps", "环节的 key 有重复")
    reached = {steps[0].key}
    ended: set[str] = set()
    for index, step in enumerate(steps):
        place = f"steps[{index}]"
        if bool(step.next) != (ActionKind.AGREE in step.actions):
            problem = "没有写同意后去哪里" if not step.next else "本环节不能同意，不应有去向"
            raise DefinitionError(f"{place}.next", problem)
        for number, transition in enumerate(step.next):
            here = f"{place}.next[{number}]"
            if (transition.when is None) != (number == len(step.next) - 1):
                problem = (
                    "只有最后一个去向可以没有条件"
                    if transition.when is None
                    else "最后一个去向不能有条件，否则案件可能无处可去"
                )
                raise DefinitionError(here, problem)
            if transition.to is not None:
                if transition.to not in order:
                    raise DefinitionError(f"{here}.to", f"没有“{transition.to}”这一环节")
                if order[transition.to] <= index:
                    raise DefinitionError(f"{here}.to", "只能去后面的环节；往回用退回")
                reached.add(transition.to)
        finishes = {f"{place}.next[{n}].finish": t.finish for n, t in enumerate(step.next)}
        finishes |= {f"{place}.ends.{kind}": outcome for kind, outcome in step.ends.items()}
        for here, outcome in finishes.items():
            if outcome is not None and outcome not in outcomes:
                raise DefinitionError(here, f"没有声明“{outcome}”这一结果")
        ended |= {outcome for outcome in finishes.values() if outcome}
        if step.key not in reached:
            raise DefinitionError(place, f"没有环节通向“{step.title}”")
    if unused := [key for key in outcomes if key not in ended]:
        raise DefinitionError(f"outcomes.{unused[0]}", "没有环节以它结束")


def write(procedure: Procedure) -> dict[str, Any]:
    """The procedure as plain JSON values; `read` gives it back."""
    return {
        "key": procedure.key,
        "version": procedure.version,
        "title": procedure.title,
        "fields": {
            key: {"type": field.type.value, "title": field.title}
            for key, field in procedure.fields.items()
        },
        "outcomes": dict(procedure.outcomes),
        "steps": [_write_step(step, procedure.fields) for step in procedure.steps],
    }


def _write_step(step: Step, fields: Mapping[str, Field]) -> dict[str, Any]:
    who = step.who
    if who.field is None:
        selector = "owner"
    else:
        selector = f"{'each' if fields[who.field].type.is_list else 'field'}:{who.field}"
    at_least = step.mode.rule is Rule.AT_LEAST
    result: dict[str, Any] = {
        "key": step.key,
        "title": step.title,
        "who": {"duty": who.duty, who.kind.value: selector},
        "mode": {"at_least": step.mode.count} if at_least else step.mode.rule.value,
        "actions": [kind.value for kind in ActionKind if kind in step.actions],
        "next": [_write_transition(transition) for transition in step.next],
    }
    if step.ends:
        result["ends"] = {kind.value: outcome for kind, outcome in step.ends.items()}
    if step.words:
        result["words"] = {kind.value: word for kind, word in step.words.items()}
    if step.sets:
        result["sets"] = sorted(step.sets)
    if step.due is not None:
        result["due"] = step.due
    return result


def _write_transition(transition: Transition) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if transition.when is not None:
        result["when"] = conditions.write(transition.when)
    if transition.to is not None:
        result["to"] = transition.to
    if transition.finish is not None:
        result["finish"] = transition.finish
    return result
