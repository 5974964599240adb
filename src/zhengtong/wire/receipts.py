"""Signed delivery: the receiver of a link states what became of which envelope, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from zhengtong.wire import cbor, cose
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import FindCard, NodeKeys, check_node_id, signer_of

MAX_ITEMS = 1000
MAX_RECEIPT = 256 * 1024


class Event(StrEnum):
    """What a receipt attests."""

    DELIVERED = "delivered"
    SIGNED_FOR = "signed_for"
    RETURNED = "returned"
    READ = "read"
    RECALLED = "recalled"
    DEAD = "dead"


@dataclass(frozen=True)
class ReceiptItem:
    """`at` is the receiver's clock; `envelope_hash` is by the suite of the envelope's sender."""

    sequence: int
    envelope_hash: bytes
    event: Event
    at: datetime


@dataclass(frozen=True)
class Receipt:
    """Statements of `receiver`, who signs, about letters that `sender` sent on their link."""

    sender: str
    receiver: str
    items: tuple[ReceiptItem, ...]


def encode_receipt(receipt: Receipt, keys: NodeKeys) -> bytes:
    """A COSE_Sign1 by the receiver of the link. Raises WireError."""
    if receipt.receiver != keys.node:
        raise WireError(Refusal.MALFORMED, f"receipt of {receipt.receiver}, keys of {keys.node}")
    if len(receipt.items) > MAX_ITEMS:
        raise WireError(Refusal.OVERSIZED, f"{len(receipt.items)} receipts")
    items = [
        [item.sequence, item.envelope_hash, item.event.value, to_microseconds(item.at)]
        for item in receipt.items
    ]
    payload = cbor.encode({"sender": receipt.sender, "receiver": receipt.receiver, "items": items})
    return keys.state(cose.RECEIPTS, payload)


def verify_receipt(data: bytes, find_card: FindCard) -> Receipt:
    """Read a receipt signed by its receiver. Raises WireError."""
    message = cose.parse(data, cose.RECEIPTS, MAX_RECEIPT)
    signer = signer_of(message, find_card)
    fields = Fields(cbor.decode(message.payload), "receipt")
    receipt = Receipt(
        sender=check_node_id(fields.text("sender")),
        receiver=check_node_id(fields.text("receiver")),
        items=tuple(_read_item(item) for item in fields.items("items", MAX_ITEMS)),
    )
    fields.end()
    if signer.node != receipt.receiver:
        raise WireError(Refusal.BAD_SIGNATURE, f"{signer.node} signed for {receipt.receiver}")
    return receipt


def _read_item(item: Any) -> ReceiptItem:
    fields = Fields(item, "receipt item")
    read = ReceiptItem(
        fields.number(0), fields.octets(1), fields.choice(2, Event), fields.moment(3)
    )
    fields.end()
    return read
