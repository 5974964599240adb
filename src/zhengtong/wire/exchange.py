"""The state machine of a node's links: number what is sealed, compose batches, accept batches.

No transport is known here. A road may lose, repeat, delay or reorder batches: whatever has no
receipt is offered again once the road is known to have lost something, what comes twice is
recognised, and every batch carries both ends' chains over all letters of its lane, so that whatever
was withheld, altered or reordered shows at the next batch that arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from zhengtong.wire import link, receipts, witness
from zhengtong.wire.batch import (
    MAX_BATCH,
    MAX_LETTERS,
    Batch,
    Letter,
    Refused,
    decode_batch,
    encode_batch,
    take_what_fits,
)
from zhengtong.wire.beside import Read
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.intake import LETTERS_LOST, Intake
from zhengtong.wire.keys import FindCard, NodeKeys
from zhengtong.wire.link import Incoming, Lane, Mark, Numbered, Peer
from zhengtong.wire.log import Log
from zhengtong.wire.opening import open_letters
from zhengtong.wire.receipts import SALT, Entry, Event, log_name
from zhengtong.wire.standing import (
    FIRST_EPOCH,
    LANES,
    NOTHING_LOST,
    Head,
    Lost,
    Standing,
    later_epoch,
    require_fresh,
)
from zhengtong.wire.store import Store
from zhengtong.wire.suite import Rng

WHOLE_BATCH = 0
"""Stands in a batch's refusals for the number of a letter: the whole last batch was refused."""
CONTRADICTIONS = (Refusal.SEQUENCE_MISMATCH, Refusal.FORKED_LOG)


@dataclass(frozen=True)
class Accepted:
    """Whom a batch came from, in which lane, and whether it brought anything new.

    `waiting`: the lanes in which they have more to say; `ours`: those in which we have; `room`:
    what they can take at once.
    """

    peer: str
    lane: int
    moved: bool
    waiting: tuple[int, ...] = ()
    ours: tuple[int, ...] = ()
    room: int = 0


