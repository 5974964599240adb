"""Bench row `evidence`: what it costs to log a letter, to prove it and to check the proof.

`ours` is entries appended a second to an evidence log (as tiles in memory, a hundred at a
time), `reference` the bare hashing of the same leaves. `proof_bytes` is an RFC 9942 receipt of one
entry, `verify_ms` the time to judge it offline, `sign_batch_ms` the time to receipt a hundred
entries under one signature. The rounds take turns and the median counts.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench.parts import Row, row
from zhengtong.wire import merkle
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.log import Log
from zhengtong.wire.memory import MemoryTiles
from zhengtong.wire.receipts import SALT, Entry, Event, issue, log_name, single, verify_single

BATCH = 100


def rows(short: bool) -> list[Row]:
    """One row, in the international suite."""
    number, rounds = (20_000, 3) if short else (100_000, 5)
    keys, now = NodeKeys.generate("fugou"), datetime.now(UTC)
    card = NodeCard.issue(
        keys, title="扶沟", zone="private", ceiling=2, url="https://fugou.example", issued_at=now
    )
    entries = [_entry(place, now) for place in range(number)]
    ours, reference = list[float](), list[float]()
    for _ in range(rounds):
        reference.append(number / _seconds(lambda: [merkle.leaf_hash(item) for item in entries]))
        log = Log(MemoryTiles(), 0, merkle.sha256)
        ours.append(number / _seconds(lambda log=log: _append(log, entries)))  # type: ignore[misc]
    first = number - BATCH
    signing = [
        _seconds(lambda: issue(log, log_name("fugou"), first, BATCH, keys)) for _ in range(20)
    ]
    run = issue(log, log_name("fugou"), first, BATCH, keys)
    receipt = single(run, 50, card.crypto)
    find = {card.signing_kid: card}.get
    judging = [_seconds(lambda: verify_single(run.entries[50], receipt, find)) for _ in range(200)]
    appended, hashed = statistics.median(ours), statistics.median(reference)
    return [
        row(
            "evidence",
            appended,
            hashed,
            appended / hashed,
            "entries/s",
            entries=number,
            proof_bytes=len(receipt),
            verify_ms=statistics.median(judging) * 1000,
            sign_batch_ms=statistics.median(signing) * 1000,
        )
    ]


def _append(log: Log, entries: list[bytes]) -> None:
    for start in range(0, len(entries), BATCH):
        log.append(entries[start : start + BATCH])


def _entry(place: int, now: datetime) -> bytes:
    ends = ("fugou", "zhoukou", "fugou")
    digest, salt = os.urandom(32), os.urandom(SALT)
    return Entry(Event.DELIVERED, *ends, 2, place + 1, digest, now, salt).encode()


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
