"""How a node joins: a one-time token, a signed request, a signed answer.

The token admits a request to the desk and no further; that the node is the right one is decided
by people, who compare fingerprints by telephone. The request is signed with the key it asks to be
known by, the answer names the request it answers.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from zhengtong.wire import cbor, cose
from zhengtong.wire.directory import MAX_DIRECTORY, MAX_ORGANISATIONS, Hosted
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.suite import Rng

REQUEST = "application/vnd.zhengtong.join-request+cose"
ANSWER = "application/vnd.zhengtong.join-answer+cose"
MAX_REQUEST = 128 * 1024
MAX_ANSWER = MAX_DIRECTORY + 128 * 1024
MAX_PEM = 16 * 1024
TOKEN_BYTES = 20
"""160 bits: exactly 32 letters and digits, in eight groups of four."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U to misread
_TO_RFC4648 = str.maketrans(_ALPHABET, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_FROM_RFC4648 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET)
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


@dataclass(frozen=True)
class JoinRequest:
    """A node asks to be admitted under `card`.

    `csr` asks for a TLS certificate (PEM, PKCS #10), empty if none is wanted; `recovery` is the
    public half of its recovery key.
    """

    token: bytes = field(repr=False)
    card: NodeCard
    csr: bytes
    recovery: NodeCard | None
    organisations: tuple[Hosted, ...]
    at: datetime
    signed: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.signed).digest()


@dataclass(frozen=True)
class JoinAnswer:
    """What an admitted node is given: the parent's card, its own certificate, the directory."""

    card: NodeCard
    recovery: NodeCard | None
    certificate: bytes
    authority: bytes
    directory: bytes
    signed: bytes = field(repr=False)


def new_token(rng: Rng = os.urandom) -> bytes:
    return rng(TOKEN_BYTES)


def write_token(token: bytes) -> str:
    """The token as it is printed and typed: XXXX-XXXX-…"""
    text = base64.b32encode(token).decode().translate(_FROM_RFC4648)
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def read_token(text: str) -> bytes:
    """The inverse of write_token; spaces, hyphens, case and the usual misreadings do not matter.

    Raises WireError (malformed).
    """
    plain = text.strip().upper().translate(_MISREAD)
    try:
        token = base64.b32decode(plain.translate(_TO_RFC4648))
    except ValueError:
        token = b""
    if len(token) != TOKEN_BYTES or set(plain) - set(_ALPHABET):
        raise WireError(Refusal.MALFORMED, "token: eight groups of four letters and digits")
    return token


def hash_token(token: bytes) -> bytes:
    """What the inviting node keeps. A random token of 160 bits needs no slow hash."""
    return hashlib.sha256(b"zhengtong join token" + token).digest()


def fingerprint(card: NodeCard) -> str:
    """Both public keys of a card, to be compared by telephone: 128 bits, eight groups of four."""
    digest = card.crypto.hash(card.signing_public + card.agreement_public)[:16].hex()
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))


def same_fingerprint(text: str, card: NodeCard) -> bool:
    """Whether what a person typed is this card's fingerprint."""
    typed = "".join(sign for sign in text.lower() if sign not in " -:")
    return typed == fingerprint(card).replace(" ", "")


def ask(
    keys: NodeKeys,
    card: NodeCard,
    *,
    token: bytes,
    csr: bytes,
    recovery: NodeCard | None,
    organisations: tuple[Hosted, ...],
    at: datetime,
) -> JoinRequest:
    payload = cbor.encode(
        {
            "token": token,
            "card": card.to_cbor(),
            "csr": csr,
            "recovery": recovery.to_cbor() if recovery else None,
            "organisations": [item.plain() for item in organisations],
            "at": to_microseconds(at),
        }
    )
    signed = keys.state(REQUEST, payload)
    return JoinRequest(token, card, csr, recovery, organisations, at, signed)


def read_request(data: bytes) -> JoinRequest:
    """Read a request and check that the key it asks for has signed it. Raises WireError."""
    message = cose.parse(data, REQUEST, MAX_REQUEST)
    fields = Fields(cbor.decode(message.payload), "join request")
    token = fields.octets("token", TOKEN_BYTES)
    card = NodeCard.from_cbor(fields.octets("card"))
    csr = _pem(fields, "csr")
    recovery = _card_or_none(fields, "recovery")
    listed = fields.items("organisations", MAX_ORGANISATIONS)
    at = fields.moment("at")
    fields.end()
    card.verify(message)
    if recovery and recovery.node != card.node:
        raise WireError(Refusal.MALFORMED, "join request: recovery key of another node")
    organisations = tuple(Hosted.read(item) for item in listed)
    return JoinRequest(token, card, csr, recovery, organisations, at, data)


def answer(
    keys: NodeKeys,
    card: NodeCard,
    *,
    request: bytes,
    recovery: NodeCard | None,
    certificate: bytes,
    authority: bytes,
    directory: bytes,
) -> JoinAnswer:
    """Admit: `request` is the digest of the request that is answered."""
    payload = cbor.encode(
        {
            "request": request,
            "card": card.to_cbor(),
            "recovery": recovery.to_cbor() if recovery else None,
            "certificate": certificate,
            "authority": authority,
            "directory": directory,
        }
    )
    signed = keys.state(ANSWER, payload)
    return JoinAnswer(card, recovery, certificate, authority, directory, signed)


def read_answer(data: bytes, request: JoinRequest) -> JoinAnswer:
    """The answer to our own request. Whose card it is, people compare. Raises WireError."""
    message = cose.parse(data, ANSWER, MAX_ANSWER)
    fields = Fields(cbor.decode(message.payload), "join answer")
    answered = fields.octets("request", 32)
    read = JoinAnswer(
        card=NodeCard.from_cbor(fields.octets("card")),
        recovery=_card_or_none(fields, "recovery"),
        certificate=_pem(fields, "certificate"),
        authority=_pem(fields, "authority"),
        directory=fields.octets("directory"),
        signed=data,
    )
    fields.end()
    read.card.verify(message)
    if answered != request.digest:
        raise WireError(Refusal.WRONG_RECIPIENT, "an answer to another request")
    return read


def _pem(fields: Fields, name: str) -> bytes:
    value = fields.octets(name)
    if len(value) > MAX_PEM:
        raise WireError(Refusal.OVERSIZED, f"{name} of {len(value)} bytes")
    return value


def _card_or_none(fields: Fields, name: str) -> NodeCard | None:
    value: Any = fields.octets_or_none(name)
    return NodeCard.from_cbor(value) if value else None
