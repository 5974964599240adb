"""One letter from one node to others: COSE_Encrypt inside COSE_Sign1.

The signed header says in the clear what every hop needs (who, to whom, which message, kind,
level, lane), so a ceiling can be held before anything is decrypted. It also carries the salted
hash of the plaintext: whoever later shows the plaintext proves what was sent without any key.
The header is authenticated by the encryption too, so nobody can lift the sealed body out of the
letter and sign it as his own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from zhengtong.wire import cbor, cose
from zhengtong.wire.encrypt import MAX_RECIPIENTS, Readers, open_body, seal_body
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import TOP_LEVEL, FindCard, NodeCard, NodeKeys, check_node_id, signer_of
from zhengtong.wire.suite import Rng, suite_for

MAX_ENVELOPE = 4 * 1024 * 1024
"""Default limit in bytes; larger things travel as files named by hash in `Content.files`."""
SIGNATURE_ROOM = 4096
"""More bytes than any signature and the frame around it take."""
MAX_FILES = 200
MAX_LANE = 9
_SALT = 32

# CWT claims (RFC 8392) and ours from the private range below -65536.
_ISSUER, _AUDIENCE, _MESSAGE = 1, 3, 7
_KIND, _VERSION, _LEVEL, _LANE, _SENT_AT, _HASH, _CONTENT_HASH = range(-70001, -70008, -1)
_BULK_HASH = -70008
_HASH_LENGTH = 32


@dataclass(frozen=True)
class FileRef:
    """A file the letter speaks of: its name, size in bytes and hash (by the sender's suite)."""

    name: str
    size: int
    digest: bytes


@dataclass(frozen=True)
class Content:
    """What a letter says. `level` 0–5 (公开–绝密); `origin` is the node that seals and signs.

    `bulk_hash` names the sealed bulk that travels beside the letter (bulk.py); empty: none does.
    """

    message_id: UUID
    kind: str
    version: int
    level: int
    origin: str
    lane: int
    sent_at: datetime
    body: bytes
    files: tuple[FileRef, ...] = ()
    bulk_hash: bytes = b""


@dataclass(frozen=True)
class Header:
    """The signed header of a letter, readable by every hop."""

    origin: str
    destinations: tuple[str, ...]
    message_id: UUID
    kind: str
    version: int
    level: int
    lane: int
    sent_at: datetime
    hash_algorithm: int
    content_hash: bytes
    bulk_hash: bytes = b""


@dataclass(frozen=True)
class Audience:
    """The destinations of letters, and everyone who can open them."""

    nodes: tuple[str, ...]
    readers: Readers


@dataclass(frozen=True)
class Sealed:
    """A finished envelope, with the salted plaintext that later proves what it held."""

    envelope: bytes
    envelope_hash: bytes
    disclosure: bytes


@dataclass(frozen=True)
class Verified:
    """A letter whose signature holds; its body is still closed."""

    header: Header
    sender: NodeCard
    envelope_hash: bytes
    message: cose.Signed


@dataclass(frozen=True)
class Opened:
    """A letter opened by one of its recipients."""

    content: Content
    sender: NodeCard
    envelope_hash: bytes
    header: Header
    disclosure: bytes


@dataclass(frozen=True)
class Unsigned:
    """A letter that lacks only the signature: its encoded header, sealed body and disclosure."""

    protected: bytes
    body: bytes
    disclosure: bytes


def seal_disclosed(
    content: Content,
    keys: NodeKeys,
    recipients: Sequence[NodeCard],
    recovery: NodeCard | None,
    rng: Rng,
) -> Sealed:
    """Seal a letter, keeping the plaintext disclosure for evidence. Raises as `prepare`."""
    letter = prepare(content, keys, open_to(recipients, recovery, rng), rng, together=False)
    return sign_alone(letter, keys)


def open_to(recipients: Sequence[NodeCard], recovery: NodeCard | None, rng: Rng) -> Audience:
    """The audience of one letter or of many.

    `recovery` is an extra key holder who can open them but is no addressee. Raises WireError.
    """
    if not recipients or len(recipients) >= MAX_RECIPIENTS:
        raise WireError(Refusal.MALFORMED, f"{len(recipients)} recipients")
    readers = [*recipients, recovery] if recovery else list(recipients)
    return Audience(tuple(card.node for card in recipients), Readers(readers, rng))


def prepare(
    content: Content, keys: NodeKeys, audience: Audience, rng: Rng, *, together: bool
) -> Unsigned:
    """Encrypt a letter and write its header; `together` if many will share one signature.

    Raises WireError: above_ceiling if a reader may not hold the level; malformed.
    """
    if keys.node != content.origin:
        raise WireError(Refusal.MALFORMED, f"origin {content.origin} but keys of {keys.node}")
    for card in audience.readers.cards:
        if content.level > card.ceiling:
            raise _above(content.level, card)
    suite = keys.suite
    plaintext = cbor.encode(
        [rng(_SALT), content.body, [[f.name, f.size, f.digest] for f in content.files]]
    )
    bulk = {_BULK_HASH: content.bulk_hash} if content.bulk_hash else {}
    header = {
        **keys.header(cose.ENVELOPE, together=together),
        cose.CWT_CLAIMS: {
            _ISSUER: content.origin,
            _AUDIENCE: list(audience.nodes),
            _MESSAGE: content.message_id.bytes,
            _KIND: content.kind,
            _VERSION: content.version,
            _LEVEL: content.level,
            _LANE: content.lane,
            _SENT_AT: to_microseconds(content.sent_at),
            _HASH: suite.hash_algorithm,
            _CONTENT_HASH: suite.hash(plaintext),
            **bulk,
        },
    }
    _read_header(header)
    protected = cbor.encode(header)
    body = seal_body(plaintext, protected, suite, audience.readers, rng)
    return Unsigned(protected, body, plaintext)


def sign_alone(letter: Unsigned, keys: NodeKeys) -> Sealed:
    """Finish a letter that was prepared to bear a signature of its own."""
    return _sealed(keys.sign(letter.protected, letter.body), letter, keys)


def sign_together(letters: Sequence[Unsigned], keys: NodeKeys) -> list[Sealed]:
    """Finish letters prepared with `together`: one signature for all, each verifiable alone."""
    signed = keys.sign_together([(letter.protected, letter.body) for letter in letters])
    return [_sealed(data, letter, keys) for data, letter in zip(signed, letters, strict=True)]


def _sealed(envelope: bytes, letter: Unsigned, keys: NodeKeys) -> Sealed:
    return Sealed(envelope, keys.suite.hash(envelope), letter.disclosure)


def read_header(data: bytes, *, max_bytes: int = MAX_ENVELOPE) -> Header:
    """The header as it stands, its signature unchecked: for display and routing only."""
    return _read_header(cose.parse(data, cose.ENVELOPE, max_bytes).header)


def verify_envelope(data: bytes, find_card: FindCard, *, max_bytes: int = MAX_ENVELOPE) -> Verified:
    """Check who signed, without opening. Raises WireError."""
    message = cose.parse(data, cose.ENVELOPE, max_bytes)
    header = _read_header(message.header)
    sender = signer_of(message, find_card)
    if sender.node != header.origin:
        raise WireError(Refusal.BAD_SIGNATURE, f"{sender.node} signed as {header.origin}")
    if header.level > sender.ceiling:
        raise _above(header.level, sender)
    return Verified(header, sender, sender.crypto.hash(data), message)


def open_envelope(
    data: bytes,
    keys: NodeKeys,
    find_card: FindCard,
    *,
    max_bytes: int = MAX_ENVELOPE,
    ceiling: int = TOP_LEVEL,
    recovering: bool = False,
) -> Opened:
    """Verify, then decrypt. The level is held against `ceiling` before anything is decrypted.

    `recovering` admits the holder of a recovery key, who is no signed destination.
    Raises WireError with the first rule that fails.
    """
    letter = verify_envelope(data, find_card, max_bytes=max_bytes)
    return open_verified(letter, keys, ceiling=ceiling, recovering=recovering)


def open_verified(
    letter: Verified, keys: NodeKeys, *, ceiling: int = TOP_LEVEL, recovering: bool = False
) -> Opened:
    """Decrypt a letter whose signature holds; see open_envelope."""
    header = letter.header
    if keys.node not in header.destinations and not recovering:
        raise WireError(Refusal.WRONG_RECIPIENT, f"addressed to {', '.join(header.destinations)}")
    if header.level > ceiling:
        raise WireError(Refusal.ABOVE_CEILING, f"level {header.level}, ceiling {ceiling}")
    disclosure = open_body(letter.message.payload, letter.message.protected, keys)
    content = disclosed(header, disclosure)
    return Opened(content, letter.sender, letter.envelope_hash, header, disclosure)


def disclosed(header: Header, disclosure: bytes) -> Content:
    """The content that a disclosure proves. Raises WireError if it is not what was sealed."""
    suite = suite_for("hash_algorithm", header.hash_algorithm)
    if suite.hash(disclosure) != header.content_hash:
        raise WireError(Refusal.BAD_SIGNATURE, "content differs from the signed content hash")
    fields = Fields(cbor.decode(disclosure), "content")
    fields.octets(0, _SALT)
    body = fields.octets(1)
    files = tuple(_read_file(item) for item in fields.items(2, MAX_FILES))
    fields.end()
    return Content(
        message_id=header.message_id,
        kind=header.kind,
        version=header.version,
        level=header.level,
        origin=header.origin,
        lane=header.lane,
        sent_at=header.sent_at,
        body=body,
        files=files,
        bulk_hash=header.bulk_hash,
    )


def _read_file(item: object) -> FileRef:
    fields = Fields(item, "file")
    ref = FileRef(fields.text(0), fields.number(1), fields.octets(2))
    fields.end()
    return ref


def _read_header(header: dict[int, Any]) -> Header:
    claims = Fields(header, "header").mapping(cose.CWT_CLAIMS)
    audience = claims.items(_AUDIENCE, MAX_RECIPIENTS)
    if not audience or not all(type(node) is str for node in audience):
        raise WireError(Refusal.MALFORMED, "header: no destination")
    read = Header(
        origin=check_node_id(claims.text(_ISSUER)),
        destinations=tuple(check_node_id(node) for node in audience),
        message_id=claims.uuid(_MESSAGE),
        kind=claims.text(_KIND, 100),
        version=claims.number(_VERSION),
        level=claims.number(_LEVEL, TOP_LEVEL),
        lane=claims.number(_LANE, MAX_LANE),
        sent_at=claims.moment(_SENT_AT),
        hash_algorithm=claims.algorithm(_HASH),
        content_hash=claims.octets(_CONTENT_HASH),
        bulk_hash=claims.octets(_BULK_HASH, _HASH_LENGTH) if _BULK_HASH in claims else b"",
    )
    claims.end()
    return read


def _above(level: int, card: NodeCard) -> WireError:
    return WireError(Refusal.ABOVE_CEILING, f"level {level}, ceiling of {card.node} {card.ceiling}")
