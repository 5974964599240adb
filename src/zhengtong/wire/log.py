"""A node's evidence log, kept as tiles: append, roots and proofs of any size it ever had.

A tile holds 256 neighbouring hashes of one height, as in C2SP tlog-tiles: level 0 the leaves,
level 1 the roots of full level-0 tiles, and so on. Appending a hundred entries touches one or two
tiles, and every proof is read from a handful of them, however long the log has grown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zhengtong.wire import merkle
from zhengtong.wire.merkle import Hash

HEIGHT = 8
TILE = 1 << HEIGHT


class Tiles(Protocol):
    """Where a log's tiles and entries lie; written inside the caller's transaction."""

    def read(self, level: int, index: int) -> bytes:
        """The hashes of a tile one after another; fewer than 256 if it is the last."""

    def write(self, level: int, index: int, hashes: bytes) -> None: ...

    def keep(self, first: int, entries: Sequence[bytes]) -> None:
        """Store the entries themselves; the first has position `first`."""

    def entries(self, first: int, count: int) -> list[bytes]: ...


class Log:
    """The log of `size` entries that stand in `tiles`."""

    def __init__(self, tiles: Tiles, size: int, hash: Hash) -> None:
        self.tiles, self.size, self._hash = tiles, size, hash
        self._width = len(hash(b""))

    def append(self, entries: Sequence[bytes]) -> int:
        """Add entries; the position of the first."""
        first = self.size
        if entries:
            self.tiles.keep(first, entries)
            self._push(0, [merkle.leaf_hash(entry, self._hash) for entry in entries])
            self.size += len(entries)
        return first

    def entries(self, first: int, count: int) -> list[bytes]:
        return self.tiles.entries(first, count)

    def peaks(self, size: int) -> list[bytes]:
        """The roots of the complete subtrees of the first `size` entries, largest first."""
        if not 0 <= size <= self.size:
            raise ValueError(f"a log of {self.size} has no size {size}")
        found, start = [], 0
        for level in range(size.bit_length() - 1, -1, -1):
            if size >> level & 1:
                found.append(self._node_at(level, start >> level))
                start += 1 << level
        return found

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` entries, by default over all."""
        size = self.size if size is None else size
        return merkle.Tree(size, self.peaks(size), self._hash).root()

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(self._node_at, index, size, self._hash)

    def consistency(self, old: int, size: int) -> list[bytes]:
        return merkle.consistency_proof(self._node_at, old, size, self._hash)

    def _push(self, level: int, hashes: list[bytes]) -> None:
        """Add hashes at one tile level; the roots of tiles that filled go one level up."""
        at, filled = self.size >> (HEIGHT * level), list[bytes]()
        while hashes:
            tile, offset = divmod(at, TILE)
            part, hashes = hashes[: TILE - offset], hashes[TILE - offset :]
            before = self.tiles.read(level, tile) if offset else b""
            whole = before + b"".join(part)
            self.tiles.write(level, tile, whole)
            at += len(part)
            if offset + len(part) == TILE:
                filled.append(merkle.root(self._split(whole), self._hash))
        if filled:
            self._push(level + 1, filled)

    def _node_at(self, level: int, index: int) -> bytes:
        """The root of a complete subtree: the part of a tile above which it stands."""
        tile_level, rest = divmod(level, HEIGHT)
        width = 1 << rest
        tile, offset = divmod(index << rest, TILE)
        hashes = self._split(self.tiles.read(tile_level, tile))[offset : offset + width]
        if len(hashes) < width:
            raise ValueError(f"the log has no subtree {index} at level {level}")
        return merkle.root(hashes, self._hash)

    def _split(self, hashes: bytes) -> list[bytes]:
        width = self._width
        return [hashes[at : at + width] for at in range(0, len(hashes), width)]
