"""Conditions on case data: a small typed JSON tree, never code.

    {"and": [{"exists": "countersigners"}, {"not": {"eq": ["urgency", "特急"]}}]}

A comparison with an empty field is false. Operators are checked against the field's declared
type when the procedure is read, so that a published procedure cannot fail while it runs.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from . import reading
from .errors import DefinitionError
from .fields import Data, Field, FieldType, Value, problem_with

# Deep enough for any rule an office can explain; keeps reading and evaluation off the stack limit.
DEEPEST = 16


class Comparison(StrEnum):
    EQUAL = "eq"
    GREATER = "gt"
    AT_LEAST = "ge"
    LESS = "lt"
    AT_MOST = "le"
    ONE_OF = "in"
    CONTAINS = "contains"


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Condition"


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value: not absent, not null, not an empty text or list."""

    field: str


@dataclass(frozen=True, slots=True)
class Compare:
    field: str
    how: Comparison
    value: Value


Condition: TypeAlias = AllOf | AnyOf | Not | Exists | Compare

_ORDER: Mapping[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.GREATER: operator.gt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le,
}
_WORDS = {
    Comparison.EQUAL: "为",
    Comparison.GREATER: "大于",
    Comparison.AT_LEAST: "不小于",
    Comparison.LESS: "小于",
    Comparison.AT_MOST: "不大于",
    Comparison.ONE_OF: "为",
    Comparison.CONTAINS: "包含",
}
_DATE_WORDS = {
    Comparison.GREATER: "晚于",
    Comparison.AT_LEAST: "不早于",
    Comparison.LESS: "早于",
    Comparison.AT_MOST: "不晚于",
}


def holds(condition: Condition, data: Data) -> bool:
    """Whether the condition is true of the data. Never raises for data that fits its fields."""
    match condition:
        case AllOf(parts):
            return all(holds(part, data) for part in parts)
        case AnyOf(parts):
            return any(holds(part, data) for part in parts)
        case Not(part):
            return not holds(part, data)
        case Exists(field):
            return data.get(field) not in (None, "", ())
        case Compare(field, how, wanted):
            value = data.get(field)
            return value is not None and _compare(value, how, wanted)


def _compare(value: Value, how: Comparison, wanted: Value) -> bool:
    if how is Comparison.EQUAL:
        return value == wanted
    if how is Comparison.ONE_OF:
        return isinstance(wanted, tuple) and value in wanted
    if how is Comparison.CONTAINS:
        return isinstance(value, tuple) and wanted in value
    return _ORDER[how](value, wanted)


def read(value: Any, fields: Mapping[str, Field], place: str, depth: int = 1) -> Condition:
    """Read and type-check one condition; raises DefinitionError that names the place."""
    found = reading.mapping(value, place)
    if len(found) != 1:
        raise DefinitionError(place, "条件应恰有一个运算")
    if depth > DEEPEST:
        raise DefinitionError(place, f"条件嵌套不得超过 {DEEPEST} 层")
    ((name, argument),) = found.items()
    here = f"{place}.{name}"
    match name:
        case "and" | "or":
            parts = tuple(
                read(part, fields, f"{here}[{index}]", depth + 1)
                for index, part in enumerate(reading.sequence(argument, here, least=1))
            )
            return AllOf(parts) if name == "and" else AnyOf(parts)
        case "not":
            return Not(read(argument, fields, here, depth + 1))
        case "exists":
            return Exists(_field(argument, fields, here))
    return _read_comparison(Comparison(_operator(name, place)), argument, fields, here)


def _operator(name: str, place: str) -> str:
    if name not in tuple(Comparison):
        known = "、".join(("and", "or", "not", "exists", *Comparison))
        raise DefinitionError(f"{place}.{name}", f"不认识的运算，可用：{known}")
    return name


def _field(name: Any, fields: Mapping[str, Field], place: str) -> str:
    if not isinstance(name, str) or name not in fields:
        raise DefinitionError(place, f"没有声明“{name}”这一项")
    return name


def _read_comparison(
    how: Comparison, argument: Any, fields: Mapping[str, Field], place: str
) -> Compare:
    pair = reading.sequence(argument, place)
    if len(pair) != 2:
        raise DefinitionError(place, "应写成 [项, 值]")
    field = _field(pair[0], fields, f"{place}[0]")
    kind = fields[field].type
    if how in _ORDER and not kind.is_ordered:
        raise DefinitionError(place, f"“{fields[field].title}”不能比较大小或先后")
    if kind.is_list != (how is Comparison.CONTAINS):
        right = "contains" if kind.is_list else "eq、in 等"
        raise DefinitionError(place, f"“{fields[field].title}”应使用 {right}")
    here = f"{place}[1]"
    if how is Comparison.ONE_OF:
        options = reading.sequence(pair[1], here, least=1)
        return Compare(
            field,
            how,
            tuple(_literal(each, kind, f"{here}[{index}]") for index, each in enumerate(options)),
        )
    element = {FieldType.PEOPLE: FieldType.PERSON, FieldType.ORGANISATIONS: FieldType.ORGANISATION}
    return Compare(field, how, _literal(pair[1], element.get(kind, kind), here))


def _literal(value: Any, kind: FieldType, place: str) -> Any:
    if problem := problem_with(value, kind):
        raise DefinitionError(place, problem)
    return value


def write(condition: Condition) -> dict[str, Any]:
    """The condition as plain JSON; `read` gives it back."""
    match condition:
        case AllOf(parts):
            return {"and": [write(part) for part in parts]}
        case AnyOf(parts):
            return {"or": [write(part) for part in parts]}
        case Not(part):
            return {"not": write(part)}
        case Exists(field):
            return {"exists": field}
        case Compare(field, how, value):
            return {how.value: [field, list(value) if isinstance(value, tuple) else value]}


def describe(condition: Condition, fields: Mapping[str, Field]) -> str:
    """The condition in Chinese, for diagrams and editors: 有会签单位，且紧急程度为特急."""
    match condition:
        case AllOf(parts):
            return "，且".join(_inner(part, fields) for part in parts)
        case AnyOf(parts):
            return "，或".join(_inner(part, fields) for part in parts)
        case Not(Exists(field)):
            return f"无{fields[field].title}"
        case Not(part):
            return f"并非（{describe(part, fields)}）"
        case Exists(field):
            return f"有{fields[field].title}"
        case Compare(field, how, value):
            words = _DATE_WORDS if fields[field].type is FieldType.DATE else _WORDS
            return f"{fields[field].title}{words.get(how, _WORDS[how])}{_spoken(value)}"


def _inner(condition: Condition, fields: Mapping[str, Field]) -> str:
    text = describe(condition, fields)
    return f"（{text}）" if isinstance(condition, AllOf | AnyOf) else text


def _spoken(value: Value) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    return "或".join(str(each) for each in value) if isinstance(value, tuple) else str(value)
