"""One seed is one run: whatever goes wrong, nothing is lost, repeated, reordered or hidden."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.culprit import TRICKS, corrupt
from tests.sim.faults import NONE
from tests.sim.plans import DIALLED, PLANS, SHORT, plan_of, repeat, words
from tests.sim.scenario import Plan, Run, build, play
from tests.sim.world import DAY, Restless

PARTS, SEEDS = 8, 15


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
    run = play(1, replace(DIALLED, faults=NONE))
    assert not run.problems
    arrival = {key: entry.at for node in run.nodes for key, entry in node.inbox.items()}
    waits = [arrival[item.message] - item.at for node in run.nodes for item in node.told]
    assert len(waits) > 10
    assert max(waits) < 1


def test_one_seed_is_one_run() -> None:
    first, again, other = play(7, SHORT), play(7, SHORT), play(8, SHORT)
    assert first.digest == again.digest != other.digest
    assert first.world.counts == again.world.counts


@pytest.mark.parametrize("plan", [Plan(), *PLANS.values()])
def test_a_failing_run_says_how_to_see_it_again(plan: Plan) -> None:
    run = build(27, plan)
    run.problems.append("a document is lost")
    *_, told = repeat(run).partition("python -m tests.sim ")
    seed, *rest = shlex.split(told)
    assert (int(seed), plan_of(rest)) == (27, plan)
    assert [*words(plan)] == rest


def betrayed(seed: int, trick: str, days: float) -> tuple[Run, list[str]]:
    """A run in which the middle node begins to cheat; it may keep its neighbours busy for ever."""
    run = build(seed, replace(DIALLED, faults=NONE))
    run.world.run(0.1 * DAY)
    victims = corrupt(run.nodes[1], trick)
    run.world.most = 4000
    with suppress(Restless):
        run.world.run(days * DAY)
    return run, victims


@pytest.mark.parametrize("trick", [name for name in TRICKS if name != "withholds a letter"])
def test_whoever_misbehaves_is_named(trick: str) -> None:
    for seed in range(2):
        run, victims = betrayed(seed, trick, 0.3)
        assert victims, "it had an occasion"
        honest = [node for node in run.nodes if node.honest]
        named = {peer for node in honest for peer, _ in node.store.alarms}
        assert named == {"n1"}, "and nobody else is"
        assert not any(node.complaints or node.order() for node in honest)


def test_a_withheld_letter_is_seen_to_be_missing() -> None:
    """A lane that says it has sent more than came stays behind what it announces, signed."""
    run, victims = betrayed(1, "withholds a letter", 0.3)
    rows = [row for node in run.nodes if node.honest for row in node.store.lanes("n1")]
    assert victims
    assert any(row.announced > row.received.number for row in rows)
    assert not any(node.complaints for node in run.nodes)
