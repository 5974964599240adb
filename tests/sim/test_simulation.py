"""One seed is one run: whatever goes wrong in it, nothing is lost, repeated, reordered or hidden."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.culprit import TRICKS, corrupt
from tests.sim.faults import EVERYTHING, HARSH, NONE
from tests.sim.invariants import unaccused
from tests.sim.scenario import CITY, Plan, Run, build, play
from tests.sim.world import DAY

SHORT = Plan(days=0.25, documents=24, faults=HARSH)
PARTS, SEEDS = 8, 25


def repeat(run: Run) -> str:
    """The line that shows a failing run again."""
    return (
        f"{run.problems[:3]}; again: .venv/bin/python -m tests.sim {run.seed} "
        f"--days {run.plan.days:g} --nodes {len(run.nodes)} --suite {run.plan.suite}"
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_lost_or_repeated_or_hidden(part: int) -> None:
    for seed in range(part * SEEDS, (part + 1) * SEEDS):
        run = play(seed, SHORT)
        assert not run.problems, repeat(run)
        assert run.world.counts["crash"] + run.world.counts["lost"] > 0


@pytest.mark.parametrize("seed", range(2))
def test_the_same_holds_with_real_cryptography(seed: int) -> None:
    run = play(seed, replace(SHORT, suite="intl"))
    assert not run.problems, repeat(run)


def test_a_good_road_loses_no_time() -> None:
    run = play(1, replace(SHORT, faults=NONE, ferries=0))
    assert not run.problems
    arrival = {key: entry.at for node in run.nodes for key, entry in node.inbox.items()}
    waits = [arrival[item.message] - item.at for node in run.nodes for item in node.told]
    assert len(waits) > 10
    assert max(waits) < 1


def test_one_seed_is_one_run() -> None:
    first, again, other = play(7, SHORT), play(7, SHORT), play(8, SHORT)
    assert first.digest == again.digest != other.digest
    assert first.world.counts == again.world.counts


@pytest.mark.parametrize("trick", [name for name in TRICKS if name != "withholds a letter"])
def test_whoever_misbehaves_is_named(trick: str) -> None:
    for seed in range(3):
        run = build(seed, replace(SHORT, faults=NONE, ferries=0))
        run.world.run(0.1 * DAY)
        victims = corrupt(run.nodes[1], trick)
        run.world.run(0.3 * DAY)
        assert victims, "it had an occasion"
        assert not unaccused(run.nodes)
        named = {peer for node in run.nodes if node.honest for peer, _ in node.store.alarms}
        assert named == {"n1"}, "and nobody else is"


def test_a_withheld_letter_is_seen_to_be_missing() -> None:
    """A lane that says it has sent more than came stays behind what it announces, signed."""
    run = build(1, replace(SHORT, faults=NONE, ferries=0))
    victims = corrupt(run.nodes[1], "withholds a letter")
    run.world.run(0.3 * DAY)
    rows = [row for node in run.nodes if node.honest for row in node.store.lanes("n1")]
    assert victims
    assert any(row.announced > row.received.number for row in rows)
    assert not any(node.complaints for node in run.nodes)


@pytest.mark.soak
def test_a_month_of_a_city() -> None:
    run = play(1, replace(CITY, faults=EVERYTHING))
    assert not run.problems, repeat(run)
