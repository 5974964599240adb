"""A small world for the protocol tests: three nodes with keys, and letters between them.

The world stands in the international suite. The fixture `suite` (conftest.py) runs a module of
tests in this world and once more in that of the commercial suite.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.wire import stamps
from zhengtong.wire import merkle
from zhengtong.wire.batch import Batch, Letter, Refused
from zhengtong.wire.checkpoint import Checkpoint, cosign, log_origin, sign_checkpoint
from zhengtong.wire.envelope import Content, FileRef, Sealed, seal_disclosed
from zhengtong.wire.errors import Refusal
from zhengtong.wire.evidence import (
    About,
    Evidence,
    EvidenceFile,
    EvidenceLetter,
    EvidenceReceipt,
    EvidenceStamp,
    LoggedEntry,
    Span,
)
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.link import extended
from zhengtong.wire.log import Log
from zhengtong.wire.memory import MemoryTiles
from zhengtong.wire.receipts import SALT, Entry, Event, Receipts, issue, log_name, single
from zhengtong.wire.standing import NO_LETTER, Head, Standing, sign_standing

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


def standing(**changes: object) -> Standing:
    values: dict[str, object] = {
        "sender": "zhoukou",
        "receiver": "fugou",
        "lane": 2,
        "at": NOW,
        "counter": 5,
        "sent": Head(12, bytes(range(32))),
        "high": 12,
        "received": Head(3, bytes(32)),
        "waiting": (0, 2),
        "version": "0.1.0",
    }
    return Standing(**(values | changes))  # type: ignore[arg-type]


def batch(**changes: object) -> Batch:
    """A batch with something in every part; `changes` to the standing or to the rest."""
    ours = {key: changes.pop(key) for key in list(changes) if key in Standing.__dataclass_fields__}
    values: dict[str, object] = {
        "standing": standing(**ours),
        "letters": (Letter(11, b"first"), Letter(12, b"second")),
        "receipts": b"receipts",
        "refusals": (Refused(4, Refusal.ABOVE_CEILING, "level 3"),),
        "checkpoint": b"checkpoint",
        "base": 7,
        "consistency": (bytes(32),),
        "cosignature": b"cosignature",
    }
    return Batch(**(values | changes))  # type: ignore[arg-type]


def log_of(*entries: Entry, keys: NodeKeys | None = None) -> Log:
    log = Log(MemoryTiles(), 0, (keys or FUGOU).suite.hash)
    log.append([entry.encode() for entry in entries])
    return log


def entry(
    sequence: int = 1,
    event: Event = Event.DELIVERED,
    envelope_hash: bytes = bytes(32),
    **changes: object,
) -> Entry:
    """An entry of fugou's log about a letter that zhoukou sent."""
    values: dict[str, object] = {
        "event": event,
        "by": "fugou",
        "sender": "zhoukou",
        "receiver": "fugou",
        "lane": 2,
        "sequence": sequence,
        "envelope_hash": envelope_hash,
        "at": NOW,
        "salt": bytes(SALT),
    }
    return Entry(**(values | changes))  # type: ignore[arg-type]


def receipts(*entries: Entry, keys: NodeKeys | None = None, before: int = 0) -> Receipts:
    """Receipts for these entries, which stand behind `before` others in the log of fugou."""
    keys = keys or FUGOU
    others = [entry(number + 100) for number in range(before)]
    log = log_of(*others, *entries, keys=keys)
    return issue(log, log_name(keys.node), before, len(entries), keys)


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
    delivered = receipts(entry(12, envelope_hash=sent.envelope_hash), before=5)
    before, hash = bytes(range(32)), CITY.suite.hash
    first = extended(Head(11, before), sent.envelope_hash, hash)
    last = extended(first, hash(b"another letter"), hash)
    entries = [f"entry {number} documents.dispatch {DOCUMENT}".encode() for number in range(11)]
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
        receipts=(EvidenceReceipt(delivered.entries[0], single(delivered, 0, FUGOU_CARD.crypto)),),
        spans=(
            Span("zhoukou", "fugou", 2, 12, before, (sent.envelope_hash, hash(b"another letter"))),
        ),
        standings=(
            sign_standing(standing(sent=last, high=13), hash(b""), CITY),
            sign_standing(
                standing(sender="fugou", receiver="zhoukou", sent=NO_LETTER, high=0, received=last),
                hash(b""),
                FUGOU,
            ),
        ),
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


def dated_evidence() -> Evidence:
    """The same, with the city's exchange log: cosigned by the county an hour later, stamped in two.

    `evidence()` has one checkpoint, so this one is the second of the file.
    """
    whole = evidence()
    digest = CITY.suite.hash(whole.letters[0].envelope)
    others = [entry(number, Event.SENT, by="zhoukou") for number in (10, 11)]
    log = log_of(*others, entry(12, Event.SENT, digest, by="zhoukou"), keys=CITY)
    head = Checkpoint(log_name("zhoukou"), log.size, log.root())
    note = sign_checkpoint(head, CITY)
    line = cosign(note, NOW + timedelta(hours=1), FUGOU)
    logged = LoggedEntry(log.entries(2, 1)[0], 2, tuple(log.inclusion(2, log.size)), 1)
    token = stamps.token(head.text().encode(), NOW + timedelta(hours=2))
    return replace(
        whole,
        checkpoints=(*whole.checkpoints, note + line),
        entries=(*whole.entries, logged),
        stamps=(EvidenceStamp(1, token),),
    )
