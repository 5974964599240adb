"""The evidence tree against RFC 6962's own definitions and the vectors of the CT project."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.wire import merkle
from zhengtong.wire.merkle import (
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    nodes_of,
    root,
    verify_consistency,
    verify_inclusion,
)

# The inputs and roots that Certificate Transparency implementations test against.
CT_ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = range(65)
LEAVES = [leaf_hash(bytes([number])) for number in range(64)]


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def test_the_roots_of_certificate_transparency() -> None:
    leaves = [leaf_hash(entry) for entry in CT_ENTRIES]
    assert root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [root(leaves[:size]).hex() for size in range(1, 9)] == CT_ROOTS


def test_the_paths_of_rfc_6962() -> None:
    """§2.1.3 spells the proofs of a tree of seven out: a…j as drawn there."""
    d = LEAVES[:7]
    a, b, c = d[0], d[1], d[2]
    e, f, j = d[4], d[5], d[6]
    g, h, i = node_hash(a, b), node_hash(c, d[3]), node_hash(e, f)
    k, last = node_hash(g, h), node_hash(i, j)
    node_at = nodes_of(d)
    assert inclusion_proof(node_at, 0, 7) == [b, h, last]
    assert inclusion_proof(node_at, 3, 7) == [c, g, last]
    assert inclusion_proof(node_at, 4, 7) == [f, j, k]
    assert inclusion_proof(node_at, 6, 7) == [i, k]
    assert consistency_proof(node_at, 3, 7) == [c, d[3], g, last]
    assert consistency_proof(node_at, 4, 7) == [last]
    assert consistency_proof(node_at, 6, 7) == [i, j, k]


@pytest.mark.parametrize("size", SIZES)
def test_every_size_up_to_64(size: int) -> None:
    leaves = LEAVES[:size]
    node_at, top = nodes_of(leaves), root(leaves)
    assert top == defined_root(leaves)
    for index in range(size):
        proof = inclusion_proof(node_at, index, size)
        assert verify_inclusion(leaves[index], index, size, proof, top)
        assert not verify_inclusion(leaves[index], index, size, [*proof, top], top)
        assert not verify_inclusion(leaves[index], index + 1, size, proof, top)
        assert not proof or not verify_inclusion(leaves[index], index, size, proof[:-1], top)
    for old in range(size + 1):
        proof = consistency_proof(node_at, old, size)
        assert verify_consistency(old, size, root(leaves[:old]), top, proof)
        assert not verify_consistency(old, size, root(leaves[:old]), top, [*proof, top])
        if old not in (0, size):
            assert not verify_consistency(old, size, top, top, proof)
            assert not verify_consistency(old, size, root(leaves[:old]), leaves[0], proof)
            assert not verify_consistency(old, size, root(leaves[:old]), top, proof[:-1])


def test_a_proof_longer_or_shorter_than_its_tree_is_refused() -> None:
    """Both would hash to the root; they lie about the size of the log."""
    top = root(LEAVES[:2])
    assert not verify_inclusion(LEAVES[1], 0, 1, [LEAVES[0]], top)
    assert not verify_inclusion(top, 0, 2, [], top)


@given(st.integers(1, 64), st.data())
@settings(deadline=None, max_examples=60)
def test_no_changed_bit_of_a_proof_passes(size: int, data: st.DataObject) -> None:
    node_at, top = nodes_of(LEAVES[:size]), root(LEAVES[:size])
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(node_at, index, size)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        assert not verify_inclusion(LEAVES[index], index, size, proof, top)


@given(st.integers(0, 64), st.integers(0, 64))
@settings(deadline=None, max_examples=60)
def test_a_tree_continues_from_its_stored_state(size: int, resumed_at: int) -> None:
    resumed_at = min(resumed_at, size)
    before = Tree()
    for leaf in LEAVES[:resumed_at]:
        before.append(leaf)
    after = Tree(before.size, before.peaks)
    for leaf in LEAVES[resumed_at:size]:
        after.append(leaf)
    assert (after.size, after.root()) == (size, root(LEAVES[:size]))


def test_a_state_that_fits_no_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="peaks"):
        Tree(3, [LEAVES[0]])
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(nodes_of(LEAVES[:3]), 3, 3)
    with pytest.raises(ValueError, match="cannot extend"):
        consistency_proof(nodes_of(LEAVES[:3]), 4, 3)


def test_another_suites_hash_gives_another_tree() -> None:
    def blake(data: bytes) -> bytes:
        return hashlib.blake2s(data).digest()

    leaves = [leaf_hash(entry, blake) for entry in CT_ENTRIES]
    node_at, top = nodes_of(leaves, blake), root(leaves, blake)
    assert top != root(leaves)
    proof = inclusion_proof(node_at, 5, 8, blake)
    assert verify_inclusion(leaves[5], 5, 8, proof, top, blake)
    assert not merkle.verify_inclusion(leaves[5], 5, 8, proof, top)
