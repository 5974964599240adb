"""Bugs planted on purpose: a simulation that does not find each of them proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.betrayal import betrayed, named
from tests.sim.node import Node
from tests.sim.plans import PLANS, SHORT
from tests.sim.scenario import build, finish
from zhengtong.wire import link, witness
from zhengtong.wire.errors import WireError
from zhengtong.wire.exchange import Exchange
from zhengtong.wire.intake import LETTERS_LOST, Intake
from zhengtong.wire.link import Arrived, Lane, Mark
from zhengtong.wire.memory import Disk, MemoryStore
from zhengtong.wire.standing import Head

RUNS = (
    replace(SHORT, faults=replace(SHORT.faults, restores=4)),
    replace(SHORT, ferries=10, days=1, documents=16),
    PLANS["nothing but restores"],
)
SEEDS = 30
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


def believes_old_words(patch: Patch) -> None:
    """A restored node goes on from what a neighbour said before it had heard of the restore."""
    patch.setattr(Lane, "placed", True)


def stops_at_lost_letters(patch: Patch) -> None:
    """What both ends have lost is waited for, for ever."""
    patch.setattr(Intake, "_passed_over", lambda self, state, batch: (state, False))


def passes_lost_letters_in_silence(patch: Patch) -> None:
    alarm = MemoryStore.alarm

    def quiet(self: MemoryStore, peer: str, code: str, *rest: Any) -> None:
        if code != LETTERS_LOST:
            alarm(self, peer, code, *rest)

    patch.setattr(MemoryStore, "alarm", quiet)


def accepts_a_fork(patch: Patch) -> None:
    """Whatever log a neighbour shows is believed."""
    patch.setattr(witness, "_forked", lambda shown: Ignored())
    patch.setattr(witness, "watch", _unless_ignored(witness.watch))


def ignores_a_chain_mismatch(patch: Patch) -> None:
    """The chains that both ends sign are not compared."""
    patch.setattr(link, "require_same", lambda *_: None)


def lets_a_number_be_reused(patch: Patch) -> None:
    """What is under a known number is a repeat, whatever it is."""
    patch.setattr(link, "require_next", lambda received, number, *_: number == received + 1)


def takes_any_receipt(patch: Patch) -> None:
    """A receipt need not name the envelope that was sent."""
    patch.setattr(MemoryStore, "sent", lambda *_: dict[int, Mark]())


class Ignored(Exception):
    pass


def _unless_ignored(watch: Callable[..., Any]) -> Callable[..., Any]:
    def believing(store: Any, peer: Any, *rest: Any) -> Any:
        try:
            return watch(store, peer, *rest)
        except Ignored:
            return peer

    return believing


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
    believes_old_words,
    stops_at_lost_letters,
    passes_lost_letters_in_silence,
)
BLINDNESS: dict[Callable[[Patch], None], str] = {
    accepts_a_fork: "forks its log",
    ignores_a_chain_mismatch: "states another chain",
    lets_a_number_be_reused: "reuses a number",
    takes_any_receipt: "receipts other envelopes",
    passes_lost_letters_in_silence: "says that letters are lost",
}
"""Bugs that only a node that cheats brings to light, and its trick."""


def shows(seed: int) -> bool:
    """Whether a run finds fault; code that breaks down under a bug counts as found."""
    run = build(seed, RUNS[seed % len(RUNS)])
    run.world.most = RESTLESS
    try:
        finish(run)
    except (AssertionError, LookupError, TypeError, ValueError, WireError):
        return True
    return bool(run.problems)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    assert any(shows(seed) for seed in range(SEEDS))


@pytest.mark.parametrize("bug", BLINDNESS, ids=lambda bug: bug.__name__)
def test_a_node_that_sees_no_misbehaviour_is_found(
    bug: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    """Without the bug the culprit is named: see test_whoever_misbehaves_is_named."""
    bug(monkeypatch)
    run, victims = betrayed(0, BLINDNESS[bug], 0.3)
    assert victims and named(run) != {"n1"}


def test_without_a_bug_the_same_runs_find_nothing() -> None:
    assert not any(shows(seed) for seed in range(SEEDS))
