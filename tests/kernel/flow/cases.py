"""Small procedures and the people in them, for the engine's tests."""

import copy
from datetime import UTC, datetime
from typing import Any

from zhengtong.kernel.flow import definition
from zhengtong.kernel.flow.procedure import ActionKind, Assignee, AssigneeKind
from zhengtong.kernel.flow.state import Action, Actor

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)

# 起草 → 会签（全部）→ 签发, everything an action can do being allowed somewhere.
PLAIN: dict[str, Any] = {
    "key": "test.plain",
    "version": 1,
    "title": "测试流程",
    "fields": {
        "author": {"type": "person", "title": "起草人"},
        "offices": {"type": "organisations", "title": "会签单位"},
        "urgent": {"type": "flag", "title": "加急"},
    },
    "outcomes": {"issued": "已签发", "dropped": "已作废"},
    "steps": [
        {
            "key": "draft",
            "title": "起草",
            "who": {"duty": "test.draft", "person": "field:author"},
            "mode": "one",
            "actions": ["agree", "withdraw", "add_signer", "close"],
            "ends": {"close": "dropped"},
            "sets": ["offices"],
            "next": [
                {"when": {"not": {"eq": ["urgent", True]}}, "to": "countersign"},
                {"to": "issue"},
            ],
        },
        {
            "key": "countersign",
            "title": "会签",
            "who": {"duty": "test.countersign", "organisation": "each:offices"},
            "mode": "all",
            "actions": ["agree", "return", "withdraw", "reassign", "add_signer"],
            "due": "test.countersign_limit",
            "next": [{"to": "issue"}],
        },
        {
            "key": "issue",
            "title": "签发",
            "who": {"duty": "test.issue", "organisation": "owner"},
            "mode": "one",
            "actions": ["agree", "return", "withdraw"],
            "words": {"agree": "签发"},
            "next": [{"finish": "issued"}],
        },
    ],
}

AUTHOR = Actor("author", "bureau")
HEAD = Actor("head", "bureau")
FINANCE = Actor("fin-clerk", "finance")
LAW = Actor("law-clerk", "law")
STRANGER = Actor("stranger", "elsewhere")
DATA = {"author": "author", "offices": ["finance", "law"], "urgent": False}


def plain() -> dict[str, Any]:
    """A copy of the JSON that a test may spoil."""
    return copy.deepcopy(PLAIN)


PROCEDURE = definition.read(PLAIN)


def act(actor: Actor, kind: str, step: str, **more: Any) -> Action:
    return Action(ActionKind(kind), step, actor, NOW, **more)


def organisation(key: str) -> Assignee:
    return Assignee(AssigneeKind.ORGANISATION, key)


def person(key: str) -> Assignee:
    return Assignee(AssigneeKind.PERSON, key)
