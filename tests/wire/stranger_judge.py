"""The same stranger judges evidence files (docs/protocol.md §18), importing nothing of ours.

Time stamps only of authorities whose key is Ed25519, as that of the vectors.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.wire.stranger import (
    card,
    checkpoint,
    cosigned,
    decode,
    disclosed,
    encode,
    envelope,
    extend,
    follow,
    h,
    need,
    receipt,
    sequence,
    standing,
)
from tests.wire.stranger_suites import sha256


def sections(data: bytes) -> list[tuple[str, str, bytes]]:
    mark = encode("zhengtong-evidence/1")
    need(data.startswith(mark) and data[-32:] == sha256(data[:-34]), "damaged")
    table, table_hash, *bodies, _ = sequence(data[len(mark) :])
    rows = decode(table)
    need(table_hash == sha256(table) and len(rows) == len(bodies))
    for (_, _, length, digest), body in zip(rows, bodies, strict=True):
        need(len(body) == length and sha256(body) == digest, "damaged section")
    return [(part, label, body) for (part, label, *_), body in zip(rows, bodies, strict=True)]


def judge(data: bytes) -> list[str]:
    """What an evidence file proves. Raises for any fault."""
    found = sections(data)
    of = {part: [(label, body) for p, label, body in found if p == part] for part, _, _ in found}

    def every(part: str) -> list[bytes]:
        return [body for _, body in of.get(part, [])]

    proven: list[str] = []
    cards = {h(fields["signing"])[:8]: fields for fields in map(card, every("card"))}
    by_node = {fields["node"]: fields for fields in cards.values()}
    letters = {h(body): envelope(body, cards) for body in every("envelope")}
    digests = dict(zip((label for label, _ in of.get("envelope", [])), letters, strict=True))
    contents = {
        digests[label]: disclosed(letters[digests[label]], body)
        for label, body in of.get("content", [])
    }
    files = [tuple(ref) for content in contents.values() for ref in content[2]]
    for name, body in of.get("file", []):
        need((name, len(body), h(body)) in files, "file")
    for item in every("receipt"):
        logged, signed = decode(item)
        entry = receipt(logged, signed, cards)
        need(entry[6] in letters, "receipt for another letter")
        proven.append(f"{entry[1]} {entry[0]}")
    proven += _sequences(every("span"), [standing(s, cards) for s in every("standing")], letters)
    document = decode(every("about")[0])[1].encode()
    for digest, claims in letters.items():
        told = digest in contents and document in contents[digest][1]
        if claims[-70001] == "documents.signed_for" and told:
            proven.append(f"{claims[1]} signed for it")
    heads: list[Any] = []
    for note in every("checkpoint"):
        by = by_node[note.decode().split("\n")[0].split("/")[0]]
        heads.append(checkpoint(note, by))
        need(all(head[:3] == heads[-1][:3] for head in heads if head[:2] == heads[-1][:2]))
        for name, mark in heads[-1][4]:
            if name in by_node:
                proven.append(f"{name} cosigned {cosigned(heads[-1][3], mark, by_node[name])}")
    for item in every("entry"):
        body, index, path, number = decode(item)
        _, size, root, _, _ = heads[number]
        need(follow(h(b"\0", body), index, size, path) == root, "entry")
        proven.append(f"entry {index} in {heads[number][0]}")
    for item in every("stamp"):
        number, token = decode(item)
        proven.append(f"{heads[number][0]} stamped {stamp(token, heads[number][3].encode())}")
    need(proven)
    return proven


def _sequences(spans: list[bytes], standings: list[dict[str, Any]], letters: Any) -> list[str]:
    proven = []
    for span in spans:
        sender, receiver, lane, first, before, hashes = decode(span)
        need(set(hashes) & set(letters), "span of other letters")
        chains = {first - 1: before}
        for step, digest in enumerate(hashes):
            chains[first + step] = extend(chains[first + step - 1], digest)
        reached: dict[str, int] = {}
        for said in standings:
            heads = {(sender, receiver): "sent", (receiver, sender): "received"}
            role = heads.get((said["sender"], said["receiver"]))
            if role is None or said["lane"] != lane or said[role][0] not in chains:
                continue
            number, chain = said[role]
            need(chains[number] == chain, "letters withheld or replaced")
            reached[role] = max(number, reached.get(role, 0))
        if len(reached) == 2 and min(reached.values()) >= first:
            proven.append(f"{sender} to {receiver} {first} to {min(reached.values())} whole")
    return proven


def der(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Tag, content and the whole of each element."""
    found = []
    while data:
        length, at = data[1], 2
        if length & 0x80:
            at += length & 0x7F
            length = int.from_bytes(data[2:at], "big")
        need(at + length <= len(data))
        found.append((data[0], data[at : at + length], data[: at + length]))
        data = data[at + length :]
    return found


def stamp(token: bytes, text: bytes) -> str:
    """When: for an authority whose key is Ed25519, as in the vectors."""
    ((_, outer, _),) = der(token)
    ((_, signed, _),) = der(der(outer)[1][1])
    _, _, held, certificates, signers = der(signed)
    ((_, content, _),) = der(der(held[1])[1][1])
    info = der(der(content)[0][1])
    need(sha256(text) == der(info[2][1])[1][1], "a stamp on something else")
    _, _, _, attributes, _, signature = der(der(signers[1])[0][1])
    values = {der(item)[0][1].hex(): der(der(item)[1][1])[0] for _, item, _ in der(attributes[1])}
    need(values["2a864886f70d010904"][1] == hashlib.sha512(content).digest(), "altered")
    need(sha256(certificates[1]) in values["2a864886f70d010910022f"][1], "another certificate")
    certificate = x509.load_der_x509_certificate(certificates[1])
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    need(purposes.critical and list(purposes.value) == [ExtendedKeyUsageOID.TIME_STAMPING])
    key = certificate.public_key()
    assert isinstance(key, Ed25519PublicKey)
    key.verify(signature[1], b"\x31" + attributes[2][1:])
    return info[4][1].decode()
