"""The signed head of an evidence log, in the text form of C2SP tlog-checkpoint.

    zhoukou/evidence            origin: whose log
    4711                        size
    q1…=                        root, base64
    (empty line)
    — zhoukou/evidence Az3g…=   signature line (C2SP signed-note)

Text, so that it can be printed, read out and compared by telephone.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.suite import Suite

MAX_CHECKPOINT = 16 * 1024
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_SIGNATURE_LINE = re.compile(r"— (\S+) (\S+)")


@dataclass(frozen=True)
class Checkpoint:
    """`root` over the first `size` entries of the log named `origin`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def log_origin(node: str) -> str:
    """The name of a node's evidence log."""
    return f"{node}/evidence"


def sign_checkpoint(checkpoint: Checkpoint, keys: NodeKeys) -> bytes:
    """The signed note of the log's own node."""
    return sign_note(checkpoint.text(), checkpoint.origin, keys).encode()


def parse_checkpoint(data: bytes) -> tuple[Checkpoint, str, list[tuple[str, bytes]]]:
    """Checkpoint, signed text, and (name, key hash + signature) per signature line.

    Nothing is verified. Raises WireError: oversized or malformed.
    """
    if len(data) > MAX_CHECKPOINT:
        raise WireError(Refusal.OVERSIZED, f"checkpoint of {len(data)} bytes")
    try:
        text, _, signatures = data.decode().rpartition("\n\n")
        origin, size, encoded_root, *_extensions = text.split("\n")
        signed = signatures.removesuffix("\n").split("\n")
        lines = [_SIGNATURE_LINE.fullmatch(line) for line in signed]
        root = _base64(encoded_root)
        notes = [(line[1], _base64(line[2])) for line in lines if line]
    except ValueError:
        raise WireError(Refusal.MALFORMED, "checkpoint text") from None
    complete = data.endswith(b"\n") and len(notes) == len(lines)
    if not (origin and _SIZE.fullmatch(size) and complete):
        raise WireError(Refusal.MALFORMED, "checkpoint text")
    return Checkpoint(origin, int(size), root), text + "\n", notes


def verify_checkpoint(data: bytes, card: NodeCard) -> Checkpoint:
    """The checkpoint of this node's log, signed with its key. Raises WireError.

    Signature lines by others (witnesses) are passed over.
    """
    checkpoint, text, notes = parse_checkpoint(data)
    if checkpoint.origin != log_origin(card.node):
        raise WireError(Refusal.BAD_SIGNATURE, f"log {checkpoint.origin} is not of {card.node}")
    if not verify_note(text, notes, checkpoint.origin, card.crypto, card.signing_public):
        raise WireError(Refusal.BAD_SIGNATURE, f"checkpoint of {checkpoint.origin}")
    return checkpoint


def sign_note(text: str, name: str, keys: NodeKeys) -> str:
    """A C2SP signed note: text, empty line, one signature line."""
    suite = keys.suite
    signature = note_key_hash(name, suite, keys.signing_public)
    signature += suite.sign(keys.signing, text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def verify_note(
    text: str, notes: list[tuple[str, bytes]], name: str, suite: Suite, public: bytes
) -> bool:
    """Is the text signed by this named key?"""
    key_hash = note_key_hash(name, suite, public)
    return any(
        signer == name and note[:4] == key_hash and suite.verify(public, note[4:], text.encode())
        for signer, note in notes
    )


def note_key_hash(name: str, suite: Suite, public: bytes) -> bytes:
    """The four bytes by which a note names its key (C2SP signed-note)."""
    return suite.hash(f"{name}\n".encode() + bytes((suite.note_algorithm,)) + public)[:4]


def verifier_key(card: NodeCard) -> str:
    """The line that other transparency-log tools take as this log's public key."""
    name, suite = log_origin(card.node), card.crypto
    encoded = base64.b64encode(bytes((suite.note_algorithm,)) + card.signing_public).decode()
    return f"{name}+{note_key_hash(name, suite, card.signing_public).hex()}+{encoded}"


def _base64(text: str) -> bytes:
    """Strict base64, without even spare bits in the last digit. Raises ValueError."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data
