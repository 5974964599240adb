"""Writing and reading one volume of a voyage in constant memory; the format stands in ferry.py.

No file is opened here: the writer gives bytes to be appended behind the head, the reader is given
a function that reads bytes at an offset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from zhengtong.wire import cbor
from zhengtong.wire.encrypt import Readers, open_body, seal_body
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.ferry import (
    BLOCK,
    HEAD,
    MAX_FRAME,
    MAX_VOLUME,
    MIN_VOLUME,
    Extent,
    Head,
    read_head,
)
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys
from zhengtong.wire.suite import Rng, Suite

ReadAt = Callable[[int, int], bytes]
"""The bytes of a volume from an offset, so many of them; fewer only where the file ends."""

_FRAME_HEAD = 9


class VolumeWriter:
    """Makes the part of one volume that follows its head: `add` every batch, then `finish`."""

    def __init__(
        self,
        keys: NodeKeys,
        recipients: Sequence[NodeCard],
        voyage: bytes,
        number: int,
        limit: int,
        rng: Rng,
    ) -> None:
        """`limit`: bytes the finished file may have. Raises WireError when no batch could fit."""
        if not MIN_VOLUME <= limit <= MAX_VOLUME:
            raise WireError(
                Refusal.OVERSIZED,
                f"volumes of {limit} bytes; from {MIN_VOLUME} to {MAX_VOLUME} are possible",
            )
        self.voyage, self.number, self.limit = voyage, number, limit
        self._keys, self._readers, self._rng = keys, Readers(recipients, rng), rng
        self._suite: Suite = keys.suite
        self._digests: list[bytes] = []
        self._block = bytearray()
        self._content = self._batches = 0

    def has_room(self, length: int) -> bool:
        """Whether a batch of this length still fits below the limit."""
        content = self._content + length + 512 + 512 * len(self._readers.cards)
        index = (content // BLOCK + 2) * (len(self._suite.hash(b"")) + 2) + 9
        return HEAD + content + index <= self.limit

    def add(self, batch: bytes) -> bytes:
        """The frame of a batch, to be appended to the file."""
        external = _place(self.voyage, self.number, self._batches)
        body = seal_body(batch, external, self._suite, self._readers, self._rng)
        if len(body) > MAX_FRAME:
            raise WireError(Refusal.OVERSIZED, f"frame of {len(body)} bytes")
        frame = cbor.bstr(body)
        self._batches += 1
        self._content += len(frame)
        self._block += frame
        while len(self._block) >= BLOCK:
            self._digests.append(self._suite.hash(bytes(self._block[:BLOCK])))
            del self._block[:BLOCK]
        return frame

    def finish(self) -> tuple[bytes, Extent]:
        """The index, to be appended last, and what the heads of the voyage must say of it."""
        if self._block:
            self._digests.append(self._suite.hash(bytes(self._block)))
            self._block.clear()
        index = cbor.encode(self._digests)
        size = HEAD + self._content + len(index)
        return index, Extent(size, self._content, self._batches, self._suite.hash(index))


class Volume:
    """A volume whose head and index hold; every byte read from it is checked block by block."""

    def __init__(self, read: ReadAt, size: int, head: Head) -> None:
        """`size`: bytes of the file. Raises FerryError: truncated, malformed, bad_signature."""
        self.head, self._read = head, read
        self._suite = head.card.crypto
        extent = head.extent
        if size < extent.size:
            raise head.fault(
                Refusal.TRUNCATED,
                f"{size} bytes of {extent.size}",
                (size, extent.size - 1),
            )
        if size > extent.size:
            raise head.fault(
                Refusal.MALFORMED, f"bytes after the end at {extent.size}", (extent.size, size - 1)
            )
        self._index = self._read_index(extent)
        self._kept: tuple[int, bytes] = (-1, b"")

    def _read_index(self, extent: Extent) -> list[bytes]:
        span = (extent.index_at, extent.size - 1)
        raw = self._read(extent.index_at, extent.size - extent.index_at)
        if self._suite.hash(raw) != extent.digest:
            raise self.head.fault(Refusal.BAD_SIGNATURE, "the index was altered", span)
        index = cbor.decode(raw)
        if type(index) is not list or len(index) != extent.blocks:
            raise self.head.fault(Refusal.MALFORMED, "the index is none", span)
        return index

    def check(self) -> None:
        """Read all of it. Raises FerryError naming the first bytes that are not as they were."""
        for _ in self.pieces():
            pass

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """The whole file from a byte on, a BLOCK at most at a time, checked. Raises FerryError."""
        extent, at = self.head.extent, start
        while at < extent.size:
            if at < HEAD:
                piece = self._read(at, HEAD - at)
            elif at < extent.index_at:
                block, inside = divmod(at - HEAD, BLOCK)
                piece = self._checked(block)[inside:]
            else:
                piece = cbor.encode(self._index)[at - extent.index_at :][:BLOCK]
            if not piece:
                raise self.head.fault(
                    Refusal.TRUNCATED, "the end is missing", (at, extent.size - 1)
                )
            yield piece
            at += len(piece)

    def batches(self, keys: NodeKeys, skip: int = 0) -> Iterator[bytes]:
        """The batches from number `skip` (from 0) on, opened with `keys`. Raises WireError."""
        at, head = 0, self.head
        for place in range(head.extent.batches):
            length, width = self._frame_at(at)
            end = at + width + length
            if place >= skip:
                body = self._content(at + width, length)
                try:
                    yield open_body(body, _place(head.voyage.id, head.volume, place), keys)
                except WireError as error:
                    span = (HEAD + at, HEAD + end - 1)
                    raise head.fault(error.code, error.detail, span) from error
            at = end
        if at != head.extent.content:
            raise head.fault(
                Refusal.MALFORMED, "bytes after the last frame", (HEAD + at, HEAD + at)
            )

    def _frame_at(self, at: int) -> tuple[int, int]:
        """The length of the frame that starts at `at`, and the width of its CBOR head."""
        content = self.head.extent.content
        raw = self._content(at, min(_FRAME_HEAD, content - at))
        width = 1 << (raw[0] & 31) - 24 if raw and raw[0] & 31 in (24, 25, 26) else 0
        length = int.from_bytes(raw[1 : 1 + width], "big") if width else (raw or b"\0")[0] & 31
        # The one shortest encoding is what our own encoder makes of the length.
        if not raw.startswith(cbor.head(2, length)) or not 0 < length <= MAX_FRAME:
            raise self.head.fault(Refusal.MALFORMED, "no frame", (HEAD + at, HEAD + at))
        if at + 1 + width + length > content:
            raise self.head.fault(
                Refusal.TRUNCATED, "a frame without its end", (HEAD + at, HEAD + content - 1)
            )
        return length, 1 + width

    def _content(self, start: int, length: int) -> bytes:
        """Checked bytes of the frames."""
        parts = []
        while length > 0:
            block, inside = divmod(start, BLOCK)
            part = self._checked(block)[inside : inside + length]
            parts.append(part)
            start, length = start + len(part), length - len(part)
        return b"".join(parts)

    def _checked(self, block: int) -> bytes:
        if self._kept[0] != block:
            start = HEAD + block * BLOCK
            length = min(BLOCK, self.head.extent.index_at - start)
            data = self._read(start, length)
            if len(data) != length or self._suite.hash(data) != self._index[block]:
                span = (start, start + length - 1)
                raise self.head.fault(Refusal.BAD_SIGNATURE, "this part was altered", span)
            self._kept = (block, data)
        return self._kept[1]


def open_volume(
    read: ReadAt, size: int, find_card: FindCard, *, receiver: str, ceiling: int
) -> Volume:
    """A volume for `receiver`, its head, size and index verified. Raises WireError."""
    head = read_head(read(0, HEAD), find_card, receiver=receiver, ceiling=ceiling)
    return Volume(read, size, head)


def _place(voyage: bytes, volume: int, place: int) -> bytes:
    """What a frame is bound to."""
    return cbor.encode(["ferry", voyage, volume, place])
