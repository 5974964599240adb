"""A new card for a node that changes its keys: who vouches that it is still the same node.

In a rotation the old key vouches for the new one. After a loss there is no old key; then the
node's recovery key does, which was made beforehand, kept off the machine, and registered with the
neighbours. Which of the two is meant stands in the signed statement, so that neither can pass for
the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from zhengtong.wire import cbor, cose
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.fields import Fields, to_microseconds
from zhengtong.wire.keys import MAX_CARD, TOP_LEVEL, NodeCard, NodeKeys

VOUCHER = "application/vnd.zhengtong.voucher+cose"
MAX_VOUCHER = 2 * MAX_CARD


class Cause(StrEnum):
    """Why the keys change."""

    ROTATION = "rotation"
    LOSS = "loss"


@dataclass(frozen=True)
class Voucher:
    """`card` is the node's new card; the key `by` (an id) says so, because of `cause`."""

    card: NodeCard
    cause: Cause
    by: bytes
    at: datetime
    signed: bytes = field(repr=False)


def vouch(keys: NodeKeys, card: NodeCard, cause: Cause, at: datetime) -> Voucher:
    """State with the old keys (rotation) or the recovery keys (loss) that `card` is the node's."""
    payload = cbor.encode({"cause": cause.value, "card": card.to_cbor(), "at": to_microseconds(at)})
    return Voucher(card, cause, keys.signing_kid, at, keys.state(VOUCHER, payload))


def recovery_card(keys: NodeKeys, title: str, url: str, at: datetime) -> NodeCard:
    """The public half of a recovery key: a card of the same node, valid for every level.

    The node's own ceiling is still held by its own card; the recovery key stands in no node, so it
    needs none and need not be made anew when that ceiling changes.
    """
    return NodeCard.issue(
        keys, title=title, zone="recovery", ceiling=TOP_LEVEL, url=url, issued_at=at
    )


def claimed_card(data: bytes) -> NodeCard:
    """The card that a voucher carries; who vouches for it is not checked. Raises WireError."""
    message = cose.parse(data, VOUCHER, MAX_VOUCHER)
    return NodeCard.from_cbor(Fields(cbor.decode(message.payload), "voucher").octets("card"))


def read_voucher(data: bytes, known: NodeCard, recovery: NodeCard | None) -> Voucher:
    """The new card of the node whose card is `known` and whose recovery card is `recovery`.

    Raises WireError: bad_signature (by neither of the keys that may vouch, or for another node),
    unknown_sender (a loss, but no recovery key is registered), outdated (a card not newer than
    the one known), malformed (zone, ceiling or suite would change with the keys).
    """
    message = cose.parse(data, VOUCHER, MAX_VOUCHER)
    fields = Fields(cbor.decode(message.payload), "voucher")
    cause = fields.choice("cause", Cause)
    card = NodeCard.from_cbor(fields.octets("card"))
    at = fields.moment("at")
    fields.end()
    signer = known if cause is Cause.ROTATION else recovery
    if signer is None:
        raise WireError(Refusal.UNKNOWN_SENDER, f"no recovery key of {known.node} is registered")
    signer.verify(message)
    if card.node != known.node or signer.node != known.node:
        raise WireError(Refusal.BAD_SIGNATURE, f"{signer.node} vouched for {card.node}")
    if card.issued_at <= known.issued_at:
        raise WireError(Refusal.OUTDATED, f"card of {card.node}")
    if (card.zone, card.ceiling, card.suite) != (known.zone, known.ceiling, known.suite):
        raise WireError(Refusal.MALFORMED, "zone, ceiling and suite do not change with the keys")
    if card.keys & known.keys:
        raise WireError(Refusal.MALFORMED, f"card of {card.node}: a key is not new")
    return Voucher(card, cause, signer.signing_kid, at, data)
