"""Bugs planted on purpose: a simulation that does not find each of them proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.faults import HARSH
from tests.sim.node import Node
from tests.sim.scenario import Plan, build, finish
from zhengtong.wire import link, witness
from zhengtong.wire.batch import Head
from zhengtong.wire.exchange import Exchange
from zhengtong.wire.intake import Intake
from zhengtong.wire.link import Arrived, Lane, Mark
from zhengtong.wire.memory import Disk, MemoryStore

PLAN = Plan(days=0.25, documents=24, faults=replace(HARSH, restores=12, weeks=0))
SEEDS = 25
"""Within so many runs each bug must have shown."""
RESTLESS = 6_000
"""Without a bug none of them has so many events."""
Patch = pytest.MonkeyPatch


def drops_dedup(patch: Patch) -> None:
    """Every repeat is delivered again."""
    patch.setattr(link, "require_next", lambda *_: True)


def skips_fsync(patch: Patch) -> None:
    """A commit returns before it is on the disk; every tenth flushes."""

    def commit(self: Disk) -> None:
        self.syncing = next(self.flushes) % 10 == 0  # type: ignore[attr-defined]

    began = Disk.__init__

    def init(self: Disk) -> None:
        began(self)
        self.flushes = iter(range(10**9))  # type: ignore[attr-defined]

    patch.setattr(Disk, "__init__", init)
    transaction = Disk.transaction

    @contextmanager
    def lazy(self: Disk) -> Iterator[None]:
        commit(self)
        with transaction(self):
            yield

    patch.setattr(Disk, "transaction", lazy)


def accepts_a_gap(patch: Patch) -> None:
    """Whatever number comes is taken for the next."""
    taken = Intake.letters

    def take(self: Intake, state: Lane, peer: Any, batch: Any, letters: Any) -> Lane:
        if letters and letters[0].letter.sequence > state.received.number + 1:
            received = Head(letters[0].letter.sequence - 1, state.received.chain)
            state = replace(state, received=received)
        return taken(self, state, peer, batch, letters)

    patch.setattr(Intake, "letters", take)


def receipts_without_storing(patch: Patch) -> None:
    """Letters are receipted, and never reach the people."""
    patch.setattr(MemoryStore, "deliver", lambda self, peer, letters: {})


def forgets_to_rewind(patch: Patch) -> None:
    patch.setattr(Exchange, "rewind", lambda self, peer: None)


def acknowledges_before_commit(patch: Patch) -> None:
    """What was said to be held is on the disk only when something else is written."""
    for name in ("accept", "compose"):
        patch.setattr(Exchange, name, _unsynced(getattr(Exchange, name)))


def _unsynced(work: Callable[..., Any]) -> Callable[..., Any]:
    def early(self: Exchange, *arguments: Any, **options: Any) -> Any:
        store = self.store
        assert isinstance(store, MemoryStore)
        store.disk.syncing = False
        try:
            return work(self, *arguments, **options)
        finally:
            store.disk.syncing = True

    return early


def delivers_outside_the_transaction(patch: Patch) -> None:
    """People have a letter although the transaction that stored it was rolled back."""
    deliver = MemoryStore.deliver

    def at_once(self: MemoryStore, peer: str, letters: Sequence[Any]) -> Any:
        before = len(self.disk._undo)
        result = deliver(self, peer, letters)
        del self.disk._undo[before:]
        return result

    patch.setattr(MemoryStore, "deliver", at_once)


def numbers_from_the_backup(patch: Patch) -> None:
    """A restored node goes on where its backup stood."""

    def blind(self: Node) -> None:
        with self.store.transaction():
            self.store.restart_log(max(self.store.sizes) + 1)

    patch.setattr(Node, "begin_anew", blind)


def keeps_the_old_log(patch: Patch) -> None:
    """A restored node writes other entries where its neighbours have seen those it lost."""

    def without(self: Node) -> None:
        with self.store.transaction():
            for peer, row in ((key[0], row) for key, row in list(self.store.lane_rows.items())):
                self.store.peers[peer] = replace(self.store.peers[peer], met=False)
                self.store.save_lane(link.restored(row))

    patch.setattr(Node, "begin_anew", without)
    patch.setattr(witness, "proves_rollback", lambda *_: False)


def mixes_up_lanes(patch: Patch) -> None:
    """Letters of one lane are stored under another."""
    take = MemoryStore.take

    def mixed(self: MemoryStore, peer: str, lane: int, letters: Sequence[Arrived]) -> None:
        take(self, peer, lane ^ 1, letters)

    patch.setattr(MemoryStore, "take", mixed)


def chains_by_number_only(patch: Patch) -> None:
    """The two ends chain different things."""
    extended = link.extended

    def other(head: Head, digest: bytes, hash: Any) -> Head:
        return extended(head, other_digest.pop() if other_digest else digest, hash)

    other_digest = [bytes(32)]
    patch.setattr(link, "extended", other)


def forgets_whose_turn(patch: Patch) -> None:
    """Counters do not grow, so whatever was said after the first batch passes for a repeat."""
    compose = Exchange.next_batch

    def still(self: Exchange, *arguments: Any, **options: Any) -> Any:
        batch = compose(self, *arguments, **options)
        return replace(batch, standing=replace(batch.standing, counter=1))

    patch.setattr(Exchange, "next_batch", still)


def reorders_the_outbox(patch: Patch) -> None:
    """Letters are handed over in any order, each numbered properly."""
    number = Exchange.number

    def backwards(self: Exchange, peer: str, lane: int, digests: Sequence[bytes]) -> Any:
        return list(reversed(number(self, peer, lane, digests)))

    patch.setattr(Exchange, "number", backwards)


def loses_receipts(patch: Patch) -> None:
    """What is receipted is marked so, but the receipt itself is not kept."""
    patch.setattr(MemoryStore, "hold", lambda self, peer, lane, held: None)
    patch.setattr(MemoryStore, "held_through", lambda self, peer, lane, _: self.newest[peer, lane])


def answers_only_once(patch: Patch) -> None:
    """A repeat does not bring its receipt again."""
    taken = Intake.letters

    def take(self: Intake, state: Lane, *rest: Any) -> Lane:
        return replace(taken(self, state, *rest), answered=state.answered)

    patch.setattr(Intake, "letters", take)


def forgets_what_has_come(patch: Patch) -> None:
    """The marks of stored letters are not looked up, so repeats look like contradictions."""
    patch.setattr(MemoryStore, "arrived", lambda *_: dict[int, Mark]())


BUGS: tuple[Callable[[Patch], None], ...] = (
    drops_dedup,
    skips_fsync,
    accepts_a_gap,
    receipts_without_storing,
    forgets_to_rewind,
    acknowledges_before_commit,
    delivers_outside_the_transaction,
    numbers_from_the_backup,
    keeps_the_old_log,
    mixes_up_lanes,
    chains_by_number_only,
    forgets_whose_turn,
    reorders_the_outbox,
    loses_receipts,
    answers_only_once,
    forgets_what_has_come,
)


def shows(seed: int) -> bool:
    """Whether a run finds fault; code that breaks down under a bug counts as found."""
    run = build(seed, PLAN)
    run.world.most = RESTLESS
    try:
        finish(run)
    except (AssertionError, LookupError, TypeError, ValueError):
        return True
    return bool(run.problems)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    assert any(shows(seed) for seed in range(SEEDS))


def test_without_a_bug_the_same_runs_find_nothing() -> None:
    assert not any(shows(seed) for seed in range(SEEDS))
