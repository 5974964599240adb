"""`make soak`: as many seeds as a quarter of an hour holds, and months of a whole city."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace

import pytest

from tests.sim.faults import EVERYTHING
from tests.sim.scenario import CITY, Plan, play
from tests.sim.test_simulation import SHORT, repeat

pytestmark = pytest.mark.soak
SECONDS = float(os.environ.get("SOAK_SECONDS", "720"))
FAULTS = ("lost", "repeated", "cut", "crash", "disk full", "disk slow", "clock jump", "restore")
DIALLED = replace(SHORT, ferries=0)
PLANS = {
    "three nodes, a bad quarter of a day": DIALLED,
    "real cryptography": replace(DIALLED, suite="intl"),
    "five nodes, two bad days": replace(DIALLED, parents=(0, 1, 1, 1), days=2, documents=12),
    # Not yet: a node restored while letters of its own are still days away from the other end.
    "slow one-way roads": replace(SHORT, ferries=10, faults=replace(SHORT.faults, restores=0)),
    "nineteen nodes, thirty days": replace(CITY, faults=EVERYTHING, ferries=0),
}
SHARES = dict(zip(PLANS, (0.3, 0.1, 0.2, 0.15, 0.25), strict=True))


@pytest.mark.parametrize("name", PLANS)
def test_soak(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """New seeds until the time is up; every failing one is said, with how to see it again."""
    plan: Plan = PLANS[name]
    counts, seed, failing = Counter[str](), 1_000_000, list[str]()
    ends = time.monotonic() + SECONDS * SHARES[name]
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
