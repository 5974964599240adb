"""One seed is one run: whatever goes wrong, nothing is lost, repeated, reordered or hidden."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.betrayal import betrayed, named
from tests.sim.culprit import SILENT, TRICKS, corrupt
from tests.sim.faults import NONE
from tests.sim.plans import DIALLED, PLANS, SHORT, plan_of, repeat, words
from tests.sim.scenario import Plan, build, play
from tests.sim.world import DAY
from zhengtong.wire.checkpoint import verify_checkpoint
from zhengtong.wire.evidence import About, Evidence, pack
from zhengtong.wire.evidence_check import verify
from zhengtong.wire.findings import Verdict
from zhengtong.wire.link import LONGEST_DELAY, WINDOW

SEEDS = 10
PARTS = {
    "three nodes, a bad quarter of a day": 11,
    "slow one-way roads": 6,
    "nothing but restores": 4,
    "ceilings that are lowered": 1,
    "keys that change": 1,
    "restores and keys that change": 1,
}
"""Of each plan so many times SEEDS; `make soak` plays thousands more, and whole cities."""


@pytest.mark.parametrize(
    ("plan", "part"), [(plan, part) for plan, parts in PARTS.items() for part in range(parts)]
)
def test_nothing_is_lost_or_repeated_or_hidden(plan: str, part: int) -> None:
    for seed in range(part * SEEDS, (part + 1) * SEEDS):
        run = play(seed, PLANS[plan])
        assert not run.problems, repeat(run)
        assert run.world.counts["crash"] + run.world.counts["lost"] > 0


def test_what_a_lowered_ceiling_keeps_back_is_dead_and_holds_up_nothing() -> None:
    kept, sent = 0, 0
    for seed in range(100, 104):
        run = play(seed, PLANS["ceilings that are lowered"])
        assert not run.problems, repeat(run)
        rows = [row for node in run.nodes for row in node.store.outgoing.values()]
        dead = {row.mark.digest for row in rows if row.dead}
        kept, sent = kept + len(dead), sent + len(rows)
        came = {entry.digest for node in run.nodes for entry in node.inbox.values()}
        assert not came & dead
    assert 0 < kept < sent / 2


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


@pytest.mark.parametrize("trick", [name for name in TRICKS if name not in SILENT])
def test_whoever_misbehaves_is_named(trick: str) -> None:
    for seed in range(2):
        run, victims = betrayed(seed, trick, 0.3)
        assert victims, "it had an occasion"
        assert named(run) == {"n1"}, "and nobody else is"
        honest = [node for node in run.nodes if node.honest]
        assert not any(node.complaints or node.order() for node in honest)


def test_a_withheld_letter_is_seen_to_be_missing() -> None:
    """A lane that says it has sent more than came stays behind what it announces, signed."""
    run, victims = betrayed(1, "withholds a letter", 0.3)
    rows = [row for node in run.nodes if node.honest for row in node.store.lanes("n1")]
    assert victims
    assert any(row.announced > row.received.number for row in rows)
    assert not any(node.complaints for node in run.nodes)


def test_a_parent_that_asks_for_ever_more_is_dialled_ever_more_seldom() -> None:
    run = build(1, replace(DIALLED, faults=NONE, parents=(0,)))
    victims = corrupt(run.nodes[0], "asks for ever more")
    run.world.run(0.5 * DAY)
    halfway, seldom = len(victims), 0.5 * DAY / (LONGEST_DELAY.total_seconds() / 2)
    run.world.run(1 * DAY)
    assert halfway > 2 * WINDOW, "at first it may be what a bad road has lost"
    assert len(victims) - halfway < 2 * seldom, "by both couriers"


@pytest.mark.parametrize("cheat", [0, 1], ids=["the parent", "the child"])
def test_two_that_wait_for_a_withheld_letter_talk_ever_more_seldom(cheat: int) -> None:
    """Of two turns under way only one is asked for; the other does not begin the count anew."""
    run = build(1, replace(DIALLED, faults=NONE, parents=(0,)))
    victims = corrupt(run.nodes[cheat], "withholds a letter")
    run.world.run(0.5 * DAY)
    halfway, seldom = len(victims), 0.5 * DAY / (LONGEST_DELAY.total_seconds() / 2)
    run.world.run(1 * DAY)
    assert 0 < len(victims) - halfway < 4 * seldom, "by both couriers, two turns each"


def test_what_is_replayed_is_refused_and_delivered_once() -> None:
    run, victims = betrayed(1, "replays", 0.3)
    assert victims and run.world.counts["refused"]
    assert not any(node.complaints or node.order() for node in run.nodes if node.honest)


def test_two_views_of_one_log_contradict_each_other_side_by_side() -> None:
    """Neither neighbour can tell by itself: each has been shown a log that only grew."""
    run, victims = betrayed(1, "shows two logs", 0.3)
    assert victims and {*victims} == {"n2"}
    shown = [run.nodes[place].store.peers["n1"].cosigned or b"" for place in (0, 2)]
    assert not any(node.store.alarms for node in run.nodes if node.honest)
    culprit = run.nodes[1].card
    first, other = (verify_checkpoint(note, culprit) for note in shown)
    assert (first.origin, first.size) == (other.origin, other.size)
    assert first.root != other.root, "and n1 has signed both"
    evidence = Evidence(
        About("", "", "n0", run.world.moment()),
        cards=tuple(node.card.to_cbor() for node in run.nodes),
        checkpoints=tuple(shown),
    )
    found = verify(pack(evidence)).findings
    faults = [finding.en for finding in found if finding.verdict is Verdict.FAILED]
    assert any("n1 signed two roots of one size" in fault for fault in faults)