@dataclass(frozen=True)
class Exchange:
    """All links of one node.

    `now` gives zone-aware moments, `rng` unpredictable bytes; `ceiling` is the node's own.
    """

    keys: NodeKeys
    store: Store
    now: Callable[[], datetime]
    rng: Rng
    ceiling: int
    version: str = ""

    def number(self, peer: str, lane: int, digests: Sequence[bytes]) -> list[Numbered]:
        """Give sealed envelopes the next numbers of a lane.

        Inside the caller's transaction, which must also store the envelopes.
        """
        state = self.store.lane(peer, lane)
        epoch, log = self.store.log()
        at, head, marks, entries = self.now(), state.numbered, list[Mark](), list[bytes]()
        ends = (self.keys.node, peer)
        for digest in digests:
            head = link.extended(head, digest, self.keys.suite.hash)
            marks.append(Mark(digest, head.chain))
            letter = (head.number, digest)
            entries.append(self._entry(Event.SENT, ends, lane, letter, at).encode())
        leaf = log.append(entries)
        self.store.save_log(log)
        self.store.save_lane(replace(state, numbered=head))
        first = state.numbered.number + 1
        return [
            Numbered(first + place, mark, epoch, leaf + place) for place, mark in enumerate(marks)
        ]

    def begin_anew(self) -> None:
        """Go on after this node was restored from a backup, before anything else is done.

        A new epoch begins. The log starts empty, under a name that no earlier restore has used,
        because neighbours may have seen more of the old one. No lane goes on before a neighbour
        has answered in it that it knows the epoch; from then on it takes nothing of an earlier one.
        """
        with self.store.transaction():
            self._begin_anew()

    def compose(
        self,
        peer: str,
        lane: int,
        *,
        refusing: WireError | None = None,
        room: int = 0,
        wanted: int = 0,
    ) -> bytes:
        """The next batch for a neighbour in one lane. Raises WireError for an unknown one.

        `refusing` says why its last batch was refused as a whole, so that it sees that too. At
        most `room` bytes (0: MAX_BATCH), but at least one letter; `wanted` asks for as many back.
        """
        return encode_batch(self.collect(peer, lane, refusing, room, wanted), self.keys)

    def collect(self, peer: str, lane: int, why: WireError | None, room: int, wanted: int) -> Batch:
        """The same, not encoded yet, for a road that streams what is beside the letters."""
        with self.store.transaction():
            return self.next_batch(peer, lane, why, room, wanted)

    def accept(self, data: bytes, beside: Read | None = None) -> Accepted:
        """Take in a batch from any neighbour, all or nothing, in one transaction.

        Raises WireError when the batch as a whole is refused; a single bad letter is refused by
        itself, with its number, and the others are taken. What contradicts something the peer has
        signed before is kept as an alarm, with the batch as its proof. `beside` reads what follows.
        """
        return self.take_in(data, beside, lambda accepted: None)[0]

    def take_in(
        self, data: bytes, beside: Read | None, reply: Callable[[Accepted], Batch | None]
    ) -> tuple[Accepted, Batch | None]:
        """Accept a batch, and compose in the same transaction what `reply` chooses."""
        with self.store.reading():
            find = self.store.neighbours()
            batch = decode_batch(data, find, receiver=self.keys.node, beside=beside)
            letters = self._opened(batch)
        try:
            with self.store.transaction():
                accepted = self._accept(batch, letters, find)
                return accepted, reply(accepted)
        except WireError as error:
            if error.code in CONTRADICTIONS:
                with self.store.transaction():
                    sender = batch.standing.sender
                    self.store.alarm(sender, error.code.value, error.detail, batch.signed)
            raise

    def to_say(self, peer: str) -> tuple[int, ...]:
        """The lanes in which there is something to hand over now, most urgent first."""
        with self.store.reading():
            return link.waiting(self.store.lanes(peer), self.store.peer(peer))

    def rewind(self, peer: str) -> None:
        """The road has lost something: offer again what has no receipt, and ask for the same."""
        with self.store.transaction():
            for known in self.store.lanes(peer):
                state = self.store.lane(peer, known.lane)
                self.store.save_lane(replace(state, offered=state.receipted, again=True))

    def _begin_anew(self, after: int = 0) -> None:
        for peer in self.store.names():
            for lane in range(LANES):
                self.store.save_lane(link.restored(self.store.lane(peer, lane)))
        epoch, _ = self.store.log()
        self.store.restart_log(later_epoch(max(epoch, after), self.now(), self.rng))

    def _opened(self, batch: Batch) -> list[Incoming]:
        """The letters of a batch, opened. It takes long and needs no lock."""
        if not batch.letters:
            return []
        sender = batch.standing.sender
        known = self.store.received(sender, batch.standing.lane)
        card, find = self.store.peer(sender).card, self.store.origins(sender)
        end = (self.keys, self.ceiling, partial(self.store.take_bulk, sender))
        return open_letters(batch.letters, known, card, find, *end)

    def next_batch(
        self,
        name: str,
        lane: int,
        refusing: WireError | None = None,
        room: int = 0,
        wanted: int = 0,
    ) -> Batch:
        """As `compose`, inside a transaction and not yet encoded."""
        peer, state, now = self.store.peer(name), self.store.lane(name, lane), self.now()
        peer.require_standing()
        epoch, log = self.store.log()
        letters, lost, state = self._going(peer, state, epoch, room or MAX_BATCH)
        if kept := [letter.sequence for letter in letters if letter.withheld]:
            self.store.withhold(name, lane, kept)
        issued, refusals, state = self._receipts(state, epoch, log)
        if refusing:
            refusals = (*refusals, Refused(WHOLE_BATCH, refusing.code, refusing.detail))
        again = state.again
        said = max(state.said + 1, int(now.timestamp() * 1_000_000))
        state = replace(state, said=said, again=False)
        self.store.save_lane(state)
        return Batch(
            standing=Standing(
                sender=self.keys.node,
                receiver=name,
                lane=lane,
                epoch=epoch,
                at=now,
                counter=said,
                sent=self._sent(state, lost),
                high=state.numbered.number,
                lost=lost,
                received=state.received,
                again=again,
                waiting=link.waiting(self.store.lanes(name), peer),
                seen=peer.seen.mark,
                room=wanted,
                version=self.version,
            ),
            letters=letters,
            receipts=issued,
            refusals=refusals,
            cosignature=witness.vouch(peer, self.keys, now),
            **witness.show(epoch, log, peer, self.keys),
        )

    def _accept(self, batch: Batch, letters: Sequence[Incoming], find: FindCard) -> Accepted:
        standing, now = batch.standing, self.now()
        peer = self.store.peer(standing.sender)
        peer.require_standing()
        if standing.epoch < max(peer.seen.epoch, FIRST_EPOCH):
            return self._too_old(peer, standing)
        peer = witness.present(self.store, peer, batch)
        state = self.store.lane(peer.name, standing.lane)
        require_fresh(standing, state.heard, now, patient=peer.patient)
        if witness.proves_rollback(self.store, peer, batch, self.keys):
            self._begin_anew(standing.seen.epoch)
            state = self.store.lane(peer.name, standing.lane)
        epoch, log = self.store.log()
        held, receipted = state.received.number, state.receipted
        if epoch in (FIRST_EPOCH, standing.seen.epoch):  # a first life has no other before it
            intake = Intake(self.keys.node, self.store, self.rng, epoch, log, now)
            state = self._go_on(state, peer, batch, letters, find, intake)
        else:  # said before they knew this life of ours: only their log is of use
            state = link.said_to_another_life(state, standing)
        peer = witness.watch(self.store, peer, batch, self.keys, now)
        peer = witness.witnessed(self.store, peer, batch, epoch, log, self.keys.node)
        self.store.save_log(log)
        self.store.save_lane(state)
        peer = replace(peer, met=True)
        self.store.save_peer(peer, batch, now)
        moved = state.received.number > held or state.receipted > receipted
        ours = link.waiting(self.store.lanes(peer.name), peer)
        return Accepted(peer.name, standing.lane, moved, standing.waiting, ours, standing.room)

    def _too_old(self, peer: Peer, standing: Standing) -> Accepted:
        """Said before they were restored from a backup. Nothing is taken in, but they are told.

        They may not know it: our answer holds their own signature under a later epoch.
        """
        state = self.store.lane(peer.name, standing.lane)
        self.store.save_lane(replace(state, again=True))
        return Accepted(peer.name, standing.lane, moved=False)

    def _go_on(
        self,
        state: Lane,
        peer: Peer,
        batch: Batch,
        letters: Sequence[Incoming],
        find: FindCard,
        intake: Intake,
    ) -> Lane:
        """A lane after one more batch. Raises WireError: it contradicts what we know."""
        standing, receipted = batch.standing, state.receipted
        state = replace(link.met(state, standing), heard=standing.counter)
        if state.receipted < receipted:
            self.store.undo_receipts(state.peer, state.lane, state.receipted)
        if standing.again or batch.refused(WHOLE_BATCH):
            state = replace(state, offered=state.receipted)
        if standing.lane in standing.waiting and not batch.letters and not batch.receipts:
            state = replace(state, again=True)  # it waits to hear where we stand
        self._compare_sent(state, standing)
        state = intake.receipts(state, batch, find)
        state = intake.letters(state, peer, batch, letters)
        self._compare_received(state, standing)
        return state

    def _going(
        self, peer: Peer, state: Lane, epoch: int, room: int
    ) -> tuple[tuple[Letter, ...], Lost, Lane]:
        """The letters to hand over now, and numbers before them that we can never hand over.

        Numbers without a letter of ours were lost when this node was restored from a backup. As a
        rule the neighbour has told us that it holds them (see `link.met`), and we go on behind
        them. Should its disk have been lost since, it must be told to go on likewise.
        """
        limit = link.room(state, peer)
        # A neighbour that was restored may have forgotten this life of ours: it hears of it first.
        known = peer.met and epoch in (FIRST_EPOCH, peer.witnessed.epoch)
        if not (known and state.placed and limit) or state.numbered.number <= state.handed:
            return (), NOTHING_LOST, state
        rows = self.store.letters(peer.name, state.lane, state.handed, limit)
        before = rows[0].sequence - 1 if rows else state.numbered.number
        if before > max(state.handed, state.taken):
            lost = Lost(state.handed + 1, before)
            detail = f"{self.keys.node} {state.lane}: {lost.first}–{lost.last}"
            self.store.alarm(peer.name, LETTERS_LOST, detail, b"")
            going = tuple(rows[:1])
            return going, lost, replace(state, offered=before + 1) if going else state
        if state.handed == state.receipted:
            state = replace(state, receipted=before)
        going = take_what_fits(link.leading(rows), room)
        return going, NOTHING_LOST, replace(state, offered=going[-1].sequence) if going else state

    def _receipts(
        self, state: Lane, epoch: int, log: Log
    ) -> tuple[bytes | None, tuple[Refused, ...], Lane]:
        """Receipts for letters of theirs that we have not answered yet.

        Those that stand side by side in our log come under one signature; others wait their turn.
        """
        if state.received.number <= state.answered:
            return None, (), state
        owed = self.store.owed(state.peer, state.lane, state.answered, MAX_LETTERS)
        if not owed:  # lost with our disk: they go on behind what we say we hold
            return None, (), replace(state, answered=state.received.number)
        place = owed[0].place(0)
        run = [item for step, item in enumerate(owed) if item.place(step) == place]
        of = log if run[0].epoch == epoch else self.store.past_log(run[0].epoch)
        origin = log_name(self.keys.node, run[0].epoch)
        issued = receipts.issue(of, origin, run[0].leaf, len(run), self.keys)
        refusals = tuple(item.refused for item in run if item.refused)
        return issued.encode(), refusals, replace(state, answered=run[-1].sequence)

    def _sent(self, state: Lane, lost: Lost) -> Head:
        """The last letter handed over or given up, with the chain up to it."""
        number = max(state.handed, lost.last)
        if number == state.numbered.number:
            return state.numbered
        marks = self.store.sent(state.peer, state.lane, number, number)
        return Head(number, marks[number].chain) if marks else Head()

    def _compare_sent(self, state: Lane, standing: Standing) -> None:
        """Do they hold the very letters that we have sent? Raises WireError."""
        said = standing.received
        chain = _chain(
            said.number, state.numbered, partial(self.store.sent, state.peer, state.lane)
        )
        link.require_same(said, chain, "ours")

    def _compare_received(self, state: Lane, standing: Standing) -> None:
        """Have we received the very letters that they say they sent? Raises WireError."""
        said = standing.sent
        chain = _chain(
            said.number, state.received, partial(self.store.arrived, state.peer, state.lane)
        )
        link.require_same(said, chain, "theirs")

    def _entry(
        self, event: Event, ends: tuple[str, str], lane: int, it: tuple[int, bytes], at: datetime
    ) -> Entry:
        """An entry of our own log about a letter (number, hash) between two ends of a link."""
        return Entry(event, self.keys.node, *ends, lane, *it, at, self.rng(SALT))


def _chain(
    number: int, head: Head, marks: Callable[[int, int], Mapping[int, Mark]]
) -> bytes | None:
    """The chain up to a letter of a lane that ends with `head`, as far as it is still known."""
    if number == head.number:
        return head.chain
    mark = marks(number, number).get(number)
    return mark.chain if mark else None
