"""A verifier by a stranger: written from docs/protocol.md alone, importing nothing of ours.

All nodes of one file or vector are of one suite here (`speak`); only letters of the international
suite are opened. Whatever breaks a rule raises `Wrong`, or an error of a library.
"""

from __future__ import annotations

import base64
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from tests.wire.stranger_suites import SUITES

TYPE = "application/vnd.zhengtong.{}+cose"
Cards = dict[bytes, dict[str, Any]]
_spoken = ["intl"]


class Wrong(Exception):
    """A rule of the page is broken."""


def need(condition: object, why: str = "") -> None:
    if not condition:
        raise Wrong(why)


def speak(suite: str) -> None:
    """From now on, all nodes are of this suite."""
    _spoken[0] = suite


def suite() -> Any:
    return SUITES[_spoken[0]]


def h(*parts: bytes) -> bytes:
    digest: bytes = suite().hash(b"".join(parts))
    return digest


# §2 Encoding


def encode(value: Any) -> bytes:
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> Any:
    value = cbor2.loads(data)
    body = value.value if isinstance(value, cbor2.CBORTag) and value.tag in (18, 96) else value
    check(body, 0)
    need(encode(value) == data, "not deterministic")
    return body


def check(value: Any, depth: int) -> None:
    if isinstance(value, list | dict):
        need(depth < 8, "too deep")
        for key in value if isinstance(value, dict) else ():
            need(type(key) in (int, str), "key is no label")
        for item in value.values() if isinstance(value, dict) else value:
            check(item, depth + 1)
    else:
        need(value is None or type(value) in (int, bytes, str, bool), "outside the profile")
        need(type(value) is not int or -(2**64) <= value < 2**64, "too great")


def sequence(data: bytes) -> list[bytes]:
    """A CBOR sequence of byte strings."""
    items = []
    while data:
        value, data = first(data)
        items.append(value)
    return items


def first(data: bytes) -> tuple[bytes, bytes]:
    """The byte string that data begins with, and what is behind it."""
    value = cbor2.loads(data)
    need(type(value) is bytes)
    head = len(encode(value))
    need(encode(value) == data[:head])
    return value, data[head:]


# §4, §5 Signed structures


def holds(public: bytes, signature: bytes, message: bytes) -> None:
    suite().holds(public, signature, message)


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    return encode(["Signature1", protected, b"", payload])


def sign1(data: bytes, kind: str) -> tuple[dict[int, Any], bytes, bytes, bytes]:
    """Header, protected, payload, signature."""
    need(data[:2] == b"\xd2\x84")
    protected, unprotected, payload, signature = decode(data)
    header = decode(protected)
    need(unprotected == {} and header[16] == TYPE.format(kind) and signature)
    return header, protected, payload, signature


def verify_sign1(data: bytes, kind: str, public: bytes) -> bytes:
    header, protected, payload, signature = sign1(data, kind)
    need(header[4] == h(public)[:8], "another key")
    message = to_be_signed(protected, payload)
    if header[1] == suite().signature:
        holds(public, signature, message)
    else:
        need(header[1] == suite().tree_signature)
        size, index, path, root_signature = decode(signature)
        root = follow(h(b"\0", message), index, size, path)
        statement = b"zhengtong signed tree v1\0" + size.to_bytes(8, "big") + root
        holds(public, root_signature, statement)
    return payload


# §6 Card


