"""The state machine of a node's links: number what is sealed, compose batches, accept batches.

No transport is known here. A road may lose, repeat, delay or reorder batches: whatever has no
receipt is offered again once the road is known to have lost something, what comes twice is
recognised, and every batch carries both ends' chains over all letters of its lane, so that whatever
was withheld, altered or reordered shows at the next batch that arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from zhengtong.wire import link, receipts, witness
from zhengtong.wire.batch import (
    LANES,
    MAX_BATCH,
    MAX_LETTERS,
    Batch,
    Head,
    Letter,
    Refused,
    Standing,
    decode_batch,
    encode_batch,
    require_fresh,
    take_what_fits,
)
from zhengtong.wire.beside import Read
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import FindCard, NodeKeys
from zhengtong.wire.link import Arrived, Held, Incoming, Lane, Mark, Numbered, Peer
from zhengtong.wire.log import Log
from zhengtong.wire.opening import open_letters
from zhengtong.wire.receipts import SALT, Entry, Event, log_name
from zhengtong.wire.store import Store
from zhengtong.wire.suite import Rng

WHOLE_BATCH = 0
"""Stands in a batch's refusals for the number of a letter: the whole last batch was refused."""
CONTRADICTIONS = (Refusal.SEQUENCE_MISMATCH, Refusal.FORKED_LOG)


