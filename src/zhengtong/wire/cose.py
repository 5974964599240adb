"""COSE_Sign1 (RFC 9052 §4.2), tagged, with everything that matters in the protected header.

The unprotected header is always empty and the encoding deterministic, so that there is exactly
one byte string for one signed statement and its hash can name it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zhengtong.wire import cbor
from zhengtong.wire.errors import Refusal, WireError

ALG, KID, CWT_CLAIMS, TYP = 1, 4, 15, 16
"""Header labels of RFC 9052 §3.1, RFC 9597 (claims) and RFC 9596 (type)."""

ENVELOPE = "application/vnd.zhengtong.envelope+cose"
STANDING = "application/vnd.zhengtong.standing+cose"
RECEIPT = "application/vnd.zhengtong.receipt+cose"
CARD = "application/vnd.zhengtong.card+cose"
FERRY = "application/vnd.zhengtong.ferry+cose"
"""The type is signed, so a statement of one sort can never pass for another."""

MAX_HEADER = 64 * 1024
_TAGGED_SIGN1 = b"\xd2\x84"
_TAGGED_ENCRYPT = b"\xd8\x60"
_NO_UNPROTECTED = b"\xa0"
_CONTEXT = b"\x84\x6aSignature1"
_NO_EXTERNAL = b"\x40"
_DETACHED = b"\xf6"


@dataclass(frozen=True)
class Signed:
    """A parsed COSE_Sign1 whose signature nobody has checked yet."""

    header: dict[int, Any]
    protected: bytes
    payload: bytes
    signature: bytes
    algorithm: int
    kid: bytes

    @cached_property
    def signed_bytes(self) -> bytes:
        return to_be_signed(self.protected, self.payload)


def sign(protected: bytes, payload: bytes, signer: Callable[[bytes], bytes]) -> bytes:
    """Sign and tag. `signer` gets the Sig_structure and returns the signature."""
    return assemble(protected, payload, signer(to_be_signed(protected, payload)))


def assemble(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """A tagged COSE_Sign1 from its parts."""
    return b"".join(
        (
            _TAGGED_SIGN1,
            cbor.bstr(protected),
            _NO_UNPROTECTED,
            cbor.head(2, len(payload)),
            payload,
            cbor.bstr(signature),
        )
    )


def parse(data: bytes, expected_type: str, max_bytes: int) -> Signed:
    """Take a message apart without trusting it.

    Raises WireError: oversized (before anything is read), unsigned, truncated, malformed.
    """
    if len(data) > max_bytes:
        raise WireError(Refusal.OVERSIZED, f"{len(data)} bytes, at most {max_bytes}")
    if not data.startswith(_TAGGED_SIGN1):
        raise _not_sign1(data)
    protected, at = cbor.read_bstr(data, len(_TAGGED_SIGN1))
    if data[at : at + 1] != _NO_UNPROTECTED:
        code = Refusal.MALFORMED if at < len(data) else Refusal.TRUNCATED
        raise WireError(code, "empty unprotected header expected")
    payload, at = cbor.read_bstr(data, at + 1)
    signature, at = cbor.read_bstr(data, at)
    if at != len(data):
        raise WireError(Refusal.MALFORMED, f"{len(data) - at} bytes after the end")
    if not signature:
        raise WireError(Refusal.UNSIGNED)
    header = parse_header(protected, expected_type)
    algorithm, kid = header.get(ALG), header.get(KID)
    if type(algorithm) is not int or type(kid) is not bytes:
        raise WireError(Refusal.MALFORMED, "header without algorithm or key id")
    return Signed(header, protected, payload, signature, algorithm, kid)


def parse_header(protected: bytes, expected_type: str) -> dict[int, Any]:
    """The protected header of a message of this type. Raises WireError."""
    if len(protected) > MAX_HEADER:
        raise WireError(Refusal.OVERSIZED, f"header of {len(protected)} bytes")
    header = cbor.decode(protected)
    if type(header) is not dict:
        raise WireError(Refusal.MALFORMED, "header is no map")
    if header.get(TYP) != expected_type:
        raise WireError(Refusal.MALFORMED, f"message type is not {expected_type}")
    return header


def detached(protected: bytes, unprotected: dict[int, Any], signature: bytes) -> bytes:
    """A tagged COSE_Sign1 whose payload is not carried (RFC 9052 §4.1: nil)."""
    parts = (cbor.bstr(protected), cbor.encode(unprotected), _DETACHED, cbor.bstr(signature))
    return b"".join((_TAGGED_SIGN1, *parts))


def parse_detached(data: bytes, max_bytes: int) -> tuple[bytes, dict[int, Any], bytes]:
    """Protected header, unprotected header and signature of such a message. Raises WireError."""
    if len(data) > max_bytes:
        raise WireError(Refusal.OVERSIZED, f"{len(data)} bytes, at most {max_bytes}")
    if not data.startswith(_TAGGED_SIGN1):
        raise _not_sign1(data)
    protected, at = cbor.read_bstr(data, len(_TAGGED_SIGN1))
    unprotected, at = cbor.decode_at(data, at)
    if type(unprotected) is not dict or data[at : at + 1] != _DETACHED:
        raise WireError(Refusal.MALFORMED, "a detached payload expected")
    signature, at = cbor.read_bstr(data, at + 1)
    if at != len(data):
        raise WireError(Refusal.MALFORMED, f"{len(data) - at} bytes after the end")
    return protected, unprotected, signature


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Sig_structure (RFC 9052 §4.4) with empty external data."""
    return b"".join(
        (_CONTEXT, cbor.bstr(protected), _NO_EXTERNAL, cbor.head(2, len(payload)), payload)
    )


def _not_sign1(data: bytes) -> WireError:
    if data.startswith(_TAGGED_ENCRYPT):
        return WireError(Refusal.UNSIGNED, "a bare COSE_Encrypt")
    if _TAGGED_SIGN1.startswith(data):
        return WireError(Refusal.TRUNCATED, f"{len(data)} bytes")
    return WireError(Refusal.MALFORMED, "no tagged COSE_Sign1")
