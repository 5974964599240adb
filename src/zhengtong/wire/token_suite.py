"""The private keys of a node in a cryptographic token: a card or box spoken to by PKCS #11.

It is the international suite with its secrets elsewhere. Cards, letters and signatures are the same
to everybody else; only the node itself knows. Handles are the labels of objects in the token,
`NODE-signing` and `NODE-agreement`; signing (EdDSA) and key agreement (X25519) happen inside. Of
an agreement the shared secret comes out, since tokens offer no HKDF over it; the private key never
does. The token draws the random numbers of its keys itself.

    make_keys("zhoukou", Token(module, "zhoukou", pin))   once, when the node is set up
    keys_in("zhoukou", Token(module, "zhoukou", pin))     afterwards: a NodeKeys like any other

`module` is the maker's library, such as /usr/lib/softhsm/libsofthsm2.so. A node writes it into
`node.toml` the way RFC 7512 names such keys, instead of the folder with its key file:

    keys = "pkcs11:token=zhoukou?module-path=/usr/lib/…/lib….so&pin-source=/etc/zhengtong/pin"

To a token a process is one user, so there is one session, which lasts as long as the process: open
it after forking, and start the process again after the token was unplugged. Calls from several
threads wait for one another.

Curve25519 in PKCS #11 is as SoftHSM 2.6 has it, where keys of both sorts are EC_EDWARDS keys; the
package python-pkcs11 knows no EC_MONTGOMERY. SoftHSM has no SM2: a card for the commercial suite,
by GM/T 0018 or its maker's PKCS #11, takes a class of its own beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from threading import Lock
from typing import Any, NoReturn

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from zhengtong.wire.intl import INTL, InternationalSuite
from zhengtong.wire.keys import NodeKeys, check_node_id
from zhengtong.wire.suite import Handle, Rng

_ED25519 = bytes.fromhex("06032b6570")
_X25519 = bytes.fromhex("06032b656e")
"""Object identifiers 1.3.101.112 and 1.3.101.110 (RFC 8410) in DER, as EC_PARAMS."""


_turn = Lock()


class TokenError(Exception):
    """The token cannot do its work now; nothing is wrong with the letter. Try again later."""


@dataclass(frozen=True)
class Token:
    """Where a token is found, and the PIN of its user."""

    module: str
    label: str
    pin: str = field(repr=False)

    def open(self, *, writing: bool = False) -> pkcs11.Session:
        """A session. Raises TokenError: no such library or token, wrong or locked PIN."""
        with _asking(f"token {self.label}"):
            token = pkcs11.lib(self.module).get_token(token_label=self.label)
            try:
                return token.open(rw=writing, user_pin=self.pin)
            except pkcs11.UserAlreadyLoggedIn:  # by another session of this process
                return token.open(rw=writing)


_session = cache(Token.open)


def make_keys(node: str, token: Token) -> NodeKeys:
    """Make a node's keys inside its token. Raises TokenError, also if it holds keys of the node."""
    with token.open(writing=True) as session:
        TokenSuite(session, check_node_id(node)).generate(bytes)
    return keys_in(node, token)


def keys_in(node: str, token: Token) -> NodeKeys:
    """The keys that a node's token holds. Raises TokenError if they are not there."""
    suite = TokenSuite(_session(token), check_node_id(node))
    keys = NodeKeys(node, suite, *suite.labels)
    suite.check_public(keys.signing_public, keys.agreement_public)
    return keys


class TokenSuite(InternationalSuite):
    """INTL whose handles are labels in a token. It is not registered: others see plain `intl`."""

    def __init__(self, session: pkcs11.Session, node: str) -> None:
        self.labels = (f"{node}-signing", f"{node}-agreement")
        self._session = session
        self._private = cache(self._find_private)
        self._agreed = lru_cache(maxsize=64)(self._agree)  # as in `intl`: once for a batch

    def generate(self, rng: Rng) -> tuple[Handle, Handle]:
        """`rng` is not asked: the token draws its own. Raises TokenError if a label is taken."""
        signing, agreement = self.labels
        for label in self.labels:
            with _asking(label):
                taken = list(self._session.get_objects({Attribute.LABEL: label}))
            if taken:
                raise TokenError(f"the token already holds an object named {label}")
        self._make(signing, _ED25519, pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY)
        self._make(agreement, _X25519, pkcs11.MechanismFlag.DERIVE)
        return self.labels

    def public(self, handle: Handle) -> bytes:
        with _asking(f"public key {handle}"):
            found = self._session.get_key(ObjectClass.PUBLIC_KEY, label=handle)
            point: bytes = found[Attribute.EC_POINT]
        # The standard wraps the point in an OCTET STRING; some tokens do not.
        return point[2:] if point[:2] == b"\x04\x20" and len(point) == 34 else point

    def save(self, handle: Handle, passphrase: bytes | None) -> NoReturn:
        raise ValueError(f"{handle} stays in its token; a token is backed up by its maker's means")

    def load(self, pem: bytes, passphrase: bytes | None) -> NoReturn:
        raise ValueError("keys of a token are found by their labels, not loaded")

    def sign(self, handle: Handle, message: bytes) -> bytes:
        with _asking(f"signing with {handle}"):
            signature: bytes = self._private(handle).sign(message, mechanism=Mechanism.EDDSA)
        return signature

    def exchange(self, handle: Handle, point: bytes) -> bytes:
        """Raises ValueError for a useless point, TokenError if the token fails.

        The point is judged before the token sees it, so that a bad letter is refused for good and
        a good one is never given up because a card was unplugged.
        """
        INTL.check_agreement(point)
        return self._agreed(handle, point)

    def _agree(self, handle: Handle, point: bytes) -> bytes:
        with _asking(f"key agreement with {handle}"):
            shared = self._private(handle).derive_key(
                KeyType.GENERIC_SECRET,
                256,
                mechanism=Mechanism.ECDH1_DERIVE,
                mechanism_param=(pkcs11.KDF.NULL, None, point),
                template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False},
            )
            try:
                secret: bytes = shared[Attribute.VALUE]
            finally:
                shared.destroy()
        return secret

    def _find_private(self, label: str) -> Any:
        """A key that can do what the token allows it: its class is made up when it is found."""
        return self._session.get_key(ObjectClass.PRIVATE_KEY, label=label)

    def _make(self, label: str, curve: bytes, use: pkcs11.MechanismFlag) -> None:
        with _asking(f"making {label}"):
            self._session.create_domain_parameters(
                KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: curve}, local=True
            ).generate_keypair(
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                label=label,
                store=True,
                capabilities=use,
                private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """One question to a token at a time, and every error of it under one name.

    Two at once make even SoftHSM fail now and then.
    """
    with _turn:
        try:
            yield
        except pkcs11.PKCS11Error as problem:
            raise TokenError(f"{what}: {type(problem).__name__} {problem}".rstrip()) from None
