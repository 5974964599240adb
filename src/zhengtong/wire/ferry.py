"""The ferry: a voyage of batches for one neighbour, on volumes that a person carries.

A voyage is what one node hands to one neighbour over an air gap: any number of batches (batch.py),
each encrypted for that node, spread over volumes no larger than the medium. Every volume can be
checked by itself, in any order, by whoever knows the sender's card; only the neighbour (or the
recovery key) can read it. This file holds the signed head of a volume; volume.py the rest of it.

A volume is one file, and that file is a CBOR sequence (RFC 8742) in deterministic encoding:

    volume  = head padding* frame+ index
    head    = #6.18(COSE_Sign1)      ; protected: {1: alg, 4: kid, 16: the type FERRY}
    padding = 0                      ; the byte 00, until head and padding fill HEAD = 65536 bytes
    frame   = bstr .cbor #6.96(COSE_Encrypt)    ; one batch, at most MAX_FRAME bytes
    index   = [+ digest]             ; of the blocks of the frames, in order

    statement = {                    ; the payload of the head
      "at": uint,                    ; when the voyage was made: microseconds since 1970 UTC
      "level": 0..5,                 ; the highest level of any letter on board: the mark to bear
      "number": uint,                ; counts the sender's voyages to this receiver, from 1
      "sender": node, "receiver": node,
      "volume": uint,                ; which of the volumes this is, from 1
      "volumes": [1*1000 extent],    ; all volumes of the voyage, the same list in every head
      "voyage": bstr .size 16,       ; unpredictable, names the voyage
    }
    extent = [size: uint, content: uint, batches: uint, digest: bstr]
    digest = bstr                    ; by the hash of the sender's suite

The frames of a volume are `content` bytes long in all and lie in blocks of BLOCK = 1 MiB, the last
one shorter: block k covers the bytes from HEAD + k·BLOCK of the file. `index` holds the digest of
each block; `extent.digest` is the digest of the encoded index; `size` is that of the whole file.
So the head vouches for every byte behind it, and damage is found to the block. As each head names
all volumes by size and digest, a volume that is missing, or comes from elsewhere, shows at once:
what a chain of hashes would show only to someone who holds the volumes in order.

A frame's COSE_Encrypt has as external data the deterministic encoding of
["ferry", voyage, volume, place], `place` counting the frames of the volume from 0: no frame can
be moved. The batches themselves are signed by their sender as on every other road.

A receiver refuses, in this order: a head that is no COSE_Sign1 of this type (unsigned, truncated,
malformed), a key it does not know (unknown_sender), a false signature (bad_signature), a statement
out of bounds (malformed, oversized), a sender other than the signer (bad_signature), a receiver
other than itself (wrong_recipient), a level above its own ceiling or the sender's (above_ceiling),
a file shorter than its extent (truncated) or longer (malformed), an index or a block that does not
give its digest (bad_signature), a frame that is none (malformed) or not sealed for it
(undecryptable). It takes the batches of a voyage in their order: volumes by number, frames by
place. To take one twice does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from zhengtong.wire import cbor, cose
from zhengtong.wire.batch import MAX_BATCH
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import TOP_LEVEL, FindCard, NodeCard, NodeKeys, check_node_id, signer_of

HEAD = 64 * 1024
BLOCK = 1024 * 1024
MAX_VOLUMES = 1000
MAX_VOLUME = 64 * 1024**3
MIN_VOLUME = 16 * 1024**2
"""Holds one batch of any size, so that no batch is spread over two volumes."""
MAX_FRAME = MAX_BATCH + 64 * 1024
MAX_DIGEST = 64
ID = 16
_START = b"\xd2\x84"


class FerryError(WireError):
    """What is wrong with a volume: which one, and which bytes of its file (last one included)."""

    def __init__(
        self,
        code: Refusal,
        what: str,
        *,
        volume: int | None = None,
        of: int | None = None,
        span: tuple[int, int] | None = None,
    ) -> None:
        self.what, self.volume, self.of, self.span = what, volume, of, span
        place = f"volume {volume} of {of}" if volume else ""
        byte_range = f"bytes {span[0]}–{span[1]}" if span else ""
        where = ", ".join(part for part in (place, byte_range) if part)
        super().__init__(code, ": ".join(part for part in (where, what) if part))

    @property
    def zh(self) -> str:
        place = f"第 {self.volume} 卷（共 {self.of} 卷）" if self.volume else ""
        byte_range = f"第 {self.span[0]} 至 {self.span[1]} 字节" if self.span else ""
        where = f"{place}{byte_range}" or f"卷文件（{self.what}）"
        said = self.code.explanation
        remedy = _AGAIN_ZH if self.code in _DAMAGE else said.remedy_zh
        return f"{where}：{said.zh}。{remedy}。"

    @property
    def en(self) -> str:
        said = self.code.explanation
        remedy = _AGAIN_EN if self.code in _DAMAGE else said.remedy_en
        return f"{self.detail}. {said.en}. {remedy}."


_DAMAGE = {Refusal.BAD_SIGNATURE, Refusal.TRUNCATED, Refusal.MALFORMED}
_AGAIN_ZH = "请重新读取这一卷；仍不完好的，请发出方重新写出"
_AGAIN_EN = "Read the volume again; if it stays damaged, have the sender write it anew"


@dataclass(frozen=True)
class Extent:
    """One volume: bytes of its file, bytes of its frames, how many, and the digest of its index."""

    size: int
    content: int
    batches: int
    digest: bytes

    @property
    def blocks(self) -> int:
        return -(-self.content // BLOCK)

    @property
    def index_at(self) -> int:
        """Where in the file the index begins."""
        return HEAD + self.content


@dataclass(frozen=True)
class Voyage:
    """What every head of a voyage says alike."""

    id: bytes
    number: int
    sender: str
    receiver: str
    at: datetime
    level: int
    volumes: tuple[Extent, ...]


@dataclass(frozen=True)
class Head:
    """The verified head of one volume."""

    voyage: Voyage
    volume: int
    card: NodeCard
    """The sender's."""

    @property
    def extent(self) -> Extent:
        return self.voyage.volumes[self.volume - 1]

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.extent.digest)

    def fault(self, code: Refusal, what: str, span: tuple[int, int] | None = None) -> FerryError:
        """An error about this volume."""
        return FerryError(code, what, volume=self.volume, of=len(self.voyage.volumes), span=span)


