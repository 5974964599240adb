"""The signed head of an evidence log, in the text form of C2SP tlog-checkpoint.

    zhoukou/exchange            origin: whose log, and which of its logs
    4711                        size
    q1…=                        root, base64
    (empty line)
    — zhoukou/exchange Az3g…=   signature line (C2SP signed-note)
    — fugou jWbP…=              a witness's line (C2SP tlog-cosignature)

Text, so that it can be printed, read out and compared by telephone.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.suite import Suite

MAX_CHECKPOINT = 16 * 1024
_COSIGNATURE = 4
_LATEST = 253_000_000_000  # seconds; a date beyond the year 9987 is no date
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
    """The name of a node's log of sealed audit entries (its exchange log: receipts.log_name)."""
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
    """The checkpoint of one of this node's logs, signed with its key. Raises WireError.

    Signature lines by others are passed over: see `witnesses`.
    """
    checkpoint, text, notes = parse_checkpoint(data)
    if checkpoint.origin.partition("/")[0] != card.node:
        raise WireError(Refusal.BAD_SIGNATURE, f"log {checkpoint.origin} is not of {card.node}")
    if not verify_note(text, notes, checkpoint.origin, card.crypto, card.signing_public):
        raise WireError(Refusal.BAD_SIGNATURE, f"checkpoint of {checkpoint.origin}")
    return checkpoint


def cosign(data: bytes, at: datetime, keys: NodeKeys) -> bytes:
    """Our line under a checkpoint whose consistency we have verified (C2SP tlog-cosignature)."""
    _, text, _ = parse_checkpoint(data)
    seconds = int(at.timestamp())
    signed = keys.suite.sign(keys.signing, _witnessed_text(text, seconds))
    mark = _cosigner_hash(keys.node, keys.suite, keys.signing_public)
    return _line(keys.node, mark + seconds.to_bytes(8, "big") + signed).encode()


def cosigned_anew(data: bytes, at: datetime, keys: NodeKeys) -> bytes:
    """A checkpoint whose last line is ours, with that line under the key we have at present."""
    note, _, line = data.removesuffix(b"\n").rpartition(b"\n")
    payload = _base64(line.decode().rpartition(" ")[2])
    if payload[:4] == _cosigner_hash(keys.node, keys.suite, keys.signing_public):
        return data
    return note + b"\n" + cosign(data, at, keys)


def witnessed_at(checkpoint: Checkpoint, line: bytes, card: NodeCard) -> datetime:
    """When this node says it has verified the checkpoint. Raises WireError."""
    found = _SIGNATURE_LINE.fullmatch(line.decode(errors="replace").removesuffix("\n"))
    try:
        payload = _base64(found[2]) if found else b""
    except ValueError:
        payload = b""
    mark = _cosigner_hash(card.node, card.crypto, card.signing_public)
    seconds = int.from_bytes(payload[4:12], "big")
    if found is None or found[1] != card.node or payload[:4] != mark or seconds > _LATEST:
        raise WireError(Refusal.MALFORMED, f"cosignature of {card.node}")
    signed = _witnessed_text(checkpoint.text(), seconds)
    if not card.crypto.verify(card.signing_public, payload[12:], signed):
        raise WireError(Refusal.BAD_SIGNATURE, f"cosignature of {card.node}")
    return datetime.fromtimestamp(seconds, UTC)


def _witnessed_text(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _cosigner_hash(name: str, suite: Suite, public: bytes) -> bytes:
    """As note_key_hash, with the type byte of a cosignature."""
    mark = bytes((_COSIGNATURE if suite.note_algorithm == 1 else suite.note_algorithm,))
    return suite.hash(f"{name}\n".encode() + mark + public)[:4]


def _line(name: str, payload: bytes) -> str:
    return f"— {name} {base64.b64encode(payload).decode()}\n"


def sign_note(text: str, name: str, keys: NodeKeys) -> str:
    """A C2SP signed note: text, empty line, one signature line."""
    suite = keys.suite
    signature = note_key_hash(name, suite, keys.signing_public)
    signature += suite.sign(keys.signing, text.encode())
    return f"{text}\n{_line(name, signature)}"


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


def verifier_key(card: NodeCard, name: str) -> str:
    """The line that other transparency-log tools take as the public key of this log."""
    suite = card.crypto
    encoded = base64.b64encode(bytes((suite.note_algorithm,)) + card.signing_public).decode()
    return f"{name}+{note_key_hash(name, suite, card.signing_public).hex()}+{encoded}"


def _base64(text: str) -> bytes:
    """Strict base64, without even spare bits in the last digit. Raises ValueError."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data
