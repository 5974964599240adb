"""Verifying and opening the letters of a batch, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from zhengtong.wire.batch import Letter
from zhengtong.wire.bulk import require_bulk
from zhengtong.wire.envelope import Opened, Verified, open_verified, verify_envelope
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys
from zhengtong.wire.link import Incoming

TakeBulk = Callable[[Opened | Verified, bytes], None]
"""Takes what is beside a letter, opened or in transit, still sealed. Raises WireError: refuse."""


def open_letters(
    letters: Iterable[Letter],
    known: int,
    card: NodeCard,
    find: FindCard,
    keys: NodeKeys,
    ceiling: int,
    take_bulk: TakeBulk,
) -> list[Incoming]:
    """The letters that a neighbour with this card has brought.

    Those up to number `known` are stored already and are left closed. `find` knows the nodes whose
    letters this neighbour may bring. A fault of one letter is noted at that letter. What is beside
    a letter goes to `take_bulk` and is held no longer.
    """
    return [_open(letter, known, card, find, keys, ceiling, take_bulk) for letter in letters]


def _open(
    letter: Letter,
    known: int,
    card: NodeCard,
    find: FindCard,
    keys: NodeKeys,
    ceiling: int,
    take_bulk: TakeBulk,
) -> Incoming:
    if letter.withheld:
        return Incoming(letter, letter.withheld, error=WireError(Refusal.WITHHELD))
    sealed = bytes(letter.bulk)  # in its turn, whatever becomes of the letter
    letter = replace(letter, bulk=b"")
    incoming = Incoming(letter, card.crypto.hash(letter.envelope))
    if letter.sequence <= known:
        return incoming
    try:
        verified = verify_envelope(letter.envelope, find)
        require_bulk(verified.header, sealed)
        if keys.node not in verified.header.destinations:
            if sealed:
                take_bulk(verified, sealed)
            return replace(incoming, transit=verified)
        opened = open_verified(verified, keys, ceiling=ceiling)
        if sealed:
            take_bulk(opened, sealed)
        return replace(incoming, opened=opened)
    except WireError as error:
        return replace(incoming, error=error)