@dataclass(frozen=True)
class Accepted:
    """Whom a batch came from, in which lane, and whether it moved anything.

    `waiting`: the lanes in which they have more to say; `room`: what they can take at once.
    """

    peer: str
    lane: int
    moved: bool
    waiting: tuple[int, ...] = ()
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

    def begin_anew(self, peers: Sequence[str]) -> None:
        """Go on after this node was restored from a backup, before anything else is done.

        The log is begun anew, under a name that no earlier restore has used, because neighbours
        may have seen more of the old one; and no lane is numbered before it was heard again.
        """
        now = self.now()
        with self.store.transaction():
            epoch, _ = self.store.log()
            self.store.restart_log(max(epoch + 1, int(now.timestamp()) // 60))
            for peer in peers:
                for lane in range(LANES):
                    self.store.save_lane(link.restored(self.store.lane(peer, lane), now))

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
            return self._compose(peer, lane, why, room or MAX_BATCH, wanted)

    def accept(self, data: bytes, beside: Read | None = None) -> Accepted:
        """Take in a batch from any neighbour, all or nothing, in one transaction.

        Raises WireError when the batch as a whole is refused; a single bad letter is refused by
        itself, with its number, and the others are taken. What contradicts something the peer has
        signed before is kept as an alarm, with the batch as its proof. `beside` reads what follows.
        """
        with self.store.reading():
            find = self.store.neighbours()
        batch = decode_batch(data, find, receiver=self.keys.node, beside=beside)
        letters = self._opened(batch)
        try:
            with self.store.transaction():
                return self._accept(batch, letters, find)
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

    def _opened(self, batch: Batch) -> list[Incoming]:
        """The letters of a batch, opened. It takes long and needs no lock."""
        if not batch.letters:
            return []
        sender = batch.standing.sender
        with self.store.reading():
            known = self.store.received(sender, batch.standing.lane)
            card, find = self.store.peer(sender).card, self.store.origins(sender)
        end = (self.keys, self.ceiling, self.store.take_bulk)
        return open_letters(batch.letters, known, card, find, *end)

    def _compose(
        self, name: str, lane: int, refusing: WireError | None, room: int, wanted: int
    ) -> Batch:
        peer, state, now = self.store.peer(name), self.store.lane(name, lane), self.now()
        peer.require_standing()
        epoch, log = self.store.log()
        letters, state = self._going(peer, state, room)
        issued, refusals, state = self._receipts(state, epoch, log)
        if refusing:
            refusals = (*refusals, Refused(WHOLE_BATCH, refusing.code, refusing.detail))
        again = state.again
        said = max(state.said + 1, int(now.timestamp() * 1_000_000))
        state = replace(state, said=said, again=False)
        self.store.save_lane(state)
        others = [other for other in self.store.lanes(name) if other.lane != lane]
        return Batch(
            standing=Standing(
                sender=self.keys.node,
                receiver=name,
                lane=lane,
                at=now,
                counter=said,
                sent=self._sent(state),
                high=state.numbered.number,
                received=state.received,
                again=again,
                waiting=link.waiting([*others, state], peer),
                seen=peer.seen.mark,
                room=wanted,
                version=self.version,
            ),
            letters=letters,
            receipts=issued,
            refusals=refusals,
            cosignature=peer.cosigned,
            **witness.show(epoch, log, peer, self.keys),
        )

    def _accept(self, batch: Batch, letters: Sequence[Incoming], find: FindCard) -> Accepted:
        standing, now = batch.standing, self.now()
        peer = self.store.peer(standing.sender)
        peer.require_standing()
        state = self.store.lane(peer.name, standing.lane)
        require_fresh(standing, abs(state.heard), now, patient=peer.patient)
        epoch, log = witness.own_log(self.store, self.keys.node, standing)
        state = replace(link.met(state, standing), heard=standing.counter)
        if standing.again or _refused(batch, WHOLE_BATCH):
            state = replace(state, offered=state.receipted)
        if standing.lane in standing.waiting and not batch.letters and not batch.receipts:
            state = replace(state, again=True)  # restored, and waits to hear where we stand
        self._compare_sent(state, standing)
        state = self._take_receipts(state, batch, find)
        state = self._take_letters(state, peer, letters, epoch, log, now)
        self._compare_received(state, standing)
        peer = witness.watch(self.store, peer, batch, self.keys, now)
        peer = witness.witnessed(self.store, peer, batch, epoch, log, self.keys.node)
        self.store.save_log(log)
        self.store.save_lane(state)
        self.store.save_peer(replace(peer, met=True), batch, now)
        moved = bool(batch.letters or batch.receipts)
        return Accepted(peer.name, standing.lane, moved, standing.waiting, standing.room)

    def _going(self, peer: Peer, state: Lane, room: int) -> tuple[tuple[Letter, ...], Lane]:
        """The letters to hand over now.

        Numbers without a letter of ours were lost when this node was restored from a backup. The
        neighbour has told us that it holds them (see `link.met`), so we go on behind them.
        """
        limit = link.room(state, peer)
        if not peer.met or state.numbered.number <= state.handed or not limit:
            return (), state
        rows = self.store.letters(peer.name, state.lane, state.handed, limit)
        if state.handed == state.receipted:
            before = rows[0].sequence - 1 if rows else state.numbered.number
            state = replace(state, receipted=before)
        going = take_what_fits(link.leading(rows), room)
        return going, replace(state, offered=going[-1].sequence) if going else state

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
        place = (owed[0].epoch, owed[0].leaf)
        run = [item for step, item in enumerate(owed) if (item.epoch, item.leaf - step) == place]
        of = log if run[0].epoch == epoch else self.store.past_log(run[0].epoch)
        origin = log_name(self.keys.node, run[0].epoch)
        issued = receipts.issue(of, origin, run[0].leaf, len(run), self.keys)
        refusals = tuple(item.refused for item in run if item.refused)
        return issued.encode(), refusals, replace(state, answered=run[-1].sequence)

    def _sent(self, state: Lane) -> Head:
        """The last letter handed over, with the chain up to it."""
        if state.handed == state.numbered.number:
            return state.numbered
        marks = self.store.sent(state.peer, state.lane, state.handed, state.handed)
        return Head(state.handed, marks[state.handed].chain) if marks else Head()

    def _compare_sent(self, state: Lane, standing: Standing) -> None:
        """Do they hold the very letters that we have sent? Raises WireError."""
        number = standing.received.number
        mark = self.store.sent(state.peer, state.lane, number, number).get(number)
        link.require_same(standing.received, mark.chain if mark else None, "ours")

    def _compare_received(self, state: Lane, standing: Standing) -> None:
        """Have we received the very letters that they say they sent? Raises WireError."""
        number = standing.sent.number
        if number == state.received.number:
            chain: bytes | None = state.received.chain
        else:
            mark = self.store.arrived(state.peer, state.lane, number, number).get(number)
            chain = mark.chain if mark else None
        link.require_same(standing.sent, chain, "theirs")

    def _take_receipts(self, state: Lane, batch: Batch, find: FindCard) -> Lane:
        """Keep receipts that name the very envelopes we sent. Raises WireError."""
        if batch.receipts is None:
            return state
        card, entries = receipts.verify(batch.receipts, find)
        first, last = receipts.require_run(card, entries, self.keys.node, state.peer, state.lane)
        if last <= state.receipted:
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
        dead = tuple(
            _refused(batch, entry.sequence) or Refused(entry.sequence, Refusal.MALFORMED, "")
            for entry in entries
            if entry.event is Event.DEAD
        )
        newest = max(entry.at for entry in entries)
        self.store.hold(state.peer, state.lane, Held(first, last, newest, batch.receipts, dead))
        through = self.store.held_through(state.peer, state.lane, state.receipted)
        return replace(state, receipted=through, offered=max(state.offered, through))

    def _take_letters(
        self,
        state: Lane,
        peer: Peer,
        letters: Sequence[Incoming],
        epoch: int,
        log: Log,
        now: datetime,
    ) -> Lane:
        """Store new letters, recognise repeats, refuse bad ones. Raises WireError.

        What lies behind a gap is left, and asked for again: refusing the batch would keep from the
        neighbour that we hold less than it thinks, should this node have been restored. A voyage
        is refused whole: it waits for the one before it.
        """
        if not letters:
            return state
        first, last = letters[0].letter.sequence, letters[-1].letter.sequence
        known = self.store.arrived(state.peer, state.lane, first, last)
        head, fresh, heads = state.received, list[Incoming](), list[Head]()
        for incoming in letters:
            number, digest = incoming.letter.sequence, incoming.digest
            if number > head.number + 1 and not peer.endless:
                state = replace(state, again=True)
                break
            # A reused number is a fault of the link, not of one letter.
            if link.require_next(head.number, number, digest, known.get(number)):
                head = link.extended(head, digest, peer.card.crypto.hash)
                fresh.append(incoming)
                heads.append(head)
        if fresh:
            self._keep(state, fresh, heads, epoch, log, now)
        # A repeat means that they lack its receipt.
        return replace(state, received=head, answered=min(state.answered, first - 1))

    def _keep(
        self,
        state: Lane,
        fresh: Sequence[Incoming],
        heads: Sequence[Head],
        epoch: int,
        log: Log,
        now: datetime,
    ) -> None:
        """Deliver new letters, log what became of each, and store them."""
        good = [item for item in fresh if item.error is None]
        errors = dict(self.store.deliver(state.peer, good))
        errors |= {item.letter.sequence: item.error for item in fresh if item.error}
        entries = [
            self._entry(
                Event.DEAD if item.letter.sequence in errors else Event.DELIVERED,
                (state.peer, self.keys.node),
                state.lane,
                (item.letter.sequence, item.digest),
                now,
            ).encode()
            for item in fresh
        ]
        leaf = log.append(entries)
        self.store.take(
            state.peer,
            state.lane,
            [
                Arrived(
                    item, head.chain, epoch, leaf + place, now, errors.get(item.letter.sequence)
                )
                for place, (item, head) in enumerate(zip(fresh, heads, strict=True))
            ],
        )

    def _entry(
        self, event: Event, ends: tuple[str, str], lane: int, it: tuple[int, bytes], at: datetime
    ) -> Entry:
        """An entry of our own log about a letter (number, hash) between two ends of a link."""
        return Entry(event, self.keys.node, *ends, lane, *it, at, self.rng(SALT))


def _refused(batch: Batch, number: int) -> Refused | None:
    return next((item for item in batch.refusals if item.sequence == number), None)
