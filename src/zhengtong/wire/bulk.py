"""The bulk of a letter: a piece of a file, sealed and carried beside the envelope.

What a link numbers, chains, signs, receipts and keeps is the envelope; its signed header names the
bulk by the hash of its sealed form, so every hop sees that it is the one that was sent. The key is
in the sealed body. It is used for this one text and never again, so the nonce is zero: whoever has
text and key can seal the very same bytes anew, and nobody need keep them.
"""

from __future__ import annotations

from zhengtong.wire.envelope import Header
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.suite import Suite, suite_for

_CONTEXT = b"zhengtong bulk v1"


def seal_bulk(data: bytes, key: bytes, suite: Suite) -> bytes:
    """The sealed form, by the suite of the letter's sender."""
    return suite.seal(key, bytes(suite.nonce_length), data, _CONTEXT)


def open_bulk(sealed: bytes, key: bytes, suite: Suite) -> bytes:
    """The inverse of seal_bulk. Raises WireError: undecryptable."""
    try:
        return suite.open(key, bytes(suite.nonce_length), sealed, _CONTEXT)
    except ValueError as problem:
        raise WireError(Refusal.UNDECRYPTABLE, f"bulk: {problem}") from None


def require_bulk(header: Header, sealed: bytes) -> None:
    """Is this what the header names, or nothing where it names nothing? Raises WireError."""
    suite = suite_for("hash_algorithm", header.hash_algorithm)
    if (suite.hash(sealed) if sealed else b"") != header.bulk_hash:
        raise WireError(Refusal.BAD_SIGNATURE, "the bulk is not the one that the header names")
