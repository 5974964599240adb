"""What the sealed body of a letter between nodes of this platform says."""

from __future__ import annotations

import cbor2


def pack(fact: bytes, addressees: list[str], subject: str) -> bytes:
    """A letter's body: the fact, the organisations it is for, the record it is about."""
    return cbor2.dumps({"fact": fact, "to": addressees, "subject": subject}, canonical=True)


def unpack(body: bytes) -> tuple[bytes, list[str], str]:
    """The inverse of `pack`. Raises ValueError on anything else."""
    try:
        value = cbor2.loads(body)
        fact, addressees, subject = value["fact"], value["to"], value["subject"]
    except Exception as error:  # cbor2 raises many kinds on hostile bytes
        raise ValueError("letter body is not readable") from error
    named = isinstance(addressees, list) and all(isinstance(item, str) for item in addressees)
    if not (isinstance(fact, bytes) and named and isinstance(subject, str)):
        raise ValueError("letter body has the wrong fields")
    return fact, addressees, subject
