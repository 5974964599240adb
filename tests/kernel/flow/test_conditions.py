"""Conditions decide as they read, are typed, and never run code."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.kernel.flow import conditions
from zhengtong.kernel.flow.conditions import DEEPEST
from zhengtong.kernel.flow.errors import DefinitionError
from zhengtong.kernel.flow.fields import Field, FieldType, checked

FIELDS = {
    "urgency": Field(FieldType.TEXT, "紧急程度"),
    "amount": Field(FieldType.NUMBER, "金额"),
    "open": Field(FieldType.FLAG, "主动公开"),
    "issued_on": Field(FieldType.DATE, "成文日期"),
    "offices": Field(FieldType.ORGANISATIONS, "会签单位"),
}


def holds(condition: Mapping[str, Any], **data: Any) -> bool:
    return conditions.holds(conditions.read(condition, FIELDS, "when"), checked(FIELDS, data))


@pytest.mark.parametrize(
    ("condition", "data", "expected"),
    [
        ({"eq": ["urgency", "特急"]}, {"urgency": "特急"}, True),
        ({"eq": ["urgency", "特急"]}, {}, False),
        ({"not": {"eq": ["urgency", "特急"]}}, {}, True),
        ({"gt": ["amount", 10]}, {"amount": 10}, False),
        ({"ge": ["amount", 10]}, {"amount": 10}, True),
        ({"lt": ["amount", 10]}, {"amount": None}, False),
        ({"le": ["amount", 10]}, {"amount": 9.5}, True),
        ({"lt": ["issued_on", "2026-11-23"]}, {"issued_on": "2026-09-30"}, True),
        ({"in": ["urgency", ["特急", "加急"]]}, {"urgency": "加急"}, True),
        ({"contains": ["offices", "finance"]}, {"offices": ["law", "finance"]}, True),
        ({"contains": ["offices", "finance"]}, {}, False),
        ({"exists": "offices"}, {"offices": []}, False),
        ({"exists": "offices"}, {"offices": ["law"]}, True),
        ({"exists": "open"}, {"open": False}, True),
        ({"exists": "amount"}, {"amount": 0}, True),
        ({"exists": "urgency"}, {"urgency": ""}, False),
        ({"and": [{"exists": "amount"}, {"eq": ["open", True]}]}, {"open": True}, False),
        ({"or": [{"exists": "amount"}, {"eq": ["open", True]}]}, {"open": True}, True),
    ],
)
def test_a_condition_means_what_it_says(
    condition: Mapping[str, Any], data: dict[str, Any], expected: bool
) -> None:
    assert holds(condition, **data) is expected


@pytest.mark.parametrize(
    ("condition", "place"),
    [
        ("urgency == '特急'", "when"),
        ({}, "when"),
        ({"exists": "amount", "eq": ["amount", 1]}, "when"),
        ({"python": "__import__('os')"}, "when.python"),
        ({"and": []}, "when.and"),
        ({"or": [{"exists": "amount"}, {"exists": "price"}]}, "when.or[1].exists"),
        ({"eq": ["amount"]}, "when.eq"),
        ({"eq": ["price", 1]}, "when.eq[0]"),
        ({"eq": ["amount", "1"]}, "when.eq[1]"),
        ({"eq": ["amount", True]}, "when.eq[1]"),
        ({"eq": ["open", 1]}, "when.eq[1]"),
        ({"eq": ["amount", float("nan")]}, "when.eq[1]"),
        ({"eq": ["offices", "law"]}, "when.eq"),
        ({"contains": ["urgency", "特"]}, "when.contains"),
        ({"gt": ["urgency", "加急"]}, "when.gt"),
        ({"gt": ["issued_on", "2026年"]}, "when.gt[1]"),
        ({"in": ["urgency", []]}, "when.in[1]"),
        ({"in": ["urgency", ["特急", 3]]}, "when.in[1][1]"),
    ],
)
def test_a_condition_that_could_fail_later_is_refused_now(condition: Any, place: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        conditions.read(condition, FIELDS, "when")
    assert caught.value.place == place


def test_nesting_has_a_floor() -> None:
    deep: dict[str, Any] = {"exists": "amount"}
    for _ in range(DEEPEST):
        deep = {"not": deep}
    with pytest.raises(DefinitionError, match="嵌套"):
        conditions.read(deep, FIELDS, "when")


def test_a_condition_reads_aloud_in_chinese() -> None:
    condition = {
        "and": [
            {"exists": "offices"},
            {"or": [{"in": ["urgency", ["特急", "加急"]]}, {"not": {"exists": "amount"}}]},
            {"ge": ["issued_on", "2026-01-01"]},
        ]
    }
    spoken = conditions.describe(conditions.read(condition, FIELDS, "when"), FIELDS)
    assert spoken == "有会签单位，且（紧急程度为特急或加急，或无金额），且成文日期不早于2026-01-01"


LEAVES = st.one_of(
    st.sampled_from(sorted(FIELDS)).map(lambda name: {"exists": name}),
    st.builds(lambda value: {"eq": ["open", value]}, st.booleans()),
    st.builds(
        lambda how, value: {how: ["amount", value]},
        st.sampled_from(["eq", "gt", "ge", "lt", "le"]),
        st.integers(-3, 3),
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(lambda some: {"and": some}),
        st.lists(parts, min_size=1, max_size=3).map(lambda some: {"or": some}),
        parts.map(lambda part: {"not": part}),
    ),
    max_leaves=8,
)


def plainly(tree: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """The same meaning, written down naively, as the oracle."""
    ((name, argument),) = tree.items()
    if name == "not":
        return not plainly(argument, data)
    if name in ("and", "or"):
        truths = [plainly(part, data) for part in argument]
        return all(truths) if name == "and" else any(truths)
    if name == "exists":
        return data.get(argument) is not None and data[argument] != [] and data[argument] != ""
    field, wanted = argument
    value = data.get(field)
    if value is None:
        return False
    order = (value > wanted) - (value < wanted)
    truth = {"eq": order == 0, "gt": order > 0, "ge": order >= 0, "lt": order < 0, "le": order <= 0}
    return bool(truth[name])


@given(
    TREES,
    st.fixed_dictionaries(
        {},
        optional={
            "open": st.booleans(),
            "amount": st.integers(-4, 4) | st.none(),
            "offices": st.lists(st.sampled_from("abc"), unique=True),
            "urgency": st.sampled_from(["", "特急"]),
        },
    ),
)
def test_every_tree_decides_as_the_naive_reading_and_survives_json(
    tree: dict[str, Any], data: dict[str, Any]
) -> None:
    condition = conditions.read(tree, FIELDS, "when")
    assert conditions.holds(condition, checked(FIELDS, data)) == plainly(tree, data)
    assert conditions.write(condition) == tree
    assert conditions.describe(condition, FIELDS)