def fingerprint(digest: bytes) -> str:
    """The first eight bytes of a digest, for people to compare: `3f9a-11c0-8d2e-77b1`."""
    text = digest[:8].hex()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def seal_heads(voyage: Voyage, keys: NodeKeys) -> list[bytes]:
    """The first HEAD bytes of every volume. Raises WireError if a limit is broken."""
    if voyage.sender != keys.node:
        raise WireError(Refusal.MALFORMED, f"voyage of {voyage.sender}, keys of {keys.node}")
    _check(voyage)
    return [_padded(keys.state(cose.FERRY, _statement(voyage, n))) for n in _numbers(voyage)]


def _padded(head: bytes) -> bytes:
    if len(head) > HEAD:
        raise WireError(Refusal.OVERSIZED, f"head of {len(head)} bytes")
    return head.ljust(HEAD, b"\0")


def _statement(voyage: Voyage, volume: int) -> bytes:
    return cbor.encode(
        {
            "voyage": voyage.id,
            "number": voyage.number,
            "sender": voyage.sender,
            "receiver": voyage.receiver,
            "at": to_microseconds(voyage.at),
            "level": voyage.level,
            "volume": volume,
            "volumes": [[e.size, e.content, e.batches, e.digest] for e in voyage.volumes],
        }
    )


