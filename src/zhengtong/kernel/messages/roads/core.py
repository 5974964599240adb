"""Stand-in until the lane-aware link core lands: its four functions over today's one-lane one.

To be deleted at the merge; the road then imports the same names from `exchange`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from zhengtong.kernel.messages import exchange
from zhengtong.kernel.messages.exchange import Owed
from zhengtong.kernel.messages.models import Neighbour

_lock = threading.Lock()
_owed: dict[str, Owed] = {}
_handed: dict[str, int] = {}


@dataclass(frozen=True)
class Accepted:
    peer: str
    lane: int
    moved: bool


def compose(peer: str, lane: int) -> bytes:
    with _lock:
        data = exchange.compose(peer, _owed.pop(peer, Owed()))
        _handed[peer] = Neighbour.objects.get(name=peer).sealed
        return data


def accept(data: bytes) -> Accepted:
    with _lock:
        peer, owed, batch = exchange.accept(data)
        if owed.numbers:
            before = _owed.get(peer, Owed())
            _owed[peer] = Owed(tuple(sorted({*before.numbers, *owed.numbers})))
        if batch.receipts:
            _handed[peer] = 0  # the next hundred
        return Accepted(peer, 2, bool(batch.letters or batch.receipts))


def to_say(peer: str) -> tuple[int, ...]:
    with _lock:
        link = Neighbour.objects.get(name=peer)
        unsaid = link.sealed > max(link.receipted, _handed.get(peer, 0))
        return (2,) if peer in _owed or unsaid else ()


def rewind(peer: str) -> None:
    with _lock:
        _handed[peer] = 0
