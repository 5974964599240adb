"""A neighbour played by a test: real keys and a real card, batches made by hand."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from django.test import Client

from zhengtong.capabilities.documents.messages import Offered, Reminded
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.messages import exchange
from zhengtong.kernel.messages.facts import Fact, FileRef, decode, encode
from zhengtong.kernel.messages.letter_body import pack, unpack
from zhengtong.kernel.messages.membership import admit
from zhengtong.kernel.messages.models import LinkLane, Message, Neighbour
from zhengtong.kernel.messages.outbox import post
from zhengtong.kernel.messages.pieces import FilePiece
from zhengtong.kernel.messages.routes import way_to
from zhengtong.kernel.messages.sealing import seal_waiting
from zhengtong.wire.batch import Batch, Letter, Refused, decode_batch, encode_head
from zhengtong.wire.bulk import open_bulk, seal_bulk
from zhengtong.wire.envelope import Content, open_envelope, seal_disclosed
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.link import extended
from zhengtong.wire.log import Log
from zhengtong.wire.memory import MemoryTiles
from zhengtong.wire.receipts import SALT, Entry, Event, issue, log_name
from zhengtong.wire.standing import Head, Standing

NODE = "test"
"""The node under test, as tests/engines.py calls it."""


def a_fact(text: str = "请尽快签收。") -> Fact:
    """Something small that every node understands."""
    return Reminded(uuid4(), text, datetime.now(UTC))


def offered(file: FileRef) -> Offered:
    """A fact that speaks of a file."""
    return Offered(
        document=uuid4(),
        title="水情通报",
        document_kind="通报",
        number="周测〔2026〕1号",
        body="",
        issuing_office=uuid4(),
        issuing_name="周口市水利局",
        issued_on=date(2026, 3, 2),
        level=0,
        files=(file,),
        offered_by="李明禾",
    )


@dataclass
class Poser:
    """One end of a link, made of keys and a counter. `node` is the card of the node under test."""

    node: NodeCard
    name: str = "fugou"
    ceiling: int = 2
    keys: NodeKeys = field(init=False)
    card: NodeCard = field(init=False)
    counter: int = 0
    chains: dict[int, bytes] = field(default_factory=lambda: {0: bytes(32)})
    told: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = NodeKeys.generate(self.name)
        self.card = self.card_of(self.keys)

    def card_of(self, keys: NodeKeys, **changes: int) -> NodeCard:
        return NodeCard.issue(
            keys,
            title="扶沟县节点",
            zone="private",
            ceiling=changes.get("ceiling", self.ceiling),
            url=f"https://{self.name}.example",
            issued_at=datetime.now(UTC),
        )

    def admitted(self) -> Poser:
        """Known to the node under test from now on."""
        admit(node_actor({"messages.admit"}), self.card)
        return self

    def envelope(
        self,
        fact: Fact | None = None,
        *,
        kind: str = "",
        body: bytes | None = None,
        level: int = 1,
        to: NodeCard | None = None,
        subject: str = "",
        message: UUID | None = None,
        addressees: Iterable[str] = (),
        beside: bytes = b"",
    ) -> bytes:
        """A sealed letter; `kind` and `body` replace what an honest node would write.

        `beside` is the sealed bulk that the header names.
        """
        fact = fact or a_fact()
        inner = encode(fact) if body is None else body
        content = Content(
            message_id=message or uuid4(),
            kind=kind or fact.kind,
            version=1,
            level=level,
            origin=self.name,
            lane=2,
            sent_at=datetime.now(UTC),
            body=pack(inner, list(addressees), subject),
            bulk_hash=self.keys.suite.hash(beside) if beside else b"",
        )
        return seal_disclosed(content, self.keys, [to or self.node], None, os.urandom).envelope

    def batch(self, *letters: Letter, **changes: Any) -> bytes:
        """A signed batch with these letters; the counter grows by itself.

        It stands where an honest neighbour would: what it has sent is chained. `changes` are fields
        of the standing or of the batch; `acknowledged` is the number up to which it holds letters
        of the node under test, whose chain it knows from those it was given (`told`).
        """
        self.counter += 1
        for letter in letters:
            self._send(letter)
        last = letters[-1].sequence if letters else max(self.chains)
        held = changes.pop("acknowledged", 0)
        values: dict[str, Any] = {
            "sender": self.name,
            "receiver": NODE,
            "lane": 2,
            "at": datetime.now(UTC),
            "counter": self.counter,
            "sent": Head(last, self.chains[last]),
            "high": last,
            "received": Head(held, self.told.get(held, bytes(32))),
        }
        fields = {field.name for field in dataclasses.fields(Standing)}
        values |= {key: value for key, value in changes.items() if key in fields}
        rest = {key: value for key, value in changes.items() if key not in fields}
        return self._encoded(Batch(Standing(**values), letters=letters, **rest))

    def _encoded(self, batch: Batch) -> bytes:
        """The batch, however much is beside its letters."""
        return encode_head(batch, self.keys) + b"".join(bytes(item.bulk) for item in batch.letters)

    def _send(self, letter: Letter) -> None:
        """Chain a letter of ours to those before it, as far as we know them."""
        before = self.chains.get(letter.sequence - 1, bytes(32))
        digest = letter.withheld or self.keys.suite.hash(letter.envelope)
        head = extended(Head(letter.sequence - 1, before), digest, self.keys.suite.hash)
        self.chains[letter.sequence] = head.chain

    def hears(self, letters: Iterable[Letter]) -> None:
        """Note the chain of letters of the node under test, as an honest neighbour does."""
        hash = self.node.crypto.hash
        for letter in letters:
            before = Head(letter.sequence - 1, self.told.get(letter.sequence - 1, bytes(32)))
            digest = letter.withheld or hash(letter.envelope)
            self.told[letter.sequence] = extended(before, digest, hash).chain

    def letters(self, *sealed: bytes | Letter, first: int = 1) -> list[Letter]:
        """Envelopes, or letters with what is beside them, under successive numbers of the link."""
        return [
            Letter(number, item) if isinstance(item, bytes) else replace(item, sequence=number)
            for number, item in enumerate(sealed, first)
        ]

    def piece(self, number: int, piece: FilePiece, data: bytes) -> Letter:
        """A letter with a piece of a file beside it."""
        sealed = seal_bulk(data, piece.key, self.keys.suite)
        return Letter(number, self.envelope(piece, beside=sealed), sealed)

    def opens(self, letter: Letter) -> bytes:
        """The piece of a file beside a letter that the node under test has sent us."""
        find = {self.node.signing_kid: self.node}.get
        body, _, _ = unpack(open_envelope(letter.envelope, self.keys, find).content.body)
        piece = decode(FilePiece.kind, body)
        assert isinstance(piece, FilePiece)
        return open_bulk(bytes(letter.bulk), piece.key, self.node.crypto)

    def read(self, answer: bytes) -> Batch:
        """The node's batch, checked as any neighbour would check it."""
        return decode_batch(answer, {self.node.signing_kid: self.node}.get, receiver=self.name)

    def receipt(
        self,
        letters: Sequence[Letter],
        events: dict[int, Event] | None = None,
        *,
        keys: NodeKeys | None = None,
        sender: str = NODE,
        lane: int = 2,
    ) -> bytes:
        """Our signed receipt for letters of the node under test, delivered unless `events` says."""
        signer = keys or self.keys
        log = Log(MemoryTiles(), 0, signer.suite.hash)
        first = log.append(
            [
                Entry(
                    (events or {}).get(letter.sequence, Event.DELIVERED),
                    signer.node,
                    sender,
                    signer.node,
                    lane,
                    letter.sequence,
                    letter.withheld or self.node.crypto.hash(letter.envelope),
                    datetime.now(UTC),
                    os.urandom(SALT),
                ).encode()
                for letter in letters
            ]
        )
        origin = log_name(signer.node)
        return issue(log, origin, first, len(letters), signer).encode()

    def refusing(self, letters: Sequence[Letter], refused: Refused) -> bytes:
        """A batch that takes these letters, but for one."""
        events = {refused.sequence: Event.DEAD}
        return self.batch(
            receipts=self.receipt(letters, events),
            refusals=(refused,),
            acknowledged=letters[-1].sequence,
        )


