"""Verifying and opening the letters of a batch, each by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from zhengtong.wire.batch import Letter
from zhengtong.wire.envelope import open_verified, verify_envelope
from zhengtong.wire.errors import WireError
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys
from zhengtong.wire.link import Incoming


def open_letters(
    letters: Iterable[Letter],
    known: int,
    card: NodeCard,
    find: FindCard,
    keys: NodeKeys,
    ceiling: int,
) -> list[Incoming]:
    """The letters that a neighbour with this card has brought.

    Those up to number `known` are stored already and are left closed. `find` knows the nodes whose
    letters this neighbour may bring. A fault of one letter is noted at that letter.
    """
    return [_open(letter, known, card, find, keys, ceiling) for letter in letters]


def _open(
    letter: Letter, known: int, card: NodeCard, find: FindCard, keys: NodeKeys, ceiling: int
) -> Incoming:
    incoming = Incoming(letter, card.crypto.hash(letter.envelope))
    if letter.sequence <= known:
        return incoming
    try:
        verified = verify_envelope(letter.envelope, find)
        if keys.node not in verified.header.destinations:
            return replace(incoming, transit=verified)
        return replace(incoming, opened=open_verified(verified, keys, ceiling=ceiling))
    except WireError as error:
        return replace(incoming, error=error)
