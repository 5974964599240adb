"""The rules of one direction of a link, as pure functions of its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from zhengtong.wire.errors import Refusal, WireError

FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(minutes=5)


class Arrival(Enum):
    """What to do with a letter that is not refused."""

    ACCEPT = "accept"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Inbound:
    """The receiving end: every sequence up to `high` is durably stored, none above."""

    high: int = 0

    def accept(
        self,
        sequence: int,
        envelope_hash: bytes,
        known_hash: Callable[[int], bytes | None],
    ) -> tuple[Inbound, Arrival]:
        """The next state and what to do.

        `known_hash` gives the hash stored under an earlier sequence. A repeat of the same
        envelope is a harmless duplicate; another envelope under a used sequence is evidence of
        misbehaviour. Raises WireError: replayed or out_of_order.
        """
        if sequence == self.high + 1:
            return Inbound(sequence), Arrival.ACCEPT
        if sequence > self.high:
            raise WireError(Refusal.OUT_OF_ORDER, f"got {sequence}, expected {self.high + 1}")
        if sequence >= 1 and known_hash(sequence) == envelope_hash:
            return self, Arrival.DUPLICATE
        raise WireError(Refusal.REPLAYED, f"sequence {sequence} held another envelope")


def retry_after(attempt: int, rng: Callable[[], float]) -> timedelta:
    """How long to wait before dial `attempt` + 1, after `attempt` ≥ 1 failures in a row.

    Doubles from one second to five minutes; `rng` in [0, 1) spreads it over the upper half, so
    that neighbours do not return in step. A success resets the count of attempts to zero.
    """
    if attempt < 1:
        return timedelta(0)
    doubled = FIRST_DELAY * (1 << min(attempt - 1, 20))
    return min(doubled, LONGEST_DELAY) * (0.5 + 0.5 * rng())
