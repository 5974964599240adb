"""One interface for every family of cryptography, and the register of those at hand.

A suite is stateless. Private keys are opaque handles that only their own suite understands, so
that a suite backed by a cryptographic card can hand out slot labels instead of key material.
Algorithm numbers are those of the IANA COSE registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Protocol, TypeVar

from zhengtong.wire.errors import Refusal, WireError

Rng = Callable[[int], bytes]
"""Returns that many unpredictable bytes; `os.urandom` in life, a seeded source in tests."""

Handle = Any
"""A private key as its own suite sees it."""


class Suite(Protocol):
    """Signature, key wrap, content encryption and hash that belong together."""

    name: str
    signature_algorithm: int
    wrap_algorithm: int
    content_algorithm: int
    hash_algorithm: int
    tree_signature_algorithm: int
    """One signature for many messages: see tree_signature.py. A private number."""
    tree_algorithm: int
    """The verifiable data structure of RFC 9942: RFC 9162 trees with this suite's hash."""
    note_algorithm: int
    """The signature type byte of C2SP signed notes."""
    key_length: int
    """Bytes of a content key."""
    nonce_length: int

    def hash(self, data: bytes) -> bytes: ...

    def hash_stream(self, blocks: Iterable[bytes]) -> bytes:
        """The hash of all blocks together, for what is too large to be held at once."""

    def generate(self, rng: Rng) -> tuple[Handle, Handle]:
        """A new signing key and a new agreement key."""

    def public(self, handle: Handle) -> bytes:
        """The raw public key of either kind of handle."""

    def save(self, handle: Handle, passphrase: bytes | None) -> bytes:
        """PEM (PKCS #8), encrypted if a passphrase is given."""

    def load(self, pem: bytes, passphrase: bytes | None) -> Handle:
        """The handle in a PEM block. Raises ValueError."""

    def check_public(self, signing: bytes, agreement: bytes) -> None:
        """Raises ValueError unless both are usable public keys."""

    def sign(self, handle: Handle, message: bytes) -> bytes: ...

    def verify(self, public: bytes, signature: bytes, message: bytes) -> bool: ...

    def agree(self, public: bytes, rng: Rng) -> tuple[dict[int, Any], Handle]:
        """A fresh secret with the holder of an agreement key: the COSE header parameters that
        let him find it, and the secret. It may wrap the content keys of many letters."""

    def wrap(self, secret: Handle, content_key: bytes, protected: bytes) -> bytes:
        """A content key under an agreed secret.

        `protected` is the recipient's encoded protected header, which the key derivation binds.
        """

    def unwrap(
        self, handle: Handle, header: dict[int, Any], wrapped: bytes, protected: bytes
    ) -> bytes:
        """The content key, by the header of `agree`. Raises ValueError."""

    def seal(self, key: bytes, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes: ...

    def open(self, key: bytes, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        """The inverse of seal. Raises ValueError."""


OneSuite = TypeVar("OneSuite", bound=Suite)

_suites: dict[str, Suite] = {}
_later = {"gm": "zhengtong.wire.gm"}
"""Suites at hand but not yet imported: the module that registers each when it is first met."""


def register(suite: OneSuite) -> OneSuite:
    """Make a suite known by its name; a second suite of that name is a programming error."""
    if _suites.setdefault(suite.name, suite) is not suite:
        raise ValueError(f"suite {suite.name} is registered already")
    return suite


def suite_named(name: str) -> Suite:
    """The suite of that name. Raises WireError (malformed) if unknown or unusable here."""
    if name not in _suites and name in _later:
        try:
            import_module(_later[name])
        except ImportError as missing:
            raise WireError(Refusal.MALFORMED, f"suite {name} is unusable: {missing}") from None
    try:
        return _suites[name]
    except KeyError:
        raise WireError(Refusal.MALFORMED, f"unknown suite {name!r}") from None


def suite_for(attribute: str, algorithm: object) -> Suite:
    """The suite that uses a COSE algorithm number, e.g. ("content_algorithm", 3)."""
    for suite in _at_hand():
        if getattr(suite, attribute) == algorithm:
            return suite
    raise WireError(Refusal.MALFORMED, f"unknown {attribute} {algorithm!r}")


def _at_hand() -> Iterator[Suite]:
    """The imported suites first, so that whoever meets only those never imports another."""
    imported = dict(_suites)
    yield from imported.values()
    for name in _later.keys() - imported.keys():
        yield suite_named(name)
