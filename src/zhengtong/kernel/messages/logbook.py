"""Where our evidence log lies: tiles of hashes, and the entries in the blocks they came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cbor2

from zhengtong.kernel.messages.models import LogBlock, LogTile


@dataclass(frozen=True)
class DatabaseTiles:
    """zhengtong.wire.log.Tiles over Django's tables, for the log of one epoch.

    It remembers the tiles it has met: use one for one transaction only.
    """

    epoch: int
    _met: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def read(self, level: int, index: int) -> bytes:
        place = (level, index)
        if place not in self._met:
            rows = LogTile.objects.filter(epoch=self.epoch, level=level, index=index)
            self._met[place] = bytes(rows.values_list("hashes", flat=True).first() or b"")
        return self._met[place]

    def write(self, level: int, index: int, hashes: bytes) -> None:
        self._met[level, index] = hashes
        rows = LogTile.objects.filter(epoch=self.epoch, level=level, index=index)
        if not rows.update(hashes=hashes):
            LogTile.objects.create(epoch=self.epoch, level=level, index=index, hashes=hashes)

    def keep(self, first: int, entries: Sequence[bytes]) -> None:
        LogBlock.objects.create(
            epoch=self.epoch, first=first, count=len(entries), entries=cbor2.dumps(list(entries))
        )

    def entries(self, first: int, count: int) -> list[bytes]:
        """The entries at positions `first`… of the log. Raises ValueError if some are missing."""
        found: list[bytes] = []
        blocks = LogBlock.objects.filter(epoch=self.epoch, first__lt=first + count)
        start = blocks.filter(first__lte=first).order_by("-first").values_list("first", flat=True)
        for block in blocks.filter(first__gte=start[:1]).order_by("first"):
            held = cbor2.loads(bytes(block.entries))
            found += held[max(0, first - block.first) : first + count - block.first]
        if len(found) != count:
            raise ValueError(f"the log holds {len(found)} of {count} entries from {first} on")
        return found
