"""Who a node is: its private keys, and the self-signed card by which others know it."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from zhengtong.wire import cbor, cose, tree_signature
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.suite import Handle, Rng, Suite, suite_named

TOP_LEVEL = 5
"""Levels and ceilings run from 0 (公开) to 5 (绝密)."""
MAX_CARD = 8192

_NODE_ID = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
_PEM_BLOCK = re.compile(rb"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----\n?", re.DOTALL)
_PEM_NOTE = re.compile(rb"\ANode: (\S+)\nSuite: (\S+)\n")


def check_node_id(node: str) -> str:
    """A node id: 1–63 lower-case letters, digits, dots, hyphens. Raises WireError."""
    if not _NODE_ID.fullmatch(node):
        raise WireError(Refusal.MALFORMED, f"not a node id: {node[:80]!r}")
    return node


@dataclass(frozen=True, eq=False)
class NodeKeys:
    """The private keys of one node. Handles are opaque and belong to the suite.

    `spare` are further keys of the same node and suite: those about to be used and those not used
    any more, while the node changes its keys. They open letters and tell what the node has signed
    with them; they sign nothing.
    """

    node: str
    suite: Suite
    signing: Handle = field(repr=False)
    agreement: Handle = field(repr=False)
    spare: tuple[NodeKeys, ...] = field(default=(), repr=False)

    @classmethod
    def generate(cls, node: str, suite: str = "intl", rng: Rng = os.urandom) -> NodeKeys:
        chosen = suite_named(suite)
        return cls(check_node_id(node), chosen, *chosen.generate(rng))

    def to_pem(self, passphrase: bytes | None = None) -> bytes:
        """Two PEM blocks (signing, agreement) after two lines naming node and suite."""
        note = f"Node: {self.node}\nSuite: {self.suite.name}\n".encode()
        save = self.suite.save
        return note + save(self.signing, passphrase) + save(self.agreement, passphrase)

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes | None = None) -> NodeKeys:
        """The inverse of to_pem. Raises WireError (malformed), never quoting key material."""
        note, blocks = _PEM_NOTE.match(pem), _PEM_BLOCK.findall(pem)
        if note is None or len(blocks) != 2:
            raise WireError(Refusal.MALFORMED, "key file: node, suite and two keys expected")
        suite = suite_named(note[2].decode(errors="replace"))
        try:
            signing, agreement = (suite.load(block, passphrase) for block in blocks)
        except ValueError:
            raise WireError(Refusal.MALFORMED, "key file: wrong passphrase or damage") from None
        return cls(check_node_id(note[1].decode(errors="replace")), suite, signing, agreement)

    @cached_property
    def signing_public(self) -> bytes:
        return self.suite.public(self.signing)

    @cached_property
    def agreement_public(self) -> bytes:
        return self.suite.public(self.agreement)

    @cached_property
    def signing_kid(self) -> bytes:
        return key_id(self.suite, self.signing_public)

    @cached_property
    def agreement_kid(self) -> bytes:
        return key_id(self.suite, self.agreement_public)

    def agreement_with(self, kid: bytes) -> Handle | None:
        """The agreement key of this id, current or spare."""
        for keys in (self, *self.spare):
            if keys.agreement_kid == kid:
                return keys.agreement
        return None

    def header(self, message_type: str, *, together: bool = False) -> dict[int, Any]:
        """The protected header of a statement by this node, or of one of many signed together."""
        suite = self.suite
        return {
            cose.ALG: suite.tree_signature_algorithm if together else suite.signature_algorithm,
            cose.KID: self.signing_kid,
            cose.TYP: message_type,
        }

    def sign(self, protected: bytes, payload: bytes) -> bytes:
        """A tagged COSE_Sign1 of this node over `payload` under an encoded header."""
        return cose.sign(protected, payload, lambda text: self.suite.sign(self.signing, text))

    def sign_together(self, statements: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """A tagged COSE_Sign1 for each (encoded header, payload), under one signature of a tree.

        The headers must be of `header(…, together=True)`.
        """
        texts = [cose.to_be_signed(*statement) for statement in statements]
        signatures = tree_signature.sign(texts, self.suite, self.signing)
        return [
            cose.assemble(protected, payload, signature)
            for (protected, payload), signature in zip(statements, signatures, strict=True)
        ]

    def state(self, message_type: str, payload: bytes) -> bytes:
        """A signed statement whose header says no more than its type."""
        return self.sign(cbor.encode(self.header(message_type)), payload)


@dataclass(frozen=True)
class NodeCard:
    """What others must know of a node, signed by the node's own signing key.

    The signature proves that the holder of the key made this card; that the key belongs to the
    node is for the directory (approval by people) to say. A card with a later `issued_at`
    replaces an earlier one.
    """

    node: str
    title: str
    zone: str
    ceiling: int
    url: str
    suite: str
    signing_public: bytes
    agreement_public: bytes
    issued_at: datetime
    signed: bytes = field(repr=False)

    @classmethod
    def issue(
        cls, keys: NodeKeys, *, title: str, zone: str, ceiling: int, url: str, issued_at: datetime
    ) -> NodeCard:
        payload = cbor.encode(
            {
                "node": keys.node,
                "title": title,
                "zone": zone,
                "ceiling": ceiling,
                "url": url,
                "suite": keys.suite.name,
                "signing": keys.signing_public,
                "agreement": keys.agreement_public,
                "issued_at": to_microseconds(issued_at),
            }
        )
        return cls.from_cbor(keys.state(cose.CARD, payload))

    def to_cbor(self) -> bytes:
        return self.signed

    @classmethod
    def from_cbor(cls, data: bytes) -> NodeCard:
        """Read and verify a card. Raises WireError; a tampered card is `bad_signature`."""
        message = cose.parse(data, cose.CARD, MAX_CARD)
        fields = Fields(cbor.decode(message.payload), "card")
        card = cls(
            node=check_node_id(fields.text("node")),
            title=fields.text("title"),
            zone=fields.text("zone", 40),
            ceiling=fields.number("ceiling", TOP_LEVEL),
            url=fields.text("url", 1000),
            suite=fields.text("suite", 40),
            signing_public=fields.octets("signing"),
            agreement_public=fields.octets("agreement"),
            issued_at=fields.moment("issued_at"),
            signed=data,
        )
        fields.end()
        try:
            card.crypto.check_public(card.signing_public, card.agreement_public)
        except ValueError:
            raise WireError(Refusal.MALFORMED, f"card of {card.node}: unusable key") from None
        card.verify(message)
        return card

    def to_json(self) -> dict[str, str | int]:
        """For people and configuration files; only `card` counts when read back."""
        return {
            "node": self.node,
            "title": self.title,
            "zone": self.zone,
            "ceiling": self.ceiling,
            "url": self.url,
            "suite": self.suite,
            "key": self.signing_kid.hex(),
            "card": base64.urlsafe_b64encode(self.signed).decode(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> NodeCard:
        """The inverse of to_json. Raises WireError, also if a visible field was edited."""
        try:
            card = cls.from_cbor(base64.b64decode(str(value["card"]), b"-_", validate=True))
        except (KeyError, ValueError):
            raise WireError(Refusal.MALFORMED, "card: no base64url field 'card'") from None
        for name, true_value in card.to_json().items():
            if value.get(name, true_value) != true_value:
                raise WireError(Refusal.BAD_SIGNATURE, f"card of {card.node}: {name} was edited")
        return card

    def verify(self, message: cose.Signed) -> None:
        """Raises WireError unless this card's node signed the message."""
        suite, signed = self.crypto, (message.signature, message.signed_bytes)
        if message.kid == self.signing_kid and message.algorithm == suite.signature_algorithm:
            holds = suite.verify(self.signing_public, *signed)
        elif (
            message.kid == self.signing_kid and message.algorithm == suite.tree_signature_algorithm
        ):
            holds = tree_signature.verify(self.signing_public, *signed, suite)
        else:
            raise WireError(Refusal.BAD_SIGNATURE, f"key or algorithm is not that of {self.node}")
        if not holds:
            raise WireError(Refusal.BAD_SIGNATURE, f"claimed signer {self.node}")

    @property
    def keys(self) -> frozenset[bytes]:
        """Both public keys."""
        return frozenset((self.signing_public, self.agreement_public))

    @cached_property
    def crypto(self) -> Suite:
        return suite_named(self.suite)

    @cached_property
    def signing_kid(self) -> bytes:
        return key_id(self.crypto, self.signing_public)

    @cached_property
    def agreement_kid(self) -> bytes:
        return key_id(self.crypto, self.agreement_public)


FindCard = Callable[[bytes], NodeCard | None]
"""Looks a card up by the id of its signing key."""


def key_id(suite: Suite, public: bytes) -> bytes:
    """The first eight bytes of the hash of a public key."""
    return suite.hash(public)[:8]


def signer_of(message: cose.Signed, find_card: FindCard) -> NodeCard:
    """The card of the node that signed. Raises WireError: unknown_sender or bad_signature."""
    card = find_card(message.kid)
    if card is None:
        raise WireError(Refusal.UNKNOWN_SENDER, f"key {message.kid.hex()}")
    card.verify(message)
    return card
