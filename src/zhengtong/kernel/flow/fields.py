"""The case data that steps and conditions may use: declared, typed and immutable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from . import reading
from .errors import WrongData

Value: TypeAlias = str | int | float | bool | tuple[str, ...] | None
Data: TypeAlias = Mapping[str, Value]


class FieldType(StrEnum):
    """Kinds of data. People and organisations are identifiers, never names."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    DATE = "date"
    PERSON = "person"
    PEOPLE = "people"
    ORGANISATION = "organisation"
    ORGANISATIONS = "organisations"

    @property
    def is_list(self) -> bool:
        return self in (FieldType.PEOPLE, FieldType.ORGANISATIONS)

    @property
    def is_ordered(self) -> bool:
        """Whether before/after or more/less means something. ISO dates compare as text."""
        return self in (FieldType.NUMBER, FieldType.DATE)


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field: its type and what people call it."""

    type: FieldType
    title: str


def read_fields(value: Any, place: str) -> Mapping[str, Field]:
    """Read `{"countersigners": {"type": "organisations", "title": "会签单位"}}`."""
    fields = {}
    for key, raw in reading.mapping(value, place).items():
        here = f"{place}.{key}"
        reading.name(key, here)
        found = reading.members(raw, here, ("type", "title"))
        kind = FieldType(reading.one_of(found["type"], f"{here}.type", FieldType))
        fields[key] = Field(kind, reading.title(found["title"], f"{here}.title"))
    return MappingProxyType(fields)


def problem_with(value: Any, kind: FieldType) -> str | None:
    """Why the value does not fit the type (Chinese), or None when it fits."""
    match kind:
        case FieldType.NUMBER:
            return None if reading.is_number(value) else "应为数字"
        case FieldType.FLAG:
            return None if isinstance(value, bool) else "应为是或否"
        case FieldType.DATE:
            return None if _is_date(value) else "应为日期，如 2026-11-23"
        case FieldType.TEXT:
            return None if isinstance(value, str) else "应为文字"
        case FieldType.PEOPLE | FieldType.ORGANISATIONS:
            if not isinstance(value, list | tuple) or not all(map(_is_identifier, value)):
                return "应为列表，每项为一个标识"
            return None if len(set(value)) == len(value) else "有重复"
        case FieldType.PERSON | FieldType.ORGANISATION:
            return None if _is_identifier(value) else "应为一个标识"


def checked(fields: Mapping[str, Field], values: Mapping[str, Any]) -> Data:
    """The values as immutable data. None means the field is empty.

    Raises WrongData for an undeclared field or a value of another type.
    """
    result: dict[str, Value] = {}
    for key, value in values.items():
        if key not in fields:
            raise WrongData(key, "流程没有这一项")
        if value is not None and (problem := problem_with(value, fields[key].type)):
            raise WrongData(fields[key].title, problem)
        result[key] = tuple(value) if isinstance(value, list | tuple) else value
    return MappingProxyType(result)


def _is_identifier(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
