"""COSE_Encrypt (RFC 9052 §5.1): one content key, wrapped once for every recipient.

The body is encrypted with the sender's suite, the content key wrapped with each recipient's, so
nodes of different suites can share a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zhengtong.wire import cbor
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.suite import Handle, Rng, Suite, suite_for

MAX_RECIPIENTS = 256
_ALG, _KID, _IV = 1, 4, 5
_TAGGED_ENCRYPT = b"\xd8\x60"


class Readers:
    """Those who can open what is sealed for them: the recipients, each with an agreed secret.

    Letters sealed with the same `Readers` share those secrets, which saves each but the first a
    public-key operation; every letter has a content key of its own all the same.
    """

    def __init__(self, cards: Sequence[NodeCard], rng: Rng) -> None:
        self.cards = cards
        self._agreed = [(card, *card.crypto.agree(card.agreement_public, rng)) for card in cards]

    def wrapped(self, content_key: bytes) -> list[Any]:
        """COSE_recipient for each reader."""
        return [self._wrap(*agreed, content_key) for agreed in self._agreed]

    def _wrap(
        self, card: NodeCard, header: dict[int, Any], secret: Handle, content_key: bytes
    ) -> list[Any]:
        protected = cbor.encode({_ALG: card.crypto.wrap_algorithm})
        wrapped = card.crypto.wrap(secret, content_key, protected)
        return [protected, {**header, _KID: card.agreement_kid}, wrapped]


def seal_body(plaintext: bytes, external: bytes, suite: Suite, readers: Readers, rng: Rng) -> bytes:
    """A tagged COSE_Encrypt. `external` is authenticated with the body but not carried in it."""
    protected = cbor.encode({_ALG: suite.content_algorithm})
    key, nonce = rng(suite.key_length), rng(suite.nonce_length)
    ciphertext = suite.seal(key, nonce, plaintext, _bound(protected, external))
    return b"".join(
        (
            _TAGGED_ENCRYPT,
            b"\x84",
            cbor.bstr(protected),
            cbor.encode({_IV: nonce}),
            cbor.head(2, len(ciphertext)),
            ciphertext,
            cbor.encode(readers.wrapped(key)),
        )
    )


def open_body(data: bytes, external: bytes, keys: NodeKeys) -> bytes:
    """The plaintext for the holder of `keys`. Raises WireError: undecryptable, malformed…"""
    protected, nonce, ciphertext, recipients = _parse(data)
    suite = suite_for("content_algorithm", protected[1].get(_ALG))
    handle, header, wrapped, wrap_protected = _for_me(recipients, keys)
    try:
        key = keys.suite.unwrap(handle, header, wrapped, wrap_protected)
        return suite.open(key, nonce, ciphertext, _bound(protected[0], external))
    except ValueError as problem:
        raise WireError(Refusal.UNDECRYPTABLE, str(problem)) from None


def _parse(data: bytes) -> tuple[tuple[bytes, dict[int, Any]], bytes, bytes, list[Any]]:
    if not data.startswith(_TAGGED_ENCRYPT):
        raise WireError(Refusal.MALFORMED, "no tagged COSE_Encrypt")
    parts = cbor.decode(data[len(_TAGGED_ENCRYPT) :])
    if type(parts) is not list or [type(part) for part in parts] != [bytes, dict, bytes, list]:
        raise WireError(Refusal.MALFORMED, "COSE_Encrypt: four parts expected")
    header = cbor.decode(parts[0])
    nonce = parts[1].get(_IV)
    if type(header) is not dict or type(nonce) is not bytes:
        raise WireError(Refusal.MALFORMED, "COSE_Encrypt: no header or nonce")
    if len(parts[3]) > MAX_RECIPIENTS:
        raise WireError(Refusal.OVERSIZED, f"more than {MAX_RECIPIENTS} recipients")
    return (parts[0], header), nonce, parts[2], parts[3]


def _for_me(recipients: list[Any], keys: NodeKeys) -> tuple[Handle, dict[int, Any], bytes, bytes]:
    """Our private key, and unprotected header, wrapped key, protected header of its entry."""
    for entry in recipients:
        if type(entry) is not list or [type(part) for part in entry] != [bytes, dict, bytes]:
            raise WireError(Refusal.MALFORMED, "recipient: three parts expected")
        protected, header, wrapped = entry
        kid = header.get(_KID)
        handle = keys.agreement if kid == keys.agreement_kid else keys.agreement_with(kid)
        if handle is None:
            continue
        if cbor.decode(protected) != {_ALG: keys.suite.wrap_algorithm}:
            raise WireError(Refusal.MALFORMED, "recipient: unknown key wrap")
        return handle, header, wrapped, protected
    raise WireError(Refusal.UNDECRYPTABLE, f"not sealed for key {keys.agreement_kid.hex()}")


def _bound(protected: bytes, external: bytes) -> bytes:
    """Enc_structure (RFC 9052 §5.3)."""
    return b"\x83\x67Encrypt" + cbor.bstr(protected) + cbor.bstr(external)
