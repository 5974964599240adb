"""What each end of a link keeps, and the pure rules for it.

A link between two nodes has four lanes (emergency, urgent, normal, bulk). Each is a gap-free
sequence of its own in either direction, so that nothing urgent waits behind anything slow. The
state machine over these values is exchange.py; where they lie is the business of a store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from zhengtong.wire.batch import MAX_LETTERS, Letter, Refused
from zhengtong.wire.envelope import Opened, Verified
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import TOP_LEVEL, NodeCard
from zhengtong.wire.merkle import Hash
from zhengtong.wire.standing import NO_LETTER, NOT_SEEN, Head, Standing, Witnessed

FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(minutes=5)
NOT_PLACED, NOT_HEARD = -1, -2
WINDOW = 400
"""Letters of one lane handed to the road and not yet receipted."""
REMEMBERED = 16
"""Sizes of a peer's log that we keep the roots of, for proofs that set out from an older one."""


@dataclass(frozen=True)
class Lane:
    """One lane of a link, as this end has it.

    `said`, `heard`: newest batch counters of either side; heard −1: this end was restored from a
    backup and the neighbour has not answered since, so it does not know its own numbers; −2: the
    neighbour has begun a new epoch and not yet spoken to this life of ours, so it may hold less.
    `numbered`: the last number we have given. `offered`: the last we have handed to the road since
    it last lost something. `receipted`: all up to there are receipted. `taken`: all up to there
    they say they hold.
    `received`: the last of theirs durably stored here, none missing. `answered`: the last of
    theirs whose receipt we have composed. `announced`: the highest number they say they gave.
    `again`: our road has lost something, which the next batch is to say.
    """

    peer: str
    lane: int
    said: int = 0
    heard: int = 0
    numbered: Head = NO_LETTER
    offered: int = 0
    receipted: int = 0
    taken: int = 0
    received: Head = NO_LETTER
    answered: int = 0
    announced: int = 0
    again: bool = False

    @property
    def placed(self) -> bool:
        """Whether we know which numbers we have given and what they hold, and so may give more."""
        return self.heard >= 0

    @property
    def handed(self) -> int:
        """The last number that need not be handed over now."""
        return max(self.offered, self.receipted)

    @property
    def room(self) -> int:
        """How many letters the next batch may carry."""
        return max(0, min(MAX_LETTERS, WINDOW - (self.handed - self.receipted)))


@dataclass(frozen=True)
class Seen:
    """A neighbour's evidence log as far as we have verified it; epoch 0: not at all yet.

    `roots` are the (size, root) pairs last verified, newest first. `unproven`: since when it has
    been showing more without a proof that this extends the newest of them.
    """

    epoch: int = 0
    roots: tuple[tuple[int, bytes], ...] = ()
    unproven: datetime | None = None

    @property
    def mark(self) -> Witnessed:
        return Witnessed(self.epoch, self.roots[0][0] if self.roots else 0)


NO_LOG = Seen()


@dataclass(frozen=True)
class Peer:
    """What this end knows of a neighbour beside the lanes.

    `met`: the two have exchanged batches since either was set up or restored; nothing is numbered
    before. `former`: cards it had before it changed keys, whose signatures still hold. `patient`:
    its road may take days. `endless`: it takes any number of letters at once. `witnessed`: how far
    it has cosigned our log. `ceiling`: the highest level that may be handed to it.
    `cosigned`: our newest line under its log's checkpoint, as it travels.
    """

    name: str
    card: NodeCard
    suspended: bool = False
    expelled: bool = False
    former: tuple[NodeCard, ...] = ()
    met: bool = False
    patient: bool = False
    endless: bool = False
    seen: Seen = NO_LOG
    witnessed: Witnessed = NOT_SEEN
    cosigned: bytes | None = None
    ceiling: int = TOP_LEVEL

    def require_standing(self) -> None:
        """Raises WireError (expelled, suspended) unless we exchange with this neighbour."""
        if self.expelled:
            raise WireError(Refusal.EXPELLED, self.name)
        if self.suspended:
            raise WireError(Refusal.SUSPENDED, self.name)


@dataclass(frozen=True)
class Mark:
    """A letter's identity in its lane: the hash of its envelope, and the chain up to it."""

    digest: bytes
    chain: bytes


@dataclass(frozen=True)
class Numbered:
    """An envelope of ours with its number, its mark, and its place in our evidence log."""

    sequence: int
    mark: Mark
    epoch: int
    leaf: int


@dataclass(frozen=True)
class Incoming:
    """A letter that has just come: opened, or in transit to another node, or faulty."""

    letter: Letter
    digest: bytes
    opened: Opened | None = None
    transit: Verified | None = None
    error: WireError | None = None


@dataclass(frozen=True)
class Arrived:
    """A letter as it is stored: what came, its chain, its place in our log, and its fate."""

    incoming: Incoming
    chain: bytes
    epoch: int
    leaf: int
    at: datetime
    error: WireError | None


@dataclass(frozen=True)
class Owed:
    """A stored letter of theirs that is to be receipted: its number, its place in our log."""

    sequence: int
    epoch: int
    leaf: int
    refused: Refused | None = None

    def place(self, step: int) -> tuple[int, int, int]:
        """The same for letters that follow one another, in their lane as in our log."""
        return self.epoch, self.leaf - step, self.sequence - step


@dataclass(frozen=True)
class Held:
    """Receipts that a neighbour gave for our letters `first`…`last`; `dead`: those it refused."""

    first: int
    last: int
    at: datetime
    body: bytes
    dead: tuple[Refused, ...]


