"""Whatever a bad road does, every letter arrives once and in order, and every receipt comes back.

The node under test holds one end of a link; a model of forty lines holds the other. The road may
lose, repeat and delay what either side says, and either side may stop in the middle of a turn.
"""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, example, given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from tests.federation.neighbour import Poser, a_fact
from tests.federation.neighbour import link as neighbour_lane
from zhengtong.kernel.messages import exchange, sealing
from zhengtong.kernel.messages.facts import encode
from zhengtong.kernel.messages.models import Arrival, LinkAlarm, Message, Neighbour, Receipt, Sent
from zhengtong.kernel.messages.outbox import post
from zhengtong.kernel.messages.routes import way_to
from zhengtong.wire import batch as batches
from zhengtong.wire import exchange as machine
from zhengtong.wire import link
from zhengtong.wire.batch import Batch, Letter
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.receipts import verify
from zhengtong.wire.standing import NOT_SEEN, Witnessed

pytestmark = pytest.mark.django_db
AT_A_TIME = 3  # letters in a batch, so that a few make several batches


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (link, batches, machine):
        monkeypatch.setattr(module, "MAX_LETTERS", AT_A_TIME)


class Model:
    """The neighbour's end: lists instead of tables, and the protocol as it is written down."""

    def __init__(self, poser: Poser) -> None:
        self.poser = poser
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.receipted = self.heard = 0
        self.again = False
        self.owed: list[Letter] = []

    def compose(self) -> bytes:
        first = self.receipted
        letters = self.poser.letters(*self.sent[first : first + AT_A_TIME], first=first + 1)
        receipts = self.poser.receipt(self.owed) if self.owed else None
        self.owed, again, self.again = [], self.again, False
        return self.poser.batch(
            *letters,
            receipts=receipts,
            acknowledged=len(self.received),
            high=len(self.sent),
            again=again,
        )

    def accept(self, data: bytes) -> None:
        batch = self.poser.read(data)
        if batch.standing.counter <= self.heard:
            raise WireError(Refusal.REPLAYED)
        self.heard = batch.standing.counter
        if batch.receipts:
            find = {self.poser.node.signing_kid: self.poser.node}.get
            for item in verify(batch.receipts, find)[1]:
                assert item.envelope_hash == self.poser.node.crypto.hash(
                    self.sent[item.sequence - 1]
                )
                assert item.sequence <= self.receipted + 1
                self.receipted = max(self.receipted, item.sequence)
        self._take(batch)

    def lost(self) -> None:
        self.again = True

    def _take(self, batch: Batch) -> None:
        for letter in batch.letters:
            assert letter.sequence <= len(self.received) + 1, "a gap"
            if letter.sequence == len(self.received) + 1:
                self.received.append(letter.envelope)
            assert self.received[letter.sequence - 1] == letter.envelope, "two under one number"
        self.poser.hears(batch.letters)
        self.owed = list(batch.letters)


class Node:
    """The end under test, asked in the same words."""

    def compose(self) -> bytes:
        return exchange.compose("fugou", 2)

    def accept(self, data: bytes) -> None:
        exchange.accept(data)

    def lost(self) -> None:
        exchange.rewind("fugou")

    def tell(self) -> None:
        fact = a_fact()
        message = Message.objects.create(
            kind=fact.kind, body=encode(fact), level=1, origin="test", at=datetime.now(UTC)
        )
        post(message, [way_to(Neighbour.objects.get(name="fugou"))], 2)
        sealing.seal_waiting()


class Road:
    """Between the two; `caller` dials and `called` answers."""

    def __init__(self, caller: Any, called: Any) -> None:
        self.caller, self.called = caller, called
        self.earlier: list[bytes] = []

    def dial(self, what: str = "dial") -> None:
        request = self.caller.compose()
        self.earlier.append(request)
        if what == "request lost":
            self.caller.lost()
            return
        if what == "stopped while taking":
            with transaction.atomic():
                self.called.accept(request)
                transaction.set_rollback(True)
            self.caller.lost()
            return
        self.called.accept(request)
        answer = self.called.compose()
        if what == "answer lost":
            self.caller.lost()
            return
        if what == "request repeated":
            self._refused(self.called, request)
        self.caller.accept(answer)
        if what == "answer repeated":
            self._refused(self.caller, answer)

    def late(self) -> None:
        """Something said long ago arrives, perhaps again; nobody waits for its answer now."""
        for request in self.earlier[-3:-1]:
            with suppress(WireError):
                self.called.accept(request)

    def _refused(self, end: Any, data: bytes) -> None:
        with pytest.raises(WireError) as caught:
            end.accept(data)
        assert caught.value.code is Refusal.REPLAYED


EVENTS = (
    "we tell", "they tell", "dial", "request lost", "answer lost", "request repeated",
    "answer repeated", "stopped while taking", "late",
)  # fmt: skip


