"""The evidence log's tree: RFC 6962 §2.1 hashing, proofs of inclusion and of consistency.

A complete subtree is named (level, index): it covers the leaves from index·2^level on, 2^level
of them. Proofs read such nodes through a function, so a log of any size is proven with O(log²)
look-ups, wherever its nodes are stored. The hash is an argument because each suite has its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

Hash = Callable[[bytes], bytes]
NodeAt = Callable[[int, int], bytes]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf_hash(entry: bytes, hash: Hash = sha256) -> bytes:
    return hash(b"\x00" + entry)


def node_hash(left: bytes, right: bytes, hash: Hash = sha256) -> bytes:
    return hash(b"\x01" + left + right)


def root(leaves: Sequence[bytes], hash: Hash = sha256) -> bytes:
    """The root over leaf hashes; of none, the hash of nothing."""
    tree = Tree(hash=hash)
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


class Tree:
    """A growing log that remembers only the roots of its complete subtrees, largest first.

    `peaks` and `size` are its whole state: store them to continue later.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = (), hash: Hash = sha256) -> None:
        if size.bit_count() != len(peaks):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks")
        self.size = size
        self.peaks = list(peaks)
        self._hash = hash

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf hash; returns the subtrees it completed, as (level, index, hash)."""
        index, node, level = self.size, leaf, 0
        completed = [(0, index, leaf)]
        while index & 1:
            node = self._hash(b"\x01" + self.peaks.pop() + node)
            index >>= 1
            level += 1
            completed.append((level, index, node))
        self.peaks.append(node)
        self.size += 1
        return completed

    def root(self) -> bytes:
        if not self.peaks:
            return self._hash(b"")
        result = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            result = node_hash(peak, result, self._hash)
        return result


def nodes_of(leaves: Sequence[bytes], hash: Hash = sha256) -> NodeAt:
    """Look-up of the nodes of a log held in memory."""
    tree, nodes = Tree(hash=hash), {}
    for leaf in leaves:
        for level, index, node in tree.append(leaf):
            nodes[level, index] = node
    return lambda level, index: nodes[level, index]


def inclusion_proof(node_at: NodeAt, index: int, size: int, hash: Hash = sha256) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 §2.1.1, leaf to root."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    return _path(node_at, index, 0, size, hash)


def root_of(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], hash: Hash = sha256
) -> bytes | None:
    """RFC 9162 §2.1.3.2: the root that a proof leads to from this leaf; None: it leads nowhere."""
    if not 0 <= index < size:
        return None
    node, position, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0 or type(sibling) is not bytes:
            return None
        if position & 1 or position == last:
            node = node_hash(sibling, node, hash)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling, hash)
        position >>= 1
        last >>= 1
    return node if last == 0 else None


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, hash: Hash = sha256
) -> bool:
    """Is this leaf hash entry `index` of the log of `size` under `root`?"""
    return root_of(leaf, index, size, proof, hash) == root


def consistency_proof(
    node_at: NodeAt, old_size: int, size: int, hash: Hash = sha256
) -> list[bytes]:
    """PROOF(old_size, D[size]) of RFC 6962 §2.1.2: the log of `size` extends the older one."""
    if not 0 <= old_size <= size:
        raise ValueError(f"a log of {size} cannot extend one of {old_size}")
    if old_size in (0, size):
        return []
    return _subproof(node_at, old_size, 0, size, True, hash)


def verify_consistency(
    old_size: int,
    size: int,
    old_root: bytes,
    root: bytes,
    proof: Sequence[bytes],
    hash: Hash = sha256,
) -> bool:
    """RFC 9162 §2.1.4.2: was nothing removed or altered between the two roots?"""
    if not 0 <= old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == root
    if old_size == 0:
        return not proof and old_root == hash(b"")
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not path:
        return False
    position, last = old_size - 1, size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_node = node_hash(sibling, old_node, hash)
            new_node = node_hash(sibling, new_node, hash)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_node = node_hash(new_node, sibling, hash)
        position >>= 1
        last >>= 1
    return last == 0 and old_node == old_root and new_node == root


def _split(start: int, end: int) -> int:
    """Where a span divides: the largest power of two below its length."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _span(node_at: NodeAt, start: int, end: int, hash: Hash) -> bytes:
    """The root over leaves start…end-1 of an aligned span."""
    length = end - start
    if length.bit_count() == 1:
        level = length.bit_length() - 1
        return node_at(level, start >> level)
    middle = _split(start, end)
    return node_hash(_span(node_at, start, middle, hash), _span(node_at, middle, end, hash), hash)


def _path(node_at: NodeAt, index: int, start: int, end: int, hash: Hash) -> list[bytes]:
    if end - start == 1:
        return []
    middle = _split(start, end)
    if index < middle:
        below = _path(node_at, index, start, middle, hash)
        return [*below, _span(node_at, middle, end, hash)]
    return [
        *_path(node_at, index, middle, end, hash),
        _span(node_at, start, middle, hash),
    ]


def _subproof(
    node_at: NodeAt, old: int, start: int, end: int, known: bool, hash: Hash
) -> list[bytes]:
    """`old` is absolute; `known` says that the verifier has the root of this span already."""
    if old == end:
        return [] if known else [_span(node_at, start, end, hash)]
    middle = _split(start, end)
    if old <= middle:
        below = _subproof(node_at, old, start, middle, known, hash)
        return [*below, _span(node_at, middle, end, hash)]
    return [
        *_subproof(node_at, old, middle, end, False, hash),
        _span(node_at, start, middle, hash),
    ]
