"""What a batch brings, taken in: receipts for letters of ours, new letters of theirs, lost ones.

Every letter is logged before it is receipted, and takes its number whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from zhengtong.wire import link, receipts
from zhengtong.wire.batch import Batch, Refused
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import FindCard
from zhengtong.wire.link import Arrived, Held, Incoming, Lane, Peer
from zhengtong.wire.log import Log
from zhengtong.wire.receipts import SALT, Entry, Event
from zhengtong.wire.standing import Head
from zhengtong.wire.store import Store
from zhengtong.wire.suite import Rng

LETTERS_LOST = "letters_lost"


@dataclass(frozen=True)
class Intake:
    """One batch being taken in at this moment by this node, whose log of this epoch grows."""

    node: str
    store: Store
    rng: Rng
    epoch: int
    log: Log
    now: datetime

    def receipts(self, state: Lane, batch: Batch, find: FindCard) -> Lane:
        """Keep receipts that name the very envelopes we sent. Raises WireError."""
        if batch.receipts is None:
            return state
        card, entries = receipts.verify(batch.receipts, find)
        first, last = receipts.require_run(card, entries, self.node, state.peer, state.lane)
        dead = tuple(
            batch.refused(entry.sequence) or Refused(entry.sequence, Refusal.MALFORMED, "")
            for entry in entries
            if entry.event is not Event.DELIVERED
        )
        if last <= state.receipted and not dead:
            return state
        marks = self.store.sent(state.peer, state.lane, first, last)
        for entry in entries:
            mark = marks.get(entry.sequence)
            if entry.sequence > state.numbered.number or (
                mark is not None and mark.digest != entry.envelope_hash
            ):
                raise WireError(
                    Refusal.SEQUENCE_MISMATCH, f"receipt {entry.sequence} names another envelope"
                )
        newest = max(entry.at for entry in entries)
        self.store.hold(state.peer, state.lane, Held(first, last, newest, batch.receipts, dead))
        through = self.store.held_through(state.peer, state.lane, state.receipted)
        return replace(state, receipted=through, offered=max(state.offered, through))

    def letters(self, state: Lane, peer: Peer, batch: Batch, letters: Sequence[Incoming]) -> Lane:
        """Store new letters, recognise repeats, refuse bad ones. Raises WireError.

        What lies behind a gap is left, and asked for again: refusing the batch would keep from the
        neighbour that we hold less than it thinks, should this node have been restored. A voyage
        is refused whole: it waits for the one before it.
        """
        state, behind_lost = self._passed_over(state, batch)
        if not letters:
            return state
        first, last = letters[0].letter.sequence, letters[-1].letter.sequence
        repeats = first <= state.received.number
        known = self.store.arrived(state.peer, state.lane, first, last) if repeats else {}
        head, fresh, heads = state.received, list[Incoming](), list[Head]()
        for incoming in letters:
            number, digest = incoming.letter.sequence, incoming.digest
            if number > head.number + 1 and not peer.endless:
                state = replace(state, again=True)
                break
            # A reused number is a fault of the link, not of one letter.
            if link.require_next(head.number, number, digest, known.get(number)):
                head = link.extended(head, digest, peer.card.crypto.hash)
                head = batch.standing.sent if behind_lost else head
                fresh.append(incoming)
                heads.append(head)
        if fresh:
            self._keep(state, fresh, heads)
        # A repeat means that they lack its receipt.
        return replace(state, received=head, answered=min(state.answered, first - 1))

    def _passed_over(self, state: Lane, batch: Batch) -> tuple[Lane, bool]:
        """Go on behind letters that both ends have lost with their disks, and let people know.

        The neighbour has signed that it cannot hand them over, and the chain from where it goes on.
        """
        lost, held = batch.standing.lost, state.received.number
        if not lost.first <= held + 1 <= lost.last:
            return state, False
        detail = f"{state.peer} {state.lane}: {held + 1}–{lost.last}"
        self.store.alarm(state.peer, LETTERS_LOST, detail, batch.signed)
        if not batch.letters:
            return replace(state, received=batch.standing.sent), False
        return replace(state, received=Head(lost.last)), True

    def _keep(self, state: Lane, fresh: Sequence[Incoming], heads: Sequence[Head]) -> None:
        """Deliver new letters, log what became of each, and store them."""
        good = [item for item in fresh if item.error is None]
        errors = dict(self.store.deliver(state.peer, good))
        errors |= {item.letter.sequence: item.error for item in fresh if item.error}
        entries = [
            Entry(
                _event(item, errors),
                self.node,
                state.peer,
                self.node,
                state.lane,
                item.letter.sequence,
                item.digest,
                self.now,
                self.rng(SALT),
            ).encode()
            for item in fresh
        ]
        leaf = self.log.append(entries)
        arrived = [
            Arrived(item, head.chain, self.epoch, leaf + place, self.now, error)
            for place, (item, head) in enumerate(zip(fresh, heads, strict=True))
            for error in [errors.get(item.letter.sequence)]
        ]
        self.store.take(state.peer, state.lane, arrived)


def _event(item: Incoming, errors: Mapping[int, WireError]) -> Event:
    if item.letter.withheld:
        return Event.WITHHELD
    return Event.DEAD if item.letter.sequence in errors else Event.DELIVERED
