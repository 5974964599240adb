"""A small world for the protocol tests: three nodes with keys, and letters between them.

The world stands in the international suite. The fixture `suite` (conftest.py) runs a module of
tests in this world and once more in that of the commercial suite.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from zhengtong.wire import merkle
from zhengtong.wire.batch import Batch, Letter, Refused
from zhengtong.wire.checkpoint import Checkpoint, log_origin, sign_checkpoint
from zhengtong.wire.envelope import Content, FileRef, Sealed, seal_disclosed
from zhengtong.wire.errors import Refusal
from zhengtong.wire.evidence import About, Evidence, EvidenceFile, EvidenceLetter, LoggedEntry
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.receipts import Event, Receipt, ReceiptItem, encode_receipt

NOW = datetime(2026, 3, 2, 1, 30, 0, 250000, tzinfo=UTC)
DOCUMENT = "urn:zhengtong:zhoukou:document:0193a7"
ATTACHMENT = b"%PDF-1.7 fictional attachment " * 8


def seeded(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


SUITE = "intl"


def node(
    name: str, title: str, seed: int, ceiling: int = 2, suite: str = ""
) -> tuple[NodeKeys, NodeCard]:
    """Keys and card of a node, by default in the suite of this world."""
    keys = NodeKeys.generate(name, suite or SUITE, seeded(seed))
    card = NodeCard.issue(
        keys,
        title=title,
        zone="private",
        ceiling=ceiling,
        url=f"https://{name}.example",
        issued_at=NOW,
    )
    return keys, card


PEOPLE = {
    "CITY": ("zhoukou", "周口市", 1, 2),
    "FUGOU": ("fugou", "扶沟县", 2, 2),
    "SHENQIU": ("shenqiu", "沈丘县", 3, 2),
    "PORTAL": ("portal", "门户", 4, 0),
    "RECOVERY": ("recovery", "恢复密钥", 5, 2),
}
CITY, CITY_CARD = node(*PEOPLE["CITY"])
FUGOU, FUGOU_CARD = node(*PEOPLE["FUGOU"])
SHENQIU, SHENQIU_CARD = node(*PEOPLE["SHENQIU"])
PORTAL, PORTAL_CARD = node(*PEOPLE["PORTAL"])
RECOVERY, RECOVERY_CARD = node(*PEOPLE["RECOVERY"])
CARDS = (CITY_CARD, FUGOU_CARD, SHENQIU_CARD, PORTAL_CARD, RECOVERY_CARD)
find_card = {card.signing_kid: card for card in CARDS}.get


def world(suite: str) -> dict[str, object]:
    """The names above as they stand in the world of another suite."""
    nodes = {name: node(*who, suite) for name, who in PEOPLE.items()}
    cards = tuple(card for _, card in nodes.values())
    return {
        "SUITE": suite,
        **{name: keys for name, (keys, _) in nodes.items()},
        **{f"{name}_CARD": card for name, (_, card) in nodes.items()},
        "CARDS": cards,
        "find_card": {card.signing_kid: card for card in cards}.get,
    }


def file_ref(name: str = "a.pdf", data: bytes = ATTACHMENT) -> FileRef:
    return FileRef(name, len(data), CITY.suite.hash(data))


def content(
    body: bytes = b"",
    *,
    origin: str = "zhoukou",
    level: int = 1,
    kind: str = "documents.dispatched",
) -> Content:
    return Content(
        message_id=UUID(int=7),
        kind=kind,
        version=1,
        level=level,
        origin=origin,
        lane=2,
        sent_at=NOW,
        body=body or f'{{"document":"{DOCUMENT}","title":"关于防汛值班的通知"}}'.encode(),
        files=(file_ref(),),
    )


def sealed(letter: Content | None = None, *to: NodeCard, seed: int = 9) -> Sealed:
    return seal_disclosed(letter or content(), CITY, to or (FUGOU_CARD,), None, seeded(seed))


def batch(**changes: object) -> Batch:
    values: dict[str, object] = {
        "sender": "zhoukou",
        "receiver": "fugou",
        "at": NOW,
        "counter": 5,
        "acknowledged": 3,
        "high": 12,
        "letters": (Letter(11, b"first"), Letter(12, b"second")),
        "receipts": b"receipts",
        "refusals": (Refused(4, Refusal.ABOVE_CEILING, "level 3"),),
        "checkpoint": b"checkpoint",
        "wait": 25,
    }
    return Batch(**(values | changes))  # type: ignore[arg-type]


def evidence() -> Evidence:
    """The road of one notice: sent, delivered, signed for, and in the city's sealed log."""
    sent = sealed()
    answer = seal_disclosed(
        content(
            f'{{"document":"{DOCUMENT}"}}'.encode(), origin="fugou", kind="documents.signed_for"
        ),
        FUGOU,
        (CITY_CARD,),
        None,
        seeded(10),
    )
    receipt = Receipt(
        "zhoukou", "fugou", (ReceiptItem(12, sent.envelope_hash, Event.DELIVERED, NOW),)
    )
    entries = [f"entry {number} documents.dispatch {DOCUMENT}".encode() for number in range(11)]
    hash = CITY.suite.hash
    leaves = [merkle.leaf_hash(entry, hash) for entry in entries]
    head = Checkpoint(log_origin("zhoukou"), len(leaves), merkle.root(leaves, hash))
    node_at = merkle.nodes_of(leaves, hash)
    return Evidence(
        about=About("关于防汛值班的通知", DOCUMENT, "zhoukou", NOW + timedelta(days=1)),
        cards=(CITY_CARD.to_cbor(), FUGOU_CARD.to_cbor()),
        files=(EvidenceFile("a.pdf", ATTACHMENT),),
        letters=(
            EvidenceLetter(sent.envelope, sent.disclosure),
            EvidenceLetter(answer.envelope, answer.disclosure),
        ),
        receipts=(encode_receipt(receipt, FUGOU),),
        checkpoints=(sign_checkpoint(head, CITY),),
        entries=tuple(
            LoggedEntry(
                entries[index],
                index,
                tuple(merkle.inclusion_proof(node_at, index, len(leaves), hash)),
                0,
            )
            for index in (2, 10)
        ),
    )
