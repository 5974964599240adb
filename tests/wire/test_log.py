"""The log in tiles is the tree of RFC 6962, however it grew."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.wire import merkle
from zhengtong.wire.log import TILE, Log
from zhengtong.wire.memory import MemoryTiles


def entry(number: int) -> bytes:
    return f"entry {number}".encode()


def grown(*steps: int) -> Log:
    """A log that grew by so many entries at a time."""
    log, number = Log(MemoryTiles(), 0, merkle.sha256), 0
    for step in steps:
        assert log.append([entry(number + at) for at in range(step)]) == number
        number += step
    return log


def leaves(size: int) -> list[bytes]:
    return [merkle.leaf_hash(entry(number)) for number in range(size)]


@given(st.lists(st.integers(0, 400), max_size=6))
@settings(deadline=None, max_examples=30)
def test_however_it_grew_its_root_is_that_of_all_entries(steps: list[int]) -> None:
    log = grown(*steps)
    assert log.size == sum(steps)
    assert log.root() == merkle.root(leaves(sum(steps)))


@pytest.mark.parametrize("size", [1, 2, 3, TILE - 1, TILE, TILE + 1, 700, 2 * TILE * TILE // 97])
def test_every_earlier_root_and_every_proof_can_still_be_read(size: int) -> None:
    log, all_leaves = grown(size), leaves(size)
    olds = sorted({1, size // 3 or 1, size // 2 or 1, size - 1 or 1, size})
    for old in olds:
        assert log.root(old) == merkle.root(all_leaves[:old])
        proof = log.consistency(old, size)
        assert merkle.verify_consistency(old, size, log.root(old), log.root(), proof)
        path = log.inclusion(old - 1, size)
        assert merkle.verify_inclusion(all_leaves[old - 1], old - 1, size, path, log.root())
        assert log.entries(old - 1, 1) == [entry(old - 1)]


def test_a_log_three_tiles_high_agrees_with_a_plain_tree() -> None:
    size = TILE * TILE + 3
    log, tree = Log(MemoryTiles(), 0, merkle.sha256), merkle.Tree()
    for start in range(0, size, 5000):
        step = [entry(number) for number in range(start, min(start + 5000, size))]
        log.append(step)
        for one in step:
            tree.append(merkle.leaf_hash(one))
    assert log.root() == tree.root()
    assert log.peaks(size) == tree.peaks


def test_it_goes_on_from_its_tiles_alone() -> None:
    """As after a restart: nothing but the tiles and the size is known."""
    before = grown(300)
    after = Log(before.tiles, 300, merkle.sha256)
    after.append([entry(300)])
    assert after.root() == merkle.root(leaves(301))


def test_a_size_it_never_had_is_refused() -> None:
    with pytest.raises(ValueError, match="no size 4"):
        grown(3).root(4)


def test_the_hash_is_the_suites() -> None:
    def sha512(data: bytes) -> bytes:
        return hashlib.sha512(data).digest()

    log = Log(MemoryTiles(), 0, sha512)
    log.append([entry(0), entry(1), entry(2)])
    each = [merkle.leaf_hash(entry(number), sha512) for number in range(3)]
    assert log.root() == merkle.root(each, sha512)
