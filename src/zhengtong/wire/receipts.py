"""Receipts: what became of which envelope, proven by its place in the receiver's evidence log.

Every letter that a node takes (or refuses) is an entry of its own log before it is receipted. A
receipt is a COSE Receipt (RFC 9942): an inclusion proof for that entry under a root that the node
has signed. On the road they travel as `Receipts`: one signed root for a run of neighbouring
entries, from which `single` makes the standard's own form for any one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from zhengtong.wire import cbor, cose, merkle
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys, check_node_id
from zhengtong.wire.log import Log
from zhengtong.wire.suite import Suite

MAX_ITEMS = 400
MAX_RECEIPTS = 1024 * 1024
SALT = 16
MAX_LANE = 3

_VDS, _VDP, _INCLUSION = 395, 396, -1
_ORIGIN = 1  # the CWT claim `iss`: whose log
_MAX_PEAKS = 64


class Event(StrEnum):
    """What an entry of an evidence log states about a letter.

    What people do with it (sign for it, return it, read it, recall it) they say in a letter of
    their own, whose sending is an entry likewise. A dead letter came and was refused; of one that
    was withheld only the hash came.
    """

    SENT = "sent"
    DELIVERED = "delivered"
    DEAD = "dead"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class Entry:
    """One entry of the log of `by`: what became of letter `sequence` of a lane of a link.

    `sender` and `receiver` are the ends of the link; `envelope_hash` is by the suite of the node
    that sealed the envelope, `at` the clock of `by`. The salt keeps anyone who sees only the
    leaf's hash from guessing the rest.
    """

    event: Event
    by: str
    sender: str
    receiver: str
    lane: int
    sequence: int
    envelope_hash: bytes
    at: datetime
    salt: bytes

    def encode(self) -> bytes:
        return cbor.encode(
            [
                self.event.value,
                self.by,
                self.sender,
                self.receiver,
                self.lane,
                self.sequence,
                self.envelope_hash,
                to_microseconds(self.at),
                self.salt,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Entry:
        """Read an entry. Raises WireError."""
        fields = Fields(cbor.decode(data), "log entry")
        entry = cls(
            event=fields.choice(0, Event),
            by=check_node_id(fields.text(1)),
            sender=check_node_id(fields.text(2)),
            receiver=check_node_id(fields.text(3)),
            lane=fields.number(4, MAX_LANE),
            sequence=fields.number(5),
            envelope_hash=fields.octets(6),
            at=fields.moment(7),
            salt=fields.octets(8, SALT),
        )
        fields.end()
        return entry


@dataclass(frozen=True)
class Receipts:
    """A run of entries at positions `first`… of the log `origin`, under one signed root.

    `peaks` are the roots of the complete subtrees before `first`; with the entries they give the
    root over `first + len(entries)` entries, which `signature` covers.
    """

    origin: str
    first: int
    peaks: tuple[bytes, ...]
    entries: tuple[bytes, ...]
    protected: bytes
    signature: bytes

    @property
    def size(self) -> int:
        """How many entries the signed root covers."""
        return self.first + len(self.entries)

    def encode(self) -> bytes:
        return cbor.encode(
            [
                self.origin,
                self.first,
                list(self.peaks),
                list(self.entries),
                self.protected,
                self.signature,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> Receipts:
        """Read receipts without trusting them. Raises WireError."""
        if len(data) > MAX_RECEIPTS:
            raise WireError(Refusal.OVERSIZED, f"receipts of {len(data)} bytes")
        fields = Fields(cbor.decode(data), "receipts")
        receipts = cls(
            origin=fields.text(0),
            first=fields.number(1),
            peaks=_octets(fields.items(2, _MAX_PEAKS)),
            entries=_octets(fields.items(3, MAX_ITEMS)),
            protected=fields.octets(4),
            signature=fields.octets(5),
        )
        fields.end()
        if not receipts.entries or receipts.first.bit_count() != len(receipts.peaks):
            raise WireError(Refusal.MALFORMED, "receipts: entries or peaks are missing")
        return receipts


def log_name(node: str, epoch: int = 1) -> str:
    """The origin of a node's evidence log; a log begun anew after a restore has a later epoch."""
    return f"{node}/exchange" if epoch == 1 else f"{node}/exchange.{epoch}"


def issue(log: Log, origin: str, first: int, count: int, keys: NodeKeys) -> Receipts:
    """Receipts for `count` entries of our own log from position `first` on."""
    size = first + count
    protected, signature = sign_root(log.root(size), origin, keys)
    entries = tuple(log.entries(first, count))
    return Receipts(origin, first, tuple(log.peaks(first)), entries, protected, signature)


def verify(data: bytes, find_card: FindCard) -> tuple[NodeCard, tuple[Entry, ...]]:
    """Who receipts what: the node whose log it is, and the entries. Raises WireError."""
    receipts = Receipts.decode(data)
    card, suite = _signer(receipts.protected, receipts.origin, find_card)
    tree = merkle.Tree(receipts.first, receipts.peaks, suite.hash)
    for entry in receipts.entries:
        tree.append(merkle.leaf_hash(entry, suite.hash))
    _check(card, suite, receipts.protected, receipts.signature, tree.root())
    entries = tuple(Entry.decode(entry) for entry in receipts.entries)
    for read in entries:
        if read.by != card.node:
            raise WireError(Refusal.BAD_SIGNATURE, f"{card.node} receipts for {read.by}")
    return card, entries


