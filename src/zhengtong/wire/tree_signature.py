"""One signature for many messages at once: the root of a Merkle tree over them is signed.

A signature is the deterministic CBOR array [size, index, path, signature of the root]; whoever
holds one message verifies it alone, and whoever holds many pays for one public-key operation. As a
COSE algorithm it has a private number per suite (`Suite.tree_signature_algorithm`), because no
registered one exists. The tree is that of RFC 9162 §2.1 over the messages' own bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from zhengtong.wire import cbor, merkle
from zhengtong.wire.errors import WireError
from zhengtong.wire.suite import Handle, Suite, suite_named

MAX_SIZE = 1 << 20
_CONTEXT = b"zhengtong signed tree v1\x00"
"""No message of COSE or of a signed note begins like this, so a root can pass for neither."""


def sign(messages: Sequence[bytes], suite: Suite, handle: Handle) -> list[bytes]:
    """A signature for each message, all under one root."""
    leaves = [merkle.leaf_hash(message, suite.hash) for message in messages]
    node_at, size = merkle.nodes_of(leaves, suite.hash), len(leaves)
    root = suite.sign(handle, _statement(size, merkle.root(leaves, suite.hash)))
    return [
        cbor.encode([size, index, merkle.inclusion_proof(node_at, index, size, suite.hash), root])
        for index in range(size)
    ]


def verify(public: bytes, signature: bytes, message: bytes, suite: Suite) -> bool:
    """Does the signature hold for this message?"""
    try:
        size, index, path, signed = cbor.decode(signature)
    except (WireError, TypeError, ValueError):
        return False
    numbers = type(size) is int and type(index) is int and 0 < size <= MAX_SIZE
    if not (numbers and type(path) is list and len(path) < 64 and type(signed) is bytes):
        return False
    leaf = merkle.leaf_hash(message, suite.hash)
    root = merkle.root_of(leaf, index, size, path, suite.hash)
    return root is not None and _root_holds(suite.name, public, _statement(size, root), signed)


def _statement(size: int, root: bytes) -> bytes:
    return _CONTEXT + size.to_bytes(8, "big") + root


@lru_cache(maxsize=1024)
def _root_holds(suite: str, public: bytes, statement: bytes, signature: bytes) -> bool:
    """The public-key operation, remembered for the other messages under the same root."""
    return suite_named(suite).verify(public, signature, statement)
