"""Identifiers ordered by time (UUID version 7, RFC 9562 §5.7), so that indexes stay compact."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable

from zhengtong.kernel import moment


def new_id(entropy: Callable[[int], bytes] = os.urandom) -> uuid.UUID:
    """A fresh identifier: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = int(moment.now().timestamp() * 1000)
    number = (milliseconds << 80) | int.from_bytes(entropy(10), "big")
    number = (number & ~(0xF << 76)) | (0x7 << 76)
    number = (number & ~(0x3 << 62)) | (0x2 << 62)
    return uuid.UUID(int=number)