def require_run(
    card: NodeCard, entries: Sequence[Entry], sender: str, receiver: str, lane: int
) -> tuple[int, int]:
    """First and last number of a neighbour's receipts for one lane of ours. Raises WireError."""
    for entry in entries:
        if card.node != receiver or (entry.sender, entry.receiver, entry.lane) != (
            sender,
            receiver,
            lane,
        ):
            raise WireError(Refusal.WRONG_RECIPIENT, "a receipt for another link")
    first, last = entries[0].sequence, entries[-1].sequence
    if [entry.sequence for entry in entries] != list(range(first, last + 1)):
        raise WireError(Refusal.MALFORMED, "receipts with a gap")
    return first, last


def single(receipts: Receipts, number: int, suite: Suite) -> bytes:
    """The RFC 9942 receipt of inclusion for entry `number` (from 0) of a run."""
    tree = merkle.Tree(receipts.first, receipts.peaks, suite.hash)
    nodes = dict[tuple[int, int], bytes]()
    start = 0
    for level, peak in zip(_levels(receipts.first), receipts.peaks, strict=True):
        nodes[level, start >> level] = peak
        start += 1 << level
    for entry in receipts.entries:
        for level, index, node in tree.append(merkle.leaf_hash(entry, suite.hash)):
            nodes[level, index] = node
    index = receipts.first + number
    path = merkle.inclusion_proof(lambda *at: nodes[at], index, receipts.size, suite.hash)
    proof = cbor.encode([receipts.size, index, path])
    return cose.detached(receipts.protected, {_VDP: {_INCLUSION: [proof]}}, receipts.signature)


def verify_single(entry: bytes, receipt: bytes, find_card: FindCard) -> tuple[NodeCard, Entry]:
    """Check a receipt of inclusion for an entry in its standard form. Raises WireError."""
    protected, unprotected, signature = cose.parse_detached(receipt, MAX_RECEIPTS)
    size, index, path = _inclusion(unprotected)
    read = Entry.decode(entry)
    card, suite = _signer(protected, None, find_card)
    if read.by != card.node:
        raise WireError(Refusal.BAD_SIGNATURE, f"{card.node} receipts for {read.by}")
    root = merkle.root_of(merkle.leaf_hash(entry, suite.hash), index, size, path, suite.hash)
    if root is None:
        raise WireError(Refusal.MALFORMED, "receipt: inclusion proof")
    _check(card, suite, protected, signature, root)
    return card, read


def place_of(receipt: bytes) -> tuple[str, int]:
    """Which log a receipt in its standard form says the entry is in, and where (from 0), its
    signature unchecked. Raises WireError."""
    protected, unprotected, _ = cose.parse_detached(receipt, MAX_RECEIPTS)
    claims = cose.parse_header(protected, cose.RECEIPT).get(cose.CWT_CLAIMS)
    return Fields(claims, "receipt").text(_ORIGIN), _inclusion(unprotected)[1]


def _inclusion(unprotected: dict[int, Any]) -> tuple[int, int, list[bytes]]:
    """Size, index and path of the one inclusion proof. Raises WireError."""
    try:
        (encoded,) = unprotected[_VDP][_INCLUSION]
        size, index, path = cbor.decode(encoded)
    except (TypeError, KeyError, ValueError):
        raise WireError(Refusal.MALFORMED, "receipt: one inclusion proof expected") from None
    if type(size) is not int or type(index) is not int or type(path) is not list:
        raise WireError(Refusal.MALFORMED, "receipt: inclusion proof")
    return size, index, path


def sign_root(root: bytes, origin: str, keys: NodeKeys) -> tuple[bytes, bytes]:
    """Protected header and signature of a COSE_Sign1 whose detached payload is the root."""
    header = {
        **keys.header(cose.RECEIPT),
        cose.CWT_CLAIMS: {_ORIGIN: origin},
        _VDS: keys.suite.tree_algorithm,
    }
    protected = cbor.encode(header)
    signed = keys.suite.sign(keys.signing, cose.to_be_signed(protected, root))
    return protected, signed


def _signer(protected: bytes, origin: str | None, find_card: FindCard) -> tuple[NodeCard, Suite]:
    """The node that a receipt's header names; its signature is not checked yet."""
    header = cose.parse_header(protected, cose.RECEIPT)
    kid = header.get(cose.KID)
    card = find_card(kid) if type(kid) is bytes else None
    if card is None:
        raise WireError(Refusal.UNKNOWN_SENDER, "receipt of an unknown key")
    claims = header.get(cose.CWT_CLAIMS)
    log = claims.get(_ORIGIN) if type(claims) is dict else None
    if header.get(_VDS) != card.crypto.tree_algorithm or type(log) is not str:
        raise WireError(Refusal.MALFORMED, "receipt: no log or an unknown sort of tree")
    if log.partition("/")[0] != card.node or log != (origin or log):
        raise WireError(Refusal.BAD_SIGNATURE, f"log {log} is not of {card.node}")
    return card, card.crypto


def _check(card: NodeCard, suite: Suite, protected: bytes, signature: bytes, root: bytes) -> None:
    algorithm = cbor.decode(protected).get(cose.ALG)
    signed = cose.to_be_signed(protected, root)
    holds = algorithm == suite.signature_algorithm and suite.verify(
        card.signing_public, signature, signed
    )
    if not holds:
        raise WireError(Refusal.BAD_SIGNATURE, f"receipt of {card.node}")


def _octets(items: Sequence[Any]) -> tuple[bytes, ...]:
    if any(type(item) is not bytes for item in items):
        raise WireError(Refusal.MALFORMED, "receipts: byte strings expected")
    return tuple(items)


def _levels(size: int) -> list[int]:
    """The heights of the complete subtrees of a tree, highest first."""
    return [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]
