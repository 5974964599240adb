"""A neighbour played by a test: real keys and a real card, batches made by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.test import Client

from zhengtong.capabilities.documents.messages import Reminded
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.messages import exchange
from zhengtong.kernel.messages.facts import Fact, encode
from zhengtong.kernel.messages.membership import admit
from zhengtong.kernel.messages.models import Message, Neighbour
from zhengtong.kernel.messages.outbox import post
from zhengtong.kernel.messages.sealing import pack, seal_waiting
from zhengtong.wire.batch import Batch, Letter, Refused, decode_batch, encode_batch
from zhengtong.wire.envelope import Content, seal_disclosed
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.receipts import Event, Receipt, ReceiptItem, encode_receipt

NODE = "test"
"""The node under test, as tests/engines.py calls it."""


def a_fact(text: str = "请尽快签收。") -> Fact:
    """Something small that every node understands."""
    return Reminded(uuid4(), text, datetime.now(UTC))


@dataclass
class Poser:
    """One end of a link, made of keys and a counter. `node` is the card of the node under test."""

    node: NodeCard
    name: str = "fugou"
    ceiling: int = 2
    keys: NodeKeys = field(init=False)
    card: NodeCard = field(init=False)
    counter: int = 0

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
    ) -> bytes:
        """A sealed letter; `kind` and `body` replace what an honest node would write."""
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
        )
        return seal_disclosed(content, self.keys, [to or self.node], None, os.urandom).envelope

    def batch(self, *letters: Letter, **changes: Any) -> bytes:
        """A signed batch with these letters; the counter grows by itself."""
        self.counter += 1
        values: dict[str, object] = {
            "sender": self.name,
            "receiver": NODE,
            "at": datetime.now(UTC),
            "counter": self.counter,
            "high": letters[-1].sequence if letters else 0,
            "letters": letters,
        }
        return encode_batch(Batch(**(values | changes)), self.keys)  # type: ignore[arg-type]

    def letters(self, *envelopes: bytes, first: int = 1) -> list[Letter]:
        """Envelopes under successive numbers of the link."""
        return [Letter(number, sealed) for number, sealed in enumerate(envelopes, first)]

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
    ) -> bytes:
        """Our signed receipt for letters of the node under test, delivered unless `events` says."""
        items = tuple(
            ReceiptItem(
                letter.sequence,
                self.node.crypto.hash(letter.envelope),
                (events or {}).get(letter.sequence, Event.DELIVERED),
                datetime.now(UTC),
            )
            for letter in letters
        )
        signer = keys or self.keys
        return encode_receipt(Receipt(sender, signer.node, items), signer)

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
    code = json.loads(response.content)["refused"] if refused else ""
    return response.status_code, code, response.content


def link() -> Neighbour:
    """The link to the neighbour as the node under test has it."""
    return Neighbour.objects.get(name="fugou")


def tell(fugou: Poser, number: int = 1, level: int = 1) -> list[Letter]:
    """Let the node send so many letters; what the neighbour gets of them."""
    for _ in range(number):
        fact = a_fact()
        message = Message.objects.create(
            kind=fact.kind, body=encode(fact), level=level, origin="test", at=datetime.now(UTC)
        )
        post(message, [link()], 2)
    while seal_waiting():
        pass
    return list(fugou.read(exchange.compose("fugou")).letters)
