"""Strict reading of JSON: every complaint names the place where it was found."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import DefinitionError

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
DOTTED_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63})+")
# A title is one line on a button or in a list; longer ones are mistakes.
LONGEST_TITLE = 60


def parse(text: str, place: str) -> Any:
    """JSON to plain values; a key given twice is an error because one of them would be lost."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise DefinitionError(place, f"“{key}”写了两次")
            result[key] = value
        return result

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DefinitionError(
            place, f"第 {error.lineno} 行第 {error.colno} 列不是有效的 JSON"
        ) from error
    except RecursionError as error:
        raise DefinitionError(place, "嵌套过深") from error


def members(
    value: Any, place: str, required: Iterable[str], optional: Iterable[str] = ()
) -> Mapping[str, Any]:
    """An object that has all `required` members and no others than those and `optional`."""
    found = mapping(value, place)
    required = tuple(required)
    for name in required:
        if name not in found:
            raise DefinitionError(place, f"缺少“{name}”")
    known = {*required, *optional}
    for name in found:
        if name not in known:
            raise DefinitionError(f"{place}.{name}", "不认识的内容")
    return found


def mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise DefinitionError(place, "应为对象")
    return value


def sequence(value: Any, place: str, *, least: int = 0) -> list[Any]:
    if not isinstance(value, list):
        raise DefinitionError(place, "应为列表")
    if len(value) < least:
        raise DefinitionError(place, f"至少要有 {least} 项")
    return value


def title(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DefinitionError(place, "应为非空文字")
    if len(value) > LONGEST_TITLE or not value.isprintable():
        raise DefinitionError(place, f"应为一行文字，不超过 {LONGEST_TITLE} 字")
    return value


def name(value: Any, place: str, pattern: re.Pattern[str] = NAME) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise DefinitionError(place, "应为小写英文名（字母、数字、下划线）")
    return value


def one_of(value: Any, place: str, choices: Iterable[str]) -> str:
    allowed = tuple(choices)
    if not isinstance(value, str) or value not in allowed:
        raise DefinitionError(place, f"只能是：{'、'.join(allowed)}")
    return value


def whole_number(value: Any, place: str, *, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise DefinitionError(place, f"应为不小于 {least} 的整数")
    return value


def is_number(value: Any) -> bool:
    """A JSON number that can be compared; `true` is no number and neither is `NaN`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
