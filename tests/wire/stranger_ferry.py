"""The stranger reads a volume of the ferry (docs/protocol.md §17.3)."""

from __future__ import annotations

from typing import Any

import cbor2

from tests.wire.stranger import Cards, decode, encode, h, need, opened, sequence, sign1, signer

HEAD, BLOCK = 65_536, 1_048_576


def volume(data: bytes, cards: Cards, receiver: str) -> tuple[dict[str, Any], list[bytes]]:
    """What the head says, and the sealed frames; everything that needs no key is verified."""
    head = data[: _end_of_head(data)]
    need(not any(data[len(head) : HEAD]), "padding")
    by = signer(head, "ferry", cards)
    said: dict[str, Any] = decode(sign1(head, "ferry")[2])
    names = "at level number receiver sender volume volumes voyage"
    need(sorted(said) == names.split() and len(said["voyage"]) == 16)
    need(said["sender"] == by["node"] and said["receiver"] == receiver)
    need(said["level"] <= by["ceiling"] and said["number"] >= 1)
    size, content, batches, digest = said["volumes"][said["volume"] - 1]
    frames, index = data[HEAD : HEAD + content], data[HEAD + content :]
    need(len(data) == size and h(index) == digest)
    blocks = [frames[at : at + BLOCK] for at in range(0, content, BLOCK)]
    need(decode(index) == [h(block) for block in blocks])
    sealed = sequence(frames)
    need(len(sealed) == batches)
    return said, sealed


def batch(said: dict[str, Any], place: int, sealed: bytes, secret: bytes, kid: bytes) -> bytes:
    outer = encode(["ferry", said["voyage"], said["volume"], place])
    return opened(sealed, outer, secret, kid)


def _end_of_head(data: bytes) -> int:
    """The head is its own measure: what it decodes to, encoded again."""
    need(data[:2] == b"\xd2\x84")
    return len(encode(cbor2.loads(data[:HEAD])))
