"""Several hops: the envelope goes through untouched, and its receipts find their way back."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import transaction

from tests.federation.neighbour import Poser, a_fact, dial
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.messages import commands, exchange, pieces, sealing, transit_files
from zhengtong.kernel.messages.facts import FileRef, decode, encode
from zhengtong.kernel.messages.hops import hops_of
from zhengtong.kernel.messages.letter_body import unpack
from zhengtong.kernel.messages.models import (
    Arrival,
    CarriedReceipt,
    Letter,
    Message,
    Neighbour,
    Receipt,
    Route,
    Sent,
)
from zhengtong.kernel.messages.outbox import post
from zhengtong.kernel.messages.pieces import FilePiece
from zhengtong.kernel.messages.routes import ways_to
from zhengtong.kernel.messages.transit import FURTHER_ON, Carried
from zhengtong.wire.batch import MAX_BATCH, MAX_BULKS, Refused
from zhengtong.wire.batch import Letter as Numbered
from zhengtong.wire.beside import read_head
from zhengtong.wire.bulk import seal_bulk
from zhengtong.wire.envelope import open_envelope
from zhengtong.wire.errors import Refusal
from zhengtong.wire.keys import NodeCard
from zhengtong.wire.receipts import Event, Receipts, single, verify_single

pytestmark = pytest.mark.django_db


@pytest.fixture
def shenqiu(fugou: Poser) -> Poser:
    """The other neighbour of the node under test; both have met it."""
    other = Poser(fugou.node, "shenqiu").admitted()
    for poser in (fugou, other):
        dial(poser.batch())
    return other


@pytest.fixture(autouse=True)
def nothing_aside() -> Iterator[None]:
    yield
    transit_files.drop(put_aside())


def put_aside() -> list[str]:
    """What lies here for others."""
    return sorted(path.name for path in (settings.NODE.files / "transit").glob("*"))


@pytest.fixture
def committing(django_capture_on_commit_callbacks: Any) -> Any:
    """What is to happen after a commit happens at the end of this block, unless it fails."""
    return django_capture_on_commit_callbacks


def bulky(sender: Poser, to: NodeCard, data: bytes = bytes(900)) -> Numbered:
    """A letter with a piece of a file beside it."""
    file = FileRef("ab" * 32, "水位.txt", len(data), "text/plain")
    piece = FilePiece(file, 0, bytes(32))
    sealed = seal_bulk(data, piece.key, sender.keys.suite)
    return Numbered(1, sender.envelope(piece, beside=sealed, to=to), sealed)


def behind(neighbour: Poser, name: str, ceiling: int = 2, zone: str = "private") -> Poser:
    """A node that is reached through this neighbour."""
    far = Poser(neighbour.node, name, ceiling=ceiling)
    Route.objects.create(
        name=name,
        title=name,
        zone=zone,
        ceiling=ceiling,
        card=far.card.to_cbor(),
        neighbour=Neighbour.objects.get(name=neighbour.name),
    )
    return far


def given(poser: Poser, lane: int = 2) -> list[Numbered]:
    """What the node under test now hands to this neighbour."""
    while sealing.seal_waiting():
        pass
    letters = poser.read(exchange.compose(poser.name, lane)).letters
    poser.hears(letters)
    return list(letters)


def take(poser: Poser, letters: list[Numbered], event: Event = Event.DELIVERED) -> None:
    """The neighbour takes these letters and receipts them."""
    events = {letter.sequence: event for letter in letters}
    held = letters[-1].sequence
    status, code, _ = dial(poser.batch(receipts=poser.receipt(letters, events), acknowledged=held))
    assert (status, code) == (200, "")


def test_a_letter_for_another_node_goes_on_untouched(fugou: Poser, shenqiu: Poser) -> None:
    envelope = fugou.envelope(to=shenqiu.card, subject="urn:x")
    assert dial(fugou.batch(*fugou.letters(envelope)))[0] == 200
    (passed,) = given(shenqiu)
    assert passed.envelope == envelope, "not a byte of it has changed"
    opened = open_envelope(passed.envelope, shenqiu.keys, {fugou.card.signing_kid: fugou.card}.get)
    assert unpack(opened.content.body)[2] == "urn:x"
    message = Message.objects.get()
    assert (bytes(message.body), message.pending) == (b"", False), "a hop reads nothing"


def test_a_piece_of_a_file_goes_on_beside_its_letter_and_is_dropped_once_receipted(
    fugou: Poser, shenqiu: Poser, committing: Any
) -> None:
    letter = bulky(fugou, shenqiu.card)
    assert dial(fugou.batch(letter))[0] == 200
    (passed,) = given(shenqiu)
    assert (passed.envelope, passed.bulk) == (letter.envelope, letter.bulk)
    assert put_aside() == [Letter.objects.get(neighbour__name="shenqiu").beside]
    with committing(execute=True):
        take(shenqiu, [passed])
    assert put_aside() == []
    assert Letter.objects.get(neighbour__name="shenqiu").beside == ""


def test_what_was_put_aside_is_kept_if_its_receipt_is_not(
    fugou: Poser, shenqiu: Poser, committing: Any
) -> None:
    """The machine stops before the receipt of the next node is committed."""
    dial(fugou.batch(bulky(fugou, shenqiu.card)))
    letters = given(shenqiu)
    with pytest.raises(RuntimeError), committing(execute=True), transaction.atomic():
        take(shenqiu, letters)
        raise RuntimeError("stopped")
    exchange.rewind("shenqiu")
    (again,) = given(shenqiu)
    assert bytes(again.bulk) == bytes(letters[0].bulk)


def test_a_piece_that_may_not_go_on_is_not_put_aside(fugou: Poser, shenqiu: Poser) -> None:
    low = behind(shenqiu, "xihua", ceiling=0)
    generous = Poser(fugou.node, low.name)  # a sender that believes it to hold more than it may
    answer = fugou.read(dial(fugou.batch(bulky(fugou, generous.card)))[2])
    assert [refused.code for refused in answer.refusals] == [Refusal.ABOVE_CEILING]
    assert put_aside() == []


def test_a_piece_that_has_gone_missing_leaves_its_letter_bare(fugou: Poser, shenqiu: Poser) -> None:
    dial(fugou.batch(bulky(fugou, shenqiu.card)))
    transit_files.drop(put_aside())
    (passed,) = given(shenqiu)
    assert bytes(passed.bulk) == b""


def test_what_no_letter_names_is_dropped_after_a_day(fugou: Poser, shenqiu: Poser) -> None:
    dial(fugou.batch(bulky(fugou, shenqiu.card)))
    (named,) = put_aside()
    for name in ("ab" * 32, "cd" * 32):
        transit_files.write(name, b"sealed")
    yesterday = time.time() - 86_401
    for name in (named, "ab" * 32):
        os.utime(settings.NODE.files / "transit" / name, (yesterday, yesterday))
    sweeper = transit_files.Sweeper()
    assert sweeper.work()
    assert set(put_aside()) == {named, "cd" * 32}
    assert not sweeper.work()


def test_a_batch_goes_through_in_the_memory_of_a_few_pieces(fugou: Poser, shenqiu: Poser) -> None:
    """Thirty-two MiB beside its letters: from the line to the disk, and from there to the line."""
    data, number = os.urandom(pieces.PIECE), 32
    letters = [bulky(fugou, shenqiu.card, data) for _ in range(number)]
    line = BytesIO(fugou.batch(*fugou.letters(*letters)))
    head = read_head(line.read, MAX_BATCH)
    tracemalloc.start()
    exchange.answer_streamed(head, line.read)
    came = tracemalloc.get_traced_memory()[1]
    while sealing.seal_waiting():
        pass
    tracemalloc.reset_peak()
    going = exchange.stream("shenqiu", 2, room=MAX_BULKS)
    left = sum(len(part) for part in going)
    went = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert left > number * pieces.PIECE
    assert max(came, went) < 8 * pieces.PIECE


def test_a_hop_knows_of_the_way_as_far_as_the_next_node(fugou: Poser, shenqiu: Poser) -> None:
    xihua = behind(shenqiu, "xihua")
    dial(fugou.batch(*fugou.letters(fugou.envelope(to=xihua.card))))
    take(shenqiu, given(shenqiu))
    next_node, last = hops_of(Sent.objects.get(neighbour__name="shenqiu"))
    assert (next_node.node, next_node.event, next_node.problem) == (
        "shenqiu",
        Event.DELIVERED,
        None,
    )
    assert (last.node, last.event) == ("xihua", None)


def test_the_receipt_of_the_last_node_comes_back_to_the_first(fugou: Poser, shenqiu: Poser) -> None:
    envelope = fugou.envelope(to=shenqiu.card)
    dial(fugou.batch(*fugou.letters(envelope)))
    take(shenqiu, given(shenqiu))
    (back,) = given(fugou)
    opened = open_envelope(back.envelope, fugou.keys, {fugou.node.signing_kid: fugou.node}.get)
    told = decode(opened.content.kind, unpack(opened.content.body)[0])
    assert isinstance(told, Carried)
    card, entry = verify_single(
        told.entry, told.receipt, {shenqiu.card.signing_kid: shenqiu.card}.get
    )
    assert (card.node, entry.event) == ("shenqiu", Event.DELIVERED)
    assert entry.envelope_hash == fugou.keys.suite.hash(envelope)


def test_why_a_node_refused_a_letter_goes_back_with_its_receipt(
    fugou: Poser, shenqiu: Poser
) -> None:
    dial(fugou.batch(*fugou.letters(fugou.envelope(to=shenqiu.card))))
    (passed,) = given(shenqiu)
    why = Refused(passed.sequence, Refusal.ABOVE_CEILING, "level 2, ceiling 1")
    dial(shenqiu.refusing([passed], why))
    (back,) = given(fugou)
    opened = open_envelope(back.envelope, fugou.keys, {fugou.node.signing_kid: fugou.node}.get)
    told = decode(opened.content.kind, unpack(opened.content.body)[0])
    assert isinstance(told, Carried)
    assert (told.refused, told.detail) == ("above_ceiling", "level 2, ceiling 1")


def test_our_own_letter_to_a_far_node_is_sealed_for_it_and_its_receipt_is_kept(
    fugou: Poser, shenqiu: Poser
) -> None:
    xihua = behind(fugou, "xihua")
    message, letter = posted(fugou, "xihua")
    find = {fugou.node.signing_kid: fugou.node}.get
    assert open_envelope(letter.envelope, xihua.keys, find).content.message_id == message.pk
    take(fugou, [letter])
    assert not CarriedReceipt.objects.exists(), "a hop's receipt is no delivery"

    assert [(hop.node, hop.event, hop.final) for hop in hops_of(Sent.objects.get())] == [
        ("fugou", Event.DELIVERED, False),
        ("xihua", None, True),
    ]
    bring_back(fugou, xihua, message, letter)
    kept = CarriedReceipt.objects.get()
    assert (kept.by, kept.event, kept.sent.letter.message) == ("xihua", "delivered", message)
    hop, last = hops_of(Sent.objects.get())
    assert (hop.log, hop.index, hop.problem) == ("fugou/exchange", 0, None)
    assert (last.event, last.log, last.problem) == (Event.DELIVERED, "xihua/exchange", None)
    assert not commands.refused()


def posted(fugou: Poser, to: str) -> tuple[Message, Numbered]:
    """A message of ours for a node behind the neighbour, and the letter that leaves."""
    fact = a_fact()
    message = Message.objects.create(
        kind=fact.kind, body=encode(fact), level=1, origin="test", at=datetime.now(UTC)
    )
    post(message, ways_to([to]).values(), 2)
    (letter,) = given(fugou)
    return message, letter


def bring_back(
    fugou: Poser,
    far: Poser,
    message: Message,
    letter: Numbered,
    event: Event = Event.DELIVERED,
    sender: str = "fugou",
    why: tuple[str, str] = ("", ""),
) -> None:
    """The neighbour carries the receipt of a node further on back to us."""
    passed_on = Numbered(7, letter.envelope)
    run = Receipts.decode(far.receipt([passed_on], {7: event}, sender=sender))
    receipt = single(run, 0, far.card.crypto)
    told = Carried(message.pk, datetime.now(UTC), run.entries[0], receipt, *why)
    sealed = fugou.letters(fugou.envelope(told), first=max(fugou.chains) + 1)
    assert dial(fugou.batch(*sealed))[0] == 200


def test_the_nodes_on_the_way_stand_in_its_order_however_their_receipts_came(
    fugou: Poser, shenqiu: Poser
) -> None:
    luyi, xihua = behind(fugou, "luyi"), behind(fugou, "xihua")
    message, letter = posted(fugou, "xihua")
    bring_back(fugou, xihua, message, letter, sender="luyi")
    bring_back(fugou, luyi, message, letter)
    sent = Sent.objects.get()
    assert [(hop.node, bool(hop.event)) for hop in hops_of(sent)] == [
        ("fugou", False),
        ("luyi", True),
        ("xihua", True),
    ], "the neighbour's own receipt has not come yet"
    take(fugou, [letter])
    assert all(hop.event is Event.DELIVERED and not hop.problem for hop in hops_of(sent))


@pytest.mark.parametrize("event", [Event.DEAD, Event.WITHHELD])
def test_a_letter_that_a_node_further_on_did_not_take_is_dead_here(
    fugou: Poser, shenqiu: Poser, event: Event
) -> None:
    xihua = behind(fugou, "xihua")
    message, letter = posted(fugou, "xihua")
    take(fugou, [letter])
    bring_back(fugou, xihua, message, letter, event)
    (dead,) = commands.refused()
    assert (dead.sent.refusal, dead.sent.refusal_detail) == (FURTHER_ON, "xihua")
    commands.resend(node_actor({"messages.resend"}), dead.pk)
    (again,) = given(fugou)
    assert again.sequence == letter.sequence + 1


@pytest.mark.parametrize(
    ("carrier", "code", "kept"),
    [
        ("fugou", "above_ceiling", (f"{FURTHER_ON}:above_ceiling", "xihua: level 2, ceiling 1")),
        ("fugou", "no such code", (FURTHER_ON, "xihua")),
        ("luyi", "above_ceiling", (FURTHER_ON, "xihua")),
    ],
    ids=["the hop knows", "an unknown reason", "the word of another"],
)
def test_why_a_node_further_on_did_not_take_a_letter_is_said_by_the_hop(
    fugou: Poser, shenqiu: Poser, carrier: str, code: str, kept: tuple[str, str]
) -> None:
    """`carrier` handed the letter over, and the neighbour carries the receipt."""
    luyi, xihua = behind(fugou, "luyi"), behind(fugou, "xihua")
    message, letter = posted(fugou, "xihua")
    take(fugou, [letter])
    why = (code, "level 2, ceiling 1")
    bring_back(fugou, xihua, message, letter, Event.DEAD, sender=carrier, why=why)
    (dead,) = commands.refused()
    assert (dead.sent.refusal, dead.sent.refusal_detail) == kept
    bring_back(fugou, luyi, message, letter)
    take(fugou, [letter])
    assert Sent.objects.get().refusal == kept[0], "the neighbour took it; the other did not"


def test_a_receipt_that_was_changed_on_this_node_holds_no_longer(
    fugou: Poser, shenqiu: Poser
) -> None:
    _, letter = posted(fugou, "fugou")
    take(fugou, [letter])
    kept = Receipt.objects.get()
    body, sent = bytes(kept.body), Sent.objects.get()
    for changed, code in (
        (body[:-1] + bytes([body[-1] ^ 1]), Refusal.BAD_SIGNATURE),
        (body[:-1], Refusal.TRUNCATED),
    ):
        Receipt.objects.update(body=changed)
        (hop,) = hops_of(sent)
        assert hop.problem and hop.problem.code is code
    Receipt.objects.update(body=body)
    Sent.objects.update(envelope=letter.envelope + b"!")
    (hop,) = hops_of(Sent.objects.get())
    assert hop.problem and hop.problem.code is Refusal.SEQUENCE_MISMATCH


def test_a_receipt_that_is_forged_or_of_another_letter_is_refused(
    fugou: Poser, shenqiu: Poser
) -> None:
    xihua = behind(fugou, "xihua")
    run = Receipts.decode(xihua.receipt([Numbered(1, b"never sent")], sender="fugou"))
    receipt = single(run, 0, xihua.card.crypto)
    for number, told in enumerate(
        [
            Carried(uuid4(), datetime.now(UTC), run.entries[0], receipt),
            Carried(uuid4(), datetime.now(UTC), run.entries[0], receipt[:-1] + b"\x00"),
        ],
        1,
    ):
        letters = fugou.letters(fugou.envelope(told), first=number)
        answer = fugou.read(dial(fugou.batch(*letters))[2])
        assert [refused.sequence for refused in answer.refusals] == [number]


def test_a_letter_that_cannot_go_on_is_refused_with_its_reason(
    fugou: Poser, shenqiu: Poser
) -> None:
    """Nobody knows the way, or it would go back where it came from."""
    for number, far in enumerate([Poser(fugou.node, "luyi"), behind(fugou, "xihua")], 1):
        letters = fugou.letters(fugou.envelope(to=far.card), first=number)
        answer = fugou.read(dial(fugou.batch(*letters))[2])
        assert [refused.code for refused in answer.refusals] == [Refusal.WRONG_RECIPIENT]
    assert not Letter.objects.exists()


def test_a_hop_holds_the_ceilings_and_never_passes_into_the_public_zone(
    fugou: Poser, shenqiu: Poser
) -> None:
    low = behind(shenqiu, "xihua", ceiling=0)
    public = behind(shenqiu, "portal", zone="public")
    for number, envelope in enumerate(
        [fugou.envelope(to=public.card, level=0), _above(fugou, low)], 1
    ):
        answer = fugou.read(dial(fugou.batch(*fugou.letters(envelope, first=number)))[2])
        assert [refused.code for refused in answer.refusals] == [Refusal.ABOVE_CEILING]
    assert not Letter.objects.exists()
    assert not any(Arrival.objects.values_list("envelope", flat=True)), "nor is it kept"


def test_a_hop_withholds_what_may_not_go_on_any_more_and_tells_the_origin(
    fugou: Poser, shenqiu: Poser
) -> None:
    dial(fugou.batch(*fugou.letters(fugou.envelope(to=shenqiu.card))))
    while sealing.seal_waiting():
        pass
    Neighbour.objects.filter(name="shenqiu").update(ceiling=0)
    (kept,) = given(shenqiu)
    assert (kept.envelope, bool(kept.withheld)) == (b"", True)
    take(shenqiu, [kept], Event.WITHHELD)
    (back,) = given(fugou)
    opened = open_envelope(back.envelope, fugou.keys, {fugou.node.signing_kid: fugou.node}.get)
    told = decode(opened.content.kind, unpack(opened.content.body)[0])
    assert isinstance(told, Carried)
    find = {shenqiu.card.signing_kid: shenqiu.card}.get
    assert verify_single(told.entry, told.receipt, find)[1].event is Event.WITHHELD


def _above(fugou: Poser, low: Poser) -> bytes:
    """A sender that believes the node to hold more than it may."""
    generous = Poser(fugou.node, low.name)
    return fugou.envelope(to=generous.card, level=1)
