"""Identifiers ordered by time (UUID version 7, RFC 9562 §5.7), so that indexes stay compact."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable

from zhengtong.kernel import moment

RANDOM_BITS = 74
_lock = threading.Lock()
_last = 0


def new_id(entropy: Callable[[int], bytes] = os.urandom) -> uuid.UUID:
    """A fresh identifier: 48 bits of Unix milliseconds, then 74 random bits.

    Those made by one process in the same millisecond rise (§6.2, method 2), so that facts told in
    one breath keep their order.
    """
    global _last
    milliseconds = int(moment.now().timestamp() * 1000)
    chance = int.from_bytes(entropy(10), "big")
    with _lock:
        if _last >> RANDOM_BITS == milliseconds:
            _last += 1 + (chance & 0xFFFFFFFF)
        else:  # the highest random bit stays free for counting up
            _last = milliseconds << RANDOM_BITS | chance >> (80 - RANDOM_BITS + 1)
        head, tail = divmod(_last, 1 << 62)
    time, middle = divmod(head, 1 << 12)
    return uuid.UUID(int=time << 80 | 0x7 << 76 | middle << 64 | 0x2 << 62 | tail)
