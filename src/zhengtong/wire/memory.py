"""A log's tiles in memory: for simulations, tools and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class MemoryTiles:
    """zhengtong.wire.log.Tiles in a dictionary and a list."""

    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)

    def read(self, level: int, index: int) -> bytes:
        return self.tiles.get((level, index), b"")

    def write(self, level: int, index: int, hashes: bytes) -> None:
        self.tiles[level, index] = hashes

    def keep(self, first: int, entries: Sequence[bytes]) -> None:
        self.kept[first:] = entries

    def entries(self, first: int, count: int) -> list[bytes]:
        return self.kept[first : first + count]