def restored(state: Lane) -> Lane:
    """A lane as a backup has it: the neighbour may hold more of ours, or may yet receive it."""
    return replace(state, heard=NOT_PLACED, offered=state.receipted, again=True)


def restored_there(state: Lane, before: int) -> Lane:
    """The neighbour begins a new epoch: its counters begin anew, numbers it gave last are void.

    What we have taken behind number `before`, since we were restored ourselves, is receipted once
    more: its backup may hold receipts of a life of ours that was undone, and we may have refused
    since what we took then.
    """
    heard, answered = min(state.heard, 0), min(state.answered, before)
    return replace(state, heard=heard, announced=state.received.number, answered=answered)


def said_to_another_life(state: Lane, standing: Standing) -> Lane:
    """A lane after a word that does not name our present epoch.

    Of what it states nothing is taken in. If it is their first here since they were restored, they
    may think that all is said: so we ask until they have spoken to this life. What a road has lost
    they may ask for in any case.
    """
    heard = state.heard or NOT_HEARD
    offered = state.receipted if standing.again else state.offered
    return replace(state, again=True, heard=heard, offered=offered)


def extended(head: Head, digest: bytes, hash: Hash) -> Head:
    """The head after one more letter: its chain commits to every letter so far, in order."""
    return Head(head.number + 1, hash(b"\x02" + head.chain + digest))


def require_next(received: int, sequence: int, digest: bytes, known: Mark | None) -> bool:
    """Whether a letter is new; False for a harmless repeat. Raises WireError.

    Another envelope under a used number is evidence of misbehaviour: sequence_mismatch. A number
    that leaves a gap is out_of_order.
    """
    if sequence == received + 1:
        return True
    if sequence > received:
        raise WireError(Refusal.OUT_OF_ORDER, f"got {sequence}, expected {received + 1}")
    if known is not None and known.digest == digest:
        return False
    raise WireError(Refusal.SEQUENCE_MISMATCH, f"{sequence} held another envelope")


def require_same(said: Head, chain: bytes | None, whose: str) -> None:
    """Does the neighbour sign the chain that we have at this number, if we still have it?

    Raises WireError (sequence_mismatch): one of the two has been given another letter.
    """
    if said.number and chain is not None and chain != said.chain:
        raise WireError(Refusal.SEQUENCE_MISMATCH, f"{whose}: {said.number} is another letter")


def room(state: Lane, peer: Peer) -> int:
    """How many letters the next batch may carry."""
    return MAX_LETTERS if peer.endless else state.room


def met(state: Lane, standing: Standing) -> Lane:
    """Go on from where the neighbour stands, should either side have been restored from a backup.

    A neighbour that holds fewer of our letters than it once receipted has lost them with its disk:
    they are sent again. One that holds more than we have numbered got them before our own disk was
    lost: those numbers are spent. Raises WireError if we know that we never gave them.

    What it says was composed in answer to our present epoch, so nothing of an earlier one that is
    still on the road can reach it any more: this is where the lane stands, for good.
    """
    number = standing.received.number
    if number > state.numbered.number:
        if state.heard != NOT_PLACED:
            raise WireError(
                Refusal.SEQUENCE_MISMATCH, f"holds {number}, we gave {state.numbered.number}"
            )
        state = replace(state, numbered=standing.received)
    if number < state.receipted:
        state = replace(state, receipted=number, offered=number)
    return replace(state, taken=number, announced=max(state.announced, standing.high))


def waiting(lanes: Iterable[Lane], peer: Peer) -> tuple[int, ...]:
    """The lanes in which there is something to hand over now, most urgent first."""
    return tuple(
        sorted(
            state.lane
            for state in lanes
            if state.again
            or not (state.placed and peer.met)
            or state.received.number > state.answered
            or (room(state, peer) and state.numbered.number > state.handed)
        )
    )


def leading(letters: list[Letter]) -> list[Letter]:
    """The first letters that follow one another without a gap.

    Numbers without a letter of ours were lost when this node was restored from a backup. The
    neighbour has told us that it holds them, so the sequence goes on behind them.
    """
    return [
        letter
        for place, letter in enumerate(letters)
        if letter.sequence == letters[0].sequence + place
    ]


def fruitless_after(before: int, *, moved: bool, asked: bool, last: bool) -> int:
    """How many turns in a row have brought nothing new though there was more to say.

    A turn after which there was no more to say ends the row, if it is the `last` under way: the
    answer to the one behind it may ask for everything again.
    """
    if moved or (last and not asked):
        return 0
    return before + asked


def pause_after(fruitless: int, rng: Callable[[], float]) -> timedelta:
    """How long to wait after so many turns in a row that brought nothing new.

    A window of repeats may be fruitless in good order; a neighbour that asks for more is dialled
    like one that cannot be reached.
    """
    return retry_after(fruitless - WINDOW, rng)


def retry_after(attempt: int, rng: Callable[[], float]) -> timedelta:
    """How long to wait before dial `attempt` + 1, after `attempt` ≥ 1 failures in a row.

    Doubles from one second to five minutes; `rng` in [0, 1) spreads it over the upper half, so
    that neighbours do not return in step. A success resets the count of attempts to zero.
    """
    if attempt < 1:
        return timedelta(0)
    doubled = FIRST_DELAY * (1 << min(attempt - 1, 20))
    return min(doubled, LONGEST_DELAY) * (0.5 + 0.5 * rng())