def card(data: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = decode(sign1(data, "card")[2])
    names = "node title zone ceiling url suite signing agreement issued_at".split()
    need(sorted(fields) == sorted(names) and fields["suite"] == suite().name)
    verify_sign1(data, "card", fields["signing"])
    return fields


def signer(data: bytes, kind: str, cards: Cards) -> dict[str, Any]:
    kid = sign1(data, kind)[0][4]
    need(kid in cards, "unknown sender")
    verify_sign1(data, kind, cards[kid]["signing"])
    return cards[kid]


# §7 Envelope


def envelope(data: bytes, cards: Cards) -> dict[int, Any]:
    """The claims of a letter whose signature holds."""
    sender = signer(data, "envelope", cards)
    claims: dict[int, Any] = sign1(data, "envelope")[0][15]
    need(sorted(claims.keys() - {-70008}) == sorted([1, 3, 7, *range(-70007, -70000)]))
    need(claims[1] == sender["node"] and claims[-70003] <= sender["ceiling"] and claims[3])
    return claims


def disclosed(claims: dict[int, Any], plaintext: bytes) -> list[Any]:
    need(
        claims[-70006] == suite().hash_number and h(plaintext) == claims[-70007], "another content"
    )
    content: list[Any] = decode(plaintext)
    return content


def open_envelope(data: bytes, private: bytes, kid: bytes) -> bytes:
    _, outer, payload, _ = sign1(data, "envelope")
    return opened(payload, outer, private, kid)


def opened(sealed: bytes, outer: bytes, private: bytes, kid: bytes) -> bytes:
    """The plaintext of a COSE_Encrypt with this external data."""
    need(sealed[:2] == b"\xd8\x60")
    protected, unprotected, ciphertext, recipients = decode(sealed)
    (mine,) = [entry for entry in recipients if entry[1][4] == kid]
    point = X25519PublicKey.from_public_bytes(mine[1][-1][-2])
    secret = X25519PrivateKey.from_private_bytes(private).exchange(point)
    nobody = [None, None, None]
    info = encode([-5, nobody, nobody, [256, mine[0]]])
    key = HKDF(hashes.SHA256(), 32, bytes(32), info).derive(secret)
    bound = encode(["Encrypt", protected, outer])
    return AESGCM(aes_key_unwrap(key, mine[2])).decrypt(unprotected[5], ciphertext, bound)


def open_bulk(claims: dict[int, Any], sealed: bytes, key: bytes) -> bytes:
    need(h(sealed) == claims[-70008], "another bulk")
    return AESGCM(key).decrypt(bytes(12), sealed, b"zhengtong bulk v1")


# §8 Chain


def extend(chain: bytes, digest: bytes) -> bytes:
    return h(b"\2", chain, digest)


# §9 Batch


def standing(data: bytes, cards: Cards) -> dict[str, Any]:
    by = signer(data, "standing", cards)
    fields: dict[str, Any] = decode(sign1(data, "standing")[2])
    need(fields["sender"] == by["node"], "signed as another")
    return fields


def batch(data: bytes, cards: Cards, receiver: str) -> tuple[dict[str, Any], dict[str, Any]]:
    signed, rest = first(data)
    body, rest = first(rest)
    said = standing(signed, cards)
    need(h(body) == said["body"] and said["receiver"] == receiver)
    fields = decode(body)
    for letter in fields["letters"]:
        if letter[1] is None:
            need(len(letter) == 3 and len(letter[2]) == 32)
        elif len(letter) == 3:
            size, letter[2] = letter[2], rest[: letter[2]]
            rest = rest[size:]
            need(len(letter[2]) == size >= 1)
    need(not rest)
    numbers = [letter[0] for letter in fields["letters"]]
    need(numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True)
    need(not numbers or (numbers[0] >= 1 and numbers[-1] <= said["sent"][0] <= said["high"]))
    begin, last = said["lost"]
    if last:
        need(1 <= begin <= last and numbers in ([], [last + 1]))
        need(said["sent"][0] == last + len(numbers))
    return said, fields


def digest_of(letter: list[Any]) -> bytes:
    """The envelope hash of a letter in a batch; of one that was withheld it is all there is."""
    return bytes(letter[2]) if letter[1] is None else h(letter[1])


# §10 Log


def tree(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else h()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return h(b"\1", tree(leaves[:k]), tree(leaves[k:]))


def follow(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion path leads to, by the recursive definition."""
    need(0 <= index < size)
    if size == 1:
        need(not path, "path too long")
        return leaf
    need(path, "path too short")
    k = 1 << (size - 1).bit_length() - 1
    if index < k:
        return h(b"\1", follow(leaf, index, k, path[:-1]), path[-1])
    return h(b"\1", path[-1], follow(leaf, index - k, size - k, path[:-1]))


def grown(old: int, size: int, root: bytes, path: list[bytes], whole: bool = True) -> list[bytes]:
    """The old and the new root that a consistency path leads to; takes the path apart."""
    if old == size:
        if not whole:
            root = path.pop()
        return [root, root]
    k, sibling = 1 << (size - 1).bit_length() - 1, path.pop()
    if old <= k:
        below = grown(old, k, root, path, whole)
        return [below[0], h(b"\1", below[1], sibling)]
    below = grown(old - k, size - k, root, path, False)
    return [h(b"\1", sibling, side) for side in below]


def consistent(old: int, size: int, old_root: bytes, root: bytes, path: list[bytes]) -> None:
    left = list(path)
    if old:
        need(grown(old, size, old_root, left) == [old_root, root], "log was rewritten")
    need(not left and (old or old_root == h()))


# §11 Checkpoints


def checkpoint(note: bytes, card: dict[str, Any]) -> tuple[str, int, bytes, str, list[list[str]]]:
    """Origin, size, root, signed text, and (name, base64) of every signature line."""
    text, _, signatures = note.decode().rpartition("\n\n")
    origin, size, root, *_ = text.split("\n")
    lines = [line.removeprefix("— ").split(" ") for line in signatures.strip().split("\n")]
    (own,) = [base64.b64decode(mark) for name, mark in lines if name == origin]
    need(origin.split("/")[0] == card["node"])
    need(own[:4] == h(origin.encode(), b"\n", suite().note, card["signing"])[:4])
    holds(card["signing"], own[4:], (text + "\n").encode())
    return origin, int(size), base64.b64decode(root, validate=True), text + "\n", lines


def cosigned(text: str, mark: str, card: dict[str, Any]) -> int:
    """When the neighbour says it has verified the checkpoint, in seconds."""
    line = base64.b64decode(mark, validate=True)
    seconds = int.from_bytes(line[4:12], "big")
    need(line[:4] == h(card["node"].encode(), b"\n", suite().cosignature, card["signing"])[:4])
    holds(card["signing"], line[12:], f"cosignature/v1\ntime {seconds}\n{text}".encode())
    return seconds


# §12 Receipts


def root_signed(protected: bytes, signature: bytes, root: bytes, cards: Cards) -> dict[str, Any]:
    header = decode(protected)
    by = cards[header[4]]
    need(header[16] == TYPE.format("receipt") and header[395] == suite().vds)
    need(header[1] == suite().signature)
    need(header[15][1].split("/")[0] == by["node"])
    holds(by["signing"], signature, to_be_signed(protected, root))
    return by


def receipts(data: bytes, cards: Cards) -> list[list[Any]]:
    origin, first, peaks, entries, protected, signature = decode(data)
    stack, end = list(peaks), first
    need(len(peaks) == first.bit_count() and decode(protected)[15][1] == origin)
    for item in entries:
        node, at = h(b"\0", item), end
        while at & 1:
            node, at = h(b"\1", stack.pop(), node), at >> 1
        stack.append(node)
        end += 1
    root = stack.pop()
    while stack:
        root = h(b"\1", stack.pop(), root)
    by = root_signed(protected, signature, root, cards)
    read: list[list[Any]] = [decode(item) for item in entries]
    need(all(entry[1] == by["node"] for entry in read))
    return read


def receipt(entry: bytes, data: bytes, cards: Cards) -> list[Any]:
    protected, unprotected, payload, signature = decode(data)
    ((encoded,),) = [unprotected[396][-1]]
    size, index, path = decode(encoded)
    need(payload is None)
    by = root_signed(protected, signature, follow(h(b"\0", entry), index, size, path), cards)
    read: list[Any] = decode(entry)
    need(read[1] == by["node"])
    return read