def read_head(data: bytes, find_card: FindCard, *, receiver: str, ceiling: int) -> Head:
    """Verify the first HEAD bytes of a volume for `receiver`, a node of this ceiling.

    Raises WireError; one that concerns a volume known by its signature is a FerryError.
    """
    if len(data) < HEAD:
        code = Refusal.TRUNCATED if _START.startswith(data[:2]) else Refusal.MALFORMED
        raise FerryError(code, f"{len(data)} bytes, no head of {HEAD}", span=(len(data), HEAD - 1))
    area = data[:HEAD]
    message = cose.parse(_unpadded(area) if area[:2] == _START else area, cose.FERRY, HEAD)
    card = signer_of(message, find_card)
    fields = Fields(cbor.decode(message.payload), "volume head")
    voyage = Voyage(
        id=fields.octets("voyage", ID),
        number=fields.number("number"),
        sender=check_node_id(fields.text("sender")),
        receiver=check_node_id(fields.text("receiver")),
        at=fields.moment("at"),
        level=fields.number("level", TOP_LEVEL),
        volumes=tuple(map(_read_extent, fields.items("volumes", MAX_VOLUMES))),
    )
    volume = fields.number("volume", MAX_VOLUMES)
    fields.end()
    _check(voyage)
    if not 1 <= volume <= len(voyage.volumes):
        raise FerryError(Refusal.MALFORMED, f"volume {volume} of {len(voyage.volumes)}")
    head = Head(voyage, volume, card)
    if voyage.sender != card.node:
        raise head.fault(Refusal.BAD_SIGNATURE, f"{card.node} signed as {voyage.sender}")
    if voyage.receiver != receiver:
        raise head.fault(Refusal.WRONG_RECIPIENT, f"addressed to {voyage.receiver}")
    if voyage.level > min(ceiling, card.ceiling):
        raise head.fault(Refusal.ABOVE_CEILING, f"level {voyage.level}")
    return head


def _unpadded(area: bytes) -> bytes:
    """The head without its padding; the head's own last byte may be a zero."""
    at = 2
    for step in range(4):
        if step == 1:  # the unprotected header: one byte, checked by cose.parse
            at += 1
        else:
            _, at = cbor.read_bstr(area, at)
    if at > HEAD or any(area[at:]):
        raise FerryError(Refusal.MALFORMED, "padding is not zero", span=(at, HEAD - 1))
    return area[:at]


def _read_extent(item: Any) -> Extent:
    fields = Fields(item, "extent")
    extent = Extent(
        fields.number(0, MAX_VOLUME),
        fields.number(1, MAX_VOLUME),
        fields.number(2),
        fields.octets(3),
    )
    fields.end()
    return extent


def _check(voyage: Voyage) -> None:
    """What holds for every voyage, whoever made it."""
    if len(voyage.id) != ID or voyage.number < 1:
        raise WireError(Refusal.MALFORMED, "voyage: no id or number")
    if not 1 <= len(voyage.volumes) <= MAX_VOLUMES:
        raise WireError(Refusal.OVERSIZED, f"voyage of {len(voyage.volumes)} volumes")
    for number, extent in enumerate(voyage.volumes, 1):
        least = extent.index_at + extent.blocks * len(extent.digest)
        if not extent.content or not extent.batches or not 1 <= len(extent.digest) <= MAX_DIGEST:
            raise WireError(Refusal.MALFORMED, f"extent of volume {number}")
        if extent.size < least:
            raise WireError(Refusal.MALFORMED, f"extent of volume {number}")
        if extent.size > min(MAX_VOLUME, least + extent.blocks * 2 + 9):
            raise WireError(Refusal.OVERSIZED, f"extent of volume {number}")


def _numbers(voyage: Voyage) -> range:
    return range(1, len(voyage.volumes) + 1)


def missing(heads: Iterable[Head]) -> tuple[int, ...]:
    """The volumes of a voyage that are not among these.

    Raises FerryError naming the one that belongs to another voyage, or to another making of this.
    """
    found: dict[int, Head] = {}
    first: Head | None = None
    for head in heads:
        first = first or head
        if head.voyage.id != first.voyage.id:
            raise head.fault(
                Refusal.MALFORMED,
                f"of voyage {head.voyage.id.hex()}, not {first.voyage.id.hex()}",
            )
        if head.voyage != first.voyage:
            raise head.fault(Refusal.REPLAYED, f"voyage {head.voyage.id.hex()} was made twice")
        found[head.volume] = head
    return tuple(n for n in _numbers(first.voyage) if n not in found) if first else ()
