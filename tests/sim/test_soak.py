"""`make soak`: as many seeds as a quarter of an hour holds, and months of a whole city."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.plans import PLANS, repeat
from tests.sim.scenario import play

pytestmark = pytest.mark.soak
SECONDS = float(os.environ.get("SOAK_SECONDS", "720"))
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
)


@pytest.mark.parametrize("name", PLANS)
def test_soak(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """New seeds until the time is up; every failing one is said, with how to see it again."""
    plan = PLANS[name]
    counts, seed, failing = Counter[str](), 1_000_000, list[str]()
    ends = time.monotonic() + SECONDS / len(PLANS)
    while seed == 1_000_000 or time.monotonic() < ends:
        run = play(seed, plan)
        counts += run.world.counts
        if run.problems:
            failing.append(repeat(run))
        seed += 1
    injected = ", ".join(f"{fault} {counts[fault]}" for fault in FAULTS)
    with capsys.disabled():
        print(
            f"\n{name}: {seed - 1_000_000} seeds, {counts['told']} documents, "
            f"{len(failing)} failing; injected: {injected}"
        )
    assert not failing, "\n".join(failing)
