"""A run in which a node begins to cheat, and whom the others then name."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from tests.sim.culprit import corrupt
from tests.sim.faults import NONE
from tests.sim.plans import DIALLED
from tests.sim.scenario import Run, build
from tests.sim.world import DAY, Restless


def betrayed(seed: int, trick: str, days: float) -> tuple[Run, list[str]]:
    """The middle node of three cheats from some moment on; the run, and whom it cheated."""
    run = build(seed, replace(DIALLED, faults=NONE))
    run.world.run(0.1 * DAY)
    victims = corrupt(run.nodes[1], trick)
    run.world.most = 4000  # it may keep its neighbours busy
    with suppress(Restless):
        run.world.run(days * DAY)
    return run, victims


def named(run: Run) -> set[str]:
    """Whom honest nodes raise alarms about."""
    return {peer for node in run.nodes if node.honest for peer, _ in node.store.alarms}