@pytest.mark.parametrize("we_dial", [False, True], ids=["as the parent", "as the child"])
@tuned(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.sampled_from(EVENTS), max_size=20))
@example(events=["we tell"] * 7 + ["they tell"] * 7 + ["answer lost", "late", "answer lost"])
def test_every_letter_arrives_once_whatever_the_road_does(
    fugou: Poser, we_dial: bool, events: list[str]
) -> None:
    with transaction.atomic():
        try:
            _travel(fugou, we_dial, events)
        finally:
            transaction.set_rollback(True)


def _travel(fugou: Poser, we_dial: bool, events: list[str]) -> None:
    node, model = Node(), Model(fugou)
    road = Road(node, model) if we_dial else Road(model, node)
    road.dial()
    for event in events:
        if event == "we tell":
            node.tell()
        elif event == "they tell":
            model.sent.append(fugou.envelope())
        elif event == "late":
            road.late()
        else:
            road.dial(event)
    for _ in range(2 + len(events)):  # then the road is mended
        road.dial()

    ours = list(Sent.objects.order_by("sequence"))
    assert [bytes(sent.envelope) for sent in ours] == model.received
    arrived = Arrival.objects.order_by("sequence")
    assert [bytes(arrival.envelope) for arrival in arrived] == model.sent
    assert Message.objects.filter(origin="fugou").count() == len(model.sent)
    lane = neighbour_lane()
    assert lane.receipted == lane.sealed == len(ours) == events.count("we tell")
    assert model.receipted == lane.received == len(model.sent) == events.count("they tell")
    assert not LinkAlarm.objects.exists(), "an honest neighbour on a bad road raises no alarm"
    covered = [
        number
        for receipt in Receipt.objects.order_by("pk")
        for number in range(receipt.first, receipt.last + 1)
    ]
    assert set(covered) == set(range(1, len(ours) + 1)), "each letter's receipt is kept"


@tuned(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), times=st.integers(1, 4))
def test_no_bytes_whatever_make_the_node_fail(fugou: Poser, seed: int, times: int) -> None:
    """Honest batches, mutated: refused with a code, never an internal error, nothing stored."""
    source = random.Random(seed)
    with transaction.atomic():
        data = bytearray(fugou.batch(*fugou.letters(fugou.envelope(), fugou.envelope())))
        honest = bytes(data)
        for _ in range(times):
            _mutate(data, source)
        response = Client(raise_request_exception=False).post(
            "/exchange", bytes(data), content_type="application/cbor"
        )
        stored = Message.objects.count()
        transaction.set_rollback(True)
    if bytes(data) != honest:
        assert 400 <= response.status_code < 500, response.content
        assert response.json()["refused"] in list(Refusal)
        assert stored == 0


def _mutate(data: bytearray, source: random.Random) -> None:
    at = source.randrange(len(data) or 1)
    match source.randrange(5):
        case 0:
            data[at : at + 1] = bytes([source.randrange(256)])
        case 1:
            del data[at : at + source.randrange(1, 40)]
        case 2:
            data[at:at] = source.randbytes(source.randrange(1, 40))
        case 3:
            data[at:at] = data[source.randrange(len(data) or 1) :][:200]
        case _:
            del data[at:]


@tuned(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_nothing_a_neighbour_can_sign_makes_the_node_fail(fugou: Poser, seed: int) -> None:
    """The neighbour itself goes mad: numbers, times and texts of every size, properly signed."""
    source = random.Random(seed)
    odd: dict[str, Any] = {
        "counter": source.choice([0, 1, 2**53 - 1]),
        "acknowledged": source.choice([0, 5, 2**53 - 1]),
        "high": source.choice([0, 1, 2**53 - 1]),
        "waiting": source.choice([(), (0, 3)]),
        "room": source.choice([0, 1, 2**53 - 1]),
        "again": source.choice([False, True]),
        "seen": source.choice([NOT_SEEN, Witnessed(1, 2**53 - 1), Witnessed(2**53 - 1, 0)]),
        "checkpoint": source.choice([None, b"", source.randbytes(60)]),
        "cosignature": source.choice([None, b"", b"\x83\x01\x01\x40"]),
        "base": source.choice([0, 2**53 - 1]),
        "receipts": source.choice([None, b"", b"\xd2\x84", source.randbytes(60)]),
    }
    letters = fugou.letters(
        fugou.envelope(
            body=source.choice([None, b"", source.randbytes(30)]),
            kind=source.choice(["", "\x00", "无", "k" * 100]),
            subject=source.choice(["", "\x00", "长" * 300]),
            addressees=source.choice([[], ["\x00"], ["{" + "0" * 32 + "}"] * 3]),
        ),
        first=source.choice([1, 1, 1, 7, 2**53 - 1]),
    )
    with transaction.atomic():
        try:
            data = fugou.batch(*letters, **{**odd, "high": max(odd["high"], letters[0].sequence)})
            response = Client(raise_request_exception=False).post(
                "/exchange", data, content_type="application/cbor"
            )
        finally:
            transaction.set_rollback(True)
    assert response.status_code < 500, response.content
