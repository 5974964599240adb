"""`make soak`: as many seeds as SOAK_SECONDS hold, from SOAK_FROM on; months of a city, too."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.plans import PLANS, repeat
from tests.sim.report import PROPERTY
from tests.sim.scenario import play

pytestmark = pytest.mark.soak
SECONDS = float(os.environ.get("SOAK_SECONDS", "1500"))
FIRST = int(os.environ.get("SOAK_FROM", "1_000_000"))
FAULTS = (
    "lost",
    "repeated",
    "cut",
    "crash",
    "disk full",
    "disk slow",
    "clock jump",
    "restore",
    "keys changed",
    "keys replaced",
    "card brought",
    "ceiling lowered",
)


@pytest.mark.parametrize("name", PLANS)
def test_soak(name: str, record_property: Callable[[str, str], None]) -> None:
    """New seeds until the time is up; every failing one is said, with how to see it again."""
    plan = PLANS[name]
    counts, seed, failing = Counter[str](), FIRST, list[str]()
    ends = time.monotonic() + SECONDS / len(PLANS)
    while seed == FIRST or time.monotonic() < ends:
        run = play(seed, plan)
        counts += run.world.counts
        if run.problems:
            failing.append(repeat(run))
        seed += 1
    told = {
        "plan": name,
        "seeds": seed - FIRST,
        "documents": counts["told"],
        "failing": len(failing),
        "injected": {fault: counts[fault] for fault in FAULTS},
    }
    record_property(PROPERTY, json.dumps(told))
    assert not failing, "\n".join(failing)
