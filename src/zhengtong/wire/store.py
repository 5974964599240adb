"""Where a node's links lie: what the state machine asks of the tables below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from zhengtong.wire.batch import Batch, Letter
from zhengtong.wire.envelope import Opened, Verified
from zhengtong.wire.errors import WireError
from zhengtong.wire.keys import FindCard
from zhengtong.wire.link import Arrived, Held, Incoming, Lane, Mark, Owed, Peer
from zhengtong.wire.log import Log


class Store(Protocol):
    """The tables of one node, read and written inside one of the first two.

    In a transaction `peer`, `lane` and `log` lock what they return until it ends. An unknown name
    raises WireError (not_a_neighbour).
    """

    def transaction(self) -> AbstractContextManager[object]:
        """All or nothing: what was written inside is durable once the block ends well."""

    def reading(self) -> AbstractContextManager[object]:
        """Only reading, without a lock."""

    def names(self) -> Sequence[str]:
        """All neighbours."""

    def neighbours(self) -> FindCard:
        """Looks a neighbour's card up by its signing key."""

    def origins(self, peer: str) -> FindCard:
        """Looks up the cards of the nodes whose letters this neighbour may bring."""

    def received(self, peer: str, lane: int) -> int:
        """The last number of theirs stored here."""

    def peer(self, name: str) -> Peer: ...

    def save_peer(self, peer: Peer, batch: Batch, now: datetime) -> None:
        """Keep what has changed about a neighbour and what its batch states: when it was heard,
        its clock, its version, its signed standing, and whether it refused our last batch."""

    def lane(self, peer: str, lane: int) -> Lane: ...

    def lanes(self, peer: str) -> Sequence[Lane]:
        """All lanes that were ever used; locks nothing."""

    def save_lane(self, lane: Lane) -> None: ...

    def letters(self, peer: str, lane: int, after: int, limit: int) -> list[Letter]:
        """Our numbered letters behind `after`, in order; of one above the peer's ceiling only the
        hash (`Letter.withheld`)."""

    def withhold(self, peer: str, lane: int, numbers: Sequence[int]) -> None:
        """Mark letters of ours as dead because only their hashes are handed over. Should a receipt
        say that one had been delivered before, `hold` takes the mark away."""

    def sent(self, peer: str, lane: int, first: int, last: int) -> Mapping[int, Mark]:
        """The marks of our letters from `first` to `last`, as far as we hold them."""

    def arrived(self, peer: str, lane: int, first: int, last: int) -> Mapping[int, Mark]:
        """The marks of their letters from `first` to `last`."""

    def deliver(self, peer: str, letters: Sequence[Incoming]) -> Mapping[int, WireError]:
        """Hand new letters over to what stands above; why some were refused, by number."""

    def take_bulk(self, peer: str, letter: Opened | Verified, sealed: bytes) -> None:
        """Put aside what is beside a letter, opened or in transit, until this is delivered; outside
        the transaction, perhaps in vain, perhaps again. Raises WireError: refuse this letter."""

    def take(self, peer: str, lane: int, letters: Sequence[Arrived]) -> None:
        """Store new letters under their numbers."""

    def before_restores(self, peer: str, lane: int) -> int:
        """The last number of theirs up to which all were stored before we were ever restored."""

    def owed(self, peer: str, lane: int, after: int, limit: int) -> Sequence[Owed]:
        """Their stored letters behind `after`, in order."""

    def hold(self, peer: str, lane: int, held: Held) -> None:
        """Keep receipts as evidence, and mark the letters that were refused."""

    def undo_receipts(self, peer: str, lane: int, after: int) -> None:
        """Count no receipt that reaches beyond `after` any more, though it stays as evidence.

        A life of the neighbour gave it that a restore has undone: those letters go there again, and
        what becomes of them now, its new receipts say.
        """

    def held_through(self, peer: str, lane: int, number: int) -> int:
        """The last number up to which every letter that we still hold is receipted, and the receipt
        not undone.

        All up to `number` are known to be. A receipt may come before an earlier one's.
        """

    def log(self) -> tuple[int, Log]:
        """Our evidence log: its epoch, and the log itself."""

    def past_log(self, epoch: int) -> Log:
        """A log of an earlier epoch, to be read only."""

    def restart_log(self, epoch: int) -> Log:
        """Begin an empty log under a later epoch."""

    def save_log(self, log: Log) -> None: ...

    def keep_cosignature(self, peer: str, epoch: int, size: int, line: bytes) -> None:
        """Keep a neighbour's line under our own checkpoint as evidence."""

    def alarm(self, peer: str, code: str, detail: str, proof: bytes) -> None:
        """Let people know; `proof` is what the neighbour has signed."""
