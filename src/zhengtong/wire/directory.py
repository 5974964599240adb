"""The directory of nodes: who belongs, with which keys, in what standing, hosting whom.

Every node that has admitted others signs a directory of itself and of them. Each version names
the hash of the one before, so a receiver sees a gap, a rollback and a fork. It is complete in
itself: who missed versions needs only the newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

from zhengtong.wire import cbor, cose
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import FindCard, NodeCard, NodeKeys, check_node_id, signer_of

DIRECTORY = "application/vnd.zhengtong.directory+cose"
MAX_DIRECTORY = 2 * 1024 * 1024
MAX_ENTRIES = 1000
MAX_ORGANISATIONS = 500
FINGERPRINT = 32


class Status(StrEnum):
    """A node's standing with the issuer."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPELLED = "expelled"


class Step(Enum):
    """How a received version follows the one held."""

    SAME = "same"
    NEXT = "next"
    GAP = "gap"


@dataclass(frozen=True)
class Hosted:
    """An organisation that lives on a node. `kind` is a word of the receiver's directory."""

    id: UUID
    code: str
    name: str
    short_name: str
    kind: str

    def plain(self) -> list[Any]:
        return [self.id.bytes, self.code, self.name, self.short_name, self.kind]

    @classmethod
    def read(cls, value: Any) -> Hosted:
        fields = Fields(value, "organisation")
        read = cls(
            fields.uuid(0),
            fields.text(1, 18),
            fields.text(2, 80),
            fields.text(3, 40),
            fields.text(4, 12),
        )
        fields.end()
        return read


@dataclass(frozen=True)
class Entry:
    """One node. `parent` is empty for the node above which the issuer knows none.

    `certificate` is the SHA-256 of the node's TLS certificate (DER), empty without one.
    """

    card: NodeCard
    status: Status = Status.ACTIVE
    parent: str = ""
    certificate: bytes = b""
    recovery: NodeCard | None = None
    organisations: tuple[Hosted, ...] = ()


@dataclass(frozen=True)
class Held:
    """What must be remembered of a version to judge the next one."""

    issuer: str
    version: int
    digest: bytes


@dataclass(frozen=True)
class Directory(Held):
    """One signed version. `previous` is the hash of version - 1, empty for version 1."""

    issued_at: datetime
    previous: bytes
    entries: tuple[Entry, ...]
    signed: bytes = field(repr=False)

    def entry_of(self, node: str) -> Entry | None:
        return next((item for item in self.entries if item.card.node == node), None)


def issue(
    keys: NodeKeys,
    entries: Sequence[Entry],
    *,
    after: Held | None,
    issued_at: datetime,
) -> Directory:
    """Sign the version that follows `after`. Raises WireError: oversized."""
    _check_size(entries)
    version = after.version + 1 if after else 1
    previous = after.digest if after else b""
    payload = cbor.encode(
        {
            "issuer": keys.node,
            "version": version,
            "issued_at": to_microseconds(issued_at),
            "previous": previous,
            "entries": [_plain(item) for item in entries],
        }
    )
    signed = keys.state(DIRECTORY, payload)
    if len(signed) > MAX_DIRECTORY:
        raise WireError(Refusal.OVERSIZED, f"directory of {len(signed)} bytes")
    digest = keys.suite.hash(signed)
    return Directory(keys.node, version, digest, issued_at, previous, tuple(entries), signed)


def read(data: bytes, find_card: FindCard) -> Directory:
    """Verify and read a directory whose issuer `find_card` knows. Raises WireError."""
    message = cose.parse(data, DIRECTORY, MAX_DIRECTORY)
    signer = signer_of(message, find_card)
    found = _parse(message, data, signer.crypto.hash(data))
    if found.issuer != signer.node:
        raise WireError(Refusal.BAD_SIGNATURE, f"{signer.node} signed as {found.issuer}")
    return found


def reread(data: bytes, digest: bytes) -> Directory:
    """Take apart a directory that was verified before it was stored, whose signer may have
    changed keys since."""
    return _parse(cose.parse(data, DIRECTORY, MAX_DIRECTORY), data, digest)


def follow(held: Held | None, new: Directory) -> Step:
    """How `new` follows the version held of the same issuer.

    A first version ever seen, whatever its number, is next. Raises WireError: outdated for an
    older version; replayed for a fork, that is another directory under the number held, or a
    next one that does not follow from it.
    """
    if held is None:
        return Step.NEXT
    if new.issuer != held.issuer:
        raise WireError(Refusal.MALFORMED, f"directories of {held.issuer} and {new.issuer}")
    if new.version < held.version:
        raise WireError(Refusal.OUTDATED, f"directory version {new.version}, held {held.version}")
    if new.version == held.version:
        if new.digest == held.digest:
            return Step.SAME
        raise WireError(Refusal.REPLAYED, f"two directories of version {new.version}")
    if new.version > held.version + 1:
        return Step.GAP
    if new.previous != held.digest:
        raise WireError(Refusal.REPLAYED, f"directory {new.version} does not follow the one held")
    return Step.NEXT


def _parse(message: cose.Signed, data: bytes, digest: bytes) -> Directory:
    fields = Fields(cbor.decode(message.payload), "directory")
    directory = Directory(
        issuer=check_node_id(fields.text("issuer")),
        version=fields.number("version"),
        digest=digest,
        issued_at=fields.moment("issued_at"),
        previous=fields.octets("previous"),
        entries=tuple(_read(item) for item in fields.items("entries", MAX_ENTRIES)),
        signed=data,
    )
    fields.end()
    names = [item.card.node for item in directory.entries]
    if len(set(names)) != len(names):
        raise WireError(Refusal.MALFORMED, "directory: a node stands in it twice")
    if directory.version < 1 or (directory.version == 1) == bool(directory.previous):
        raise WireError(Refusal.MALFORMED, f"directory version {directory.version}: wrong previous")
    return directory


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "card": entry.card.to_cbor(),
        "status": entry.status.value,
        "parent": entry.parent,
        "certificate": entry.certificate,
        "recovery": entry.recovery.to_cbor() if entry.recovery else None,
        "organisations": [item.plain() for item in entry.organisations],
    }


def _read(value: Any) -> Entry:
    fields = Fields(value, "directory entry")
    card = NodeCard.from_cbor(fields.octets("card"))
    status, parent = fields.choice("status", Status), fields.text("parent", 63)
    certificate = fields.octets("certificate")
    recovery = fields.octets_or_none("recovery")
    listed = fields.items("organisations", MAX_ORGANISATIONS)
    entry = Entry(
        card=card,
        status=status,
        parent=check_node_id(parent) if parent else "",
        certificate=certificate,
        recovery=NodeCard.from_cbor(recovery) if recovery else None,
        organisations=tuple(Hosted.read(item) for item in listed),
    )
    fields.end()
    if len(certificate) not in (0, FINGERPRINT):
        raise WireError(Refusal.MALFORMED, f"entry of {card.node}: no certificate fingerprint")
    if entry.recovery and entry.recovery.node != card.node:
        raise WireError(Refusal.MALFORMED, f"entry of {card.node}: recovery key of another node")
    return entry


def _check_size(entries: Sequence[Entry]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise WireError(Refusal.OVERSIZED, f"directory of {len(entries)} nodes")
    for item in entries:
        if len(item.organisations) > MAX_ORGANISATIONS:
            raise WireError(Refusal.OVERSIZED, f"{item.card.node}: too many organisations")