def dial(data: bytes) -> tuple[int, str, bytes]:
    """Post a batch at the node's door: status, refusal code (or ""), the answer."""
    response = Client().post("/exchange", data, content_type="application/cbor")
    refused = response["Content-Type"].startswith("application/json")
    answer = response.getvalue()  # streamed, if there are pieces of files beside its letters
    return response.status_code, json.loads(answer)["refused"] if refused else "", answer


def link(lane: int = 2) -> LinkLane:
    """A lane of the link to the neighbour as the node under test has it."""
    found, _ = LinkLane.objects.get_or_create(neighbour=neighbour(), lane=lane)
    return found


def neighbour() -> Neighbour:
    return Neighbour.objects.get(name="fugou")


def tell(fugou: Poser, number: int = 1, level: int = 1) -> list[Letter]:
    """Let the node send so many letters; what the neighbour gets of them.

    The road has lost all it had before, so whatever has no receipt comes again.
    """
    for _ in range(number):
        fact = a_fact()
        message = Message.objects.create(
            kind=fact.kind, body=encode(fact), level=level, origin="test", at=datetime.now(UTC)
        )
        post(message, [way_to(neighbour())], 2)
    while seal_waiting():
        pass
    exchange.rewind("fugou")
    letters = fugou.read(exchange.compose("fugou", 2)).letters
    fugou.hears(letters)
    return list(letters)
