"""The sorts of runs that tests play, and the words in which a plan is told on a command line."""

from __future__ import annotations

import shlex
from ast import literal_eval
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Any

from tests.sim.faults import EVERYTHING, HARSH, NONE, Faults
from tests.sim.scenario import CITY, Plan, Run

SHORT = Plan(days=0.25, documents=24, faults=replace(HARSH, weeks=0))
DIALLED = replace(SHORT, ferries=0)
PLANS = {
    "three nodes, a bad quarter of a day": SHORT,
    "real cryptography": replace(DIALLED, suite="intl"),
    "five nodes, two bad days": replace(SHORT, parents=(0, 1, 1, 1), days=2, documents=12),
    "slow one-way roads": replace(SHORT, ferries=10, days=2, documents=12),
    "keys that change": replace(
        SHORT, days=0.5, documents=20, faults=replace(SHORT.faults, restores=0, rotations=6)
    ),
    "ceilings that are lowered": replace(
        SHORT, ferries=5, days=1, documents=12, faults=replace(SHORT.faults, ceilings=6)
    ),
    "nothing but restores": replace(
        SHORT,
        ferries=5,
        days=1,
        documents=12,
        faults=replace(NONE, restores=5, jitter=0.3, jumps=1),
    ),
    "restores and keys that change": replace(
        SHORT,
        ferries=3,
        days=0.75,
        documents=14,
        faults=replace(SHORT.faults, restores=3, rotations=5),
    ),
    "one of five cheats": replace(SHORT, parents=(0, 1, 1, 1), days=1, documents=12, culprits=1),
    "restores, keys and a cheat": replace(
        SHORT,
        parents=(0, 1, 1),
        days=0.75,
        documents=12,
        culprits=1,
        faults=replace(SHORT.faults, restores=2, rotations=4),
    ),
    "nineteen nodes, thirty days": replace(CITY, faults=EVERYTHING, culprits=1),
}


def words(plan: Plan) -> Iterator[str]:
    """Each field in which a plan is not the usual one: `days=2`, `faults.loss=0.1`."""
    for name, value, usual in _differences(plan, Plan()):
        if isinstance(value, Faults):
            for fault, rate, _ in _differences(value, usual):
                yield f"{name}.{fault}={rate!r}"
        else:
            yield f"{name}={value!r}"


def plan_of(told: Iterable[str]) -> Plan:
    """The plan that these words tell. Raises ValueError."""
    plan = Plan()
    for word in told:
        name, _, value = word.partition("=")
        group, _, fault = name.partition(".")
        try:
            change: Any = {fault or name: literal_eval(value)}
            if fault:
                change = {group: replace(plan.faults, **change)}
            plan = replace(plan, **change)
        except (SyntaxError, TypeError) as error:
            raise ValueError(f"{word}: {error}") from None
    return plan


def repeat(run: Run) -> str:
    """What is wrong, and the line that shows it again."""
    told = shlex.join([str(run.seed), *words(run.plan)])
    return f"{run.problems[:3]}; again: .venv/bin/python -m tests.sim {told}"


def _differences(one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if mine != theirs:
            yield field.name, mine, theirs
