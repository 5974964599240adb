"""What the sending side of a link sees, and in what order it lets its letters go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from tests.federation.neighbour import Poser, a_fact, dial, link, neighbour, offered, tell
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.errors import AboveCeiling
from zhengtong.kernel.files import store_bytes
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages import commands, exchange, sealing
from zhengtong.kernel.messages.facts import FileRef, encode
from zhengtong.kernel.messages.models import Letter, LinkAlarm, LinkLane, Message, Neighbour, Sent
from zhengtong.kernel.messages.outbox import Lane, post
from zhengtong.kernel.messages.pieces import send_missing
from zhengtong.kernel.messages.routes import way_to
from zhengtong.wire.batch import Letter as Numbered
from zhengtong.wire.batch import Refused
from zhengtong.wire.checkpoint import cosign
from zhengtong.wire.envelope import MAX_ENVELOPE
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.receipts import Entry, Event, Receipts
from zhengtong.wire.standing import Lost, Witnessed

pytestmark = pytest.mark.django_db


def test_the_sender_sees_which_letter_was_refused_and_why(fugou: Poser) -> None:
    dial(fugou.batch())
    letters = tell(fugou, 3)
    why = Refused(2, Refusal.ABOVE_CEILING, "level 2, ceiling 1")
    assert dial(fugou.refusing(letters, why))[0] == 200
    refused = Sent.objects.get(sequence=2)
    assert (refused.refusal, refused.refusal_detail) == ("above_ceiling", "level 2, ceiling 1")
    assert list(commands.refused()) == [refused.letter], "and stands on the page of links"
    assert link().receipted == 3, "the others are delivered"


def lowered(fugou: Poser) -> list[Numbered]:
    """Three letters are numbered, the first may no longer go; what the neighbour gets."""
    dial(fugou.batch())
    tell(fugou, 1, level=1)
    neighbours = Neighbour.objects.filter(name="fugou")
    neighbours.update(ceiling=0)
    return tell(fugou, 2, level=0)


def test_a_letter_above_a_lowered_ceiling_goes_as_a_mere_hash(fugou: Poser) -> None:
    kept, *others = lowered(fugou)
    sent = Sent.objects.get(sequence=1)
    assert (kept.envelope, bytes(kept.bulk), kept.withheld) == (b"", b"", bytes(sent.digest))
    assert all(letter.envelope for letter in others)
    assert list(commands.refused()) == [sent.letter], "dead at once, and not only when it is heard"
    events = {1: Event.WITHHELD}
    said = fugou.batch(
        receipts=fugou.receipt([kept, *others], events),
        refusals=(Refused(1, Refusal.WITHHELD, ""),),
        acknowledged=3,
    )
    assert dial(said)[0] == 200
    assert link().receipted == 3
    assert list(commands.refused()) == [sent.letter]
    with pytest.raises(AboveCeiling):
        commands.resend(node_actor({"messages.resend"}), sent.letter.pk)
    Neighbour.objects.filter(name="fugou").update(ceiling=2)
    commands.resend(node_actor({"messages.resend"}), sent.letter.pk)
    (again,) = tell(fugou, 0)
    assert (again.sequence, bool(again.envelope)) == (4, True)
    assert not commands.refused()


def test_a_letter_that_had_come_before_the_ceiling_was_lowered_is_not_dead(fugou: Poser) -> None:
    letters = lowered(fugou)
    assert commands.refused()
    assert dial(fugou.batch(receipts=fugou.receipt(letters), acknowledged=3))[0] == 200
    assert not commands.refused()


def test_a_letter_goes_after_all_if_the_ceiling_is_raised_in_time(fugou: Poser) -> None:
    digest = lowered(fugou)[0].withheld
    Neighbour.objects.filter(name="fugou").update(ceiling=2)
    first = tell(fugou, 0)[0]
    assert fugou.node.crypto.hash(first.envelope) == digest, "the same letter, in the same chain"
    assert dial(fugou.batch(receipts=fugou.receipt([first]), acknowledged=1))[0] == 200
    assert not commands.refused()


def test_a_letter_above_the_nodes_own_lowered_ceiling_stays_here(
    fugou: Poser, monkeypatch: pytest.MonkeyPatch
) -> None:
    dial(fugou.batch())
    tell(fugou, 1, level=1)
    monkeypatch.setattr(settings, "NODE", replace(settings.NODE, ceiling=Level.PUBLIC))
    (letter,) = tell(fugou, 0)
    assert not letter.envelope


def test_the_sender_sees_that_its_whole_batch_was_refused(fugou: Poser) -> None:
    """Downwards the answer is the batch, so the child tells its parent at the next dial."""
    dial(fugou.batch())
    complaint = Refused(exchange.WHOLE_BATCH, Refusal.CLOCK, "off by 3600 s")
    assert dial(fugou.batch(refusals=(complaint,)))[0] == 200
    assert neighbour().failures == 1
    assert "clock" in neighbour().last_error and "off by 3600 s" in neighbour().last_error
    dial(fugou.batch())
    assert (neighbour().failures, neighbour().last_error) == (0, "")


def test_a_node_tells_why_it_refused_the_last_batch(fugou: Poser) -> None:
    error = WireError(Refusal.OUT_OF_ORDER, "got 5, expected 1")
    batch = fugou.read(exchange.compose("fugou", 2, refusing=error))
    assert batch.refusals == (
        Refused(exchange.WHOLE_BATCH, Refusal.OUT_OF_ORDER, "got 5, expected 1"),
    )


def test_a_letter_too_large_for_any_batch_holds_up_no_other(fugou: Poser) -> None:
    dial(fugou.batch())
    huge = a_fact("防" * MAX_ENVELOPE)
    message = Message.objects.create(
        kind=huge.kind, body=encode(huge), level=1, origin="test", at=datetime.now(UTC)
    )
    post(message, [way_to(neighbour())], 2)
    assert len(tell(fugou, 1)) == 1
    (stuck,) = commands.stuck()
    assert "oversized" in stuck.problem


def test_a_letter_the_node_itself_can_no_longer_read_holds_up_no_other(fugou: Poser) -> None:
    dial(fugou.batch())
    gone = Message.objects.create(
        kind="documents.gone", body=b"\xa0", level=1, origin="test", at=datetime.now(UTC)
    )
    post(gone, [way_to(neighbour())], 2)
    assert len(tell(fugou, 1)) == 1
    assert "documents.gone" in commands.stuck().get().problem


def test_nothing_is_numbered_before_the_two_have_met(fugou: Poser) -> None:
    assert tell(fugou, 2) == []
    assert Letter.objects.filter(waiting=True).count() == 2
    dial(fugou.batch())
    assert [letter.sequence for letter in tell(fugou, 0)] == [1, 2]


def begin_anew(fugou: Poser) -> dict[str, Any]:
    """The node is restored from a backup; what a neighbour says that has heard it since."""
    exchange.links().begin_anew()
    batch = fugou.read(exchange.compose("fugou", 2))
    assert batch.checkpoint
    cosigned = batch.checkpoint + cosign(batch.checkpoint, datetime.now(UTC), fugou.keys)
    return {"seen": Witnessed(batch.standing.epoch), "cosignature": cosigned}


def test_a_restored_node_numbers_nothing_before_it_is_answered(fugou: Poser) -> None:
    """It does not know which numbers it has used since, nor which of them are still on the road."""
    dial(fugou.batch())
    heard = begin_anew(fugou)
    assert tell(fugou, 2) == []
    dial(fugou.batch(acknowledged=5))  # said before, but it came late
    assert tell(fugou, 0) == []
    dial(fugou.batch(acknowledged=7, **heard))  # it holds seven letters that we have forgotten
    assert [letter.sequence for letter in tell(fugou, 0)] == [8, 9]


def test_letters_that_both_ends_have_lost_are_told_and_passed_over(fugou: Poser) -> None:
    """The neighbour had seven letters of a node that remembers none, and then lost its own disk."""
    dial(fugou.batch())
    heard = begin_anew(fugou)
    dial(fugou.batch(acknowledged=7, **heard))
    assert [letter.sequence for letter in tell(fugou, 2)] == [8, 9]
    answer = fugou.read(dial(fugou.batch(acknowledged=4, again=True, **heard))[2])
    assert answer.standing.lost == Lost(5, 7)
    assert [letter.sequence for letter in answer.letters] == [8]
    assert LinkAlarm.objects.get(code="letters_lost").detail == "test 2: 5–7"


def test_letters_that_a_restored_neighbour_has_lost_are_sent_again(fugou: Poser) -> None:
    dial(fugou.batch())
    letters = tell(fugou, 5)
    dial(fugou.batch(receipts=fugou.receipt(letters), acknowledged=5))
    assert tell(fugou, 0) == []
    again = fugou.read(dial(fugou.batch(acknowledged=2))[2]).letters
    assert again == tuple(letters[2:]), "the very same envelopes"
    dial(fugou.batch(receipts=fugou.receipt(again[:1]), acknowledged=3))
    assert LinkLane.objects.get().receipted == 3, "what it said before it was restored is undone"
    dial(fugou.batch(receipts=fugou.receipt(again[1:]), acknowledged=5))
    assert exchange.to_say("fugou") == ()


def test_a_neighbour_that_begins_anew_is_told_once_more_what_a_restored_node_took(
    fugou: Poser,
) -> None:
    """Its backup may say that a life of ours that was undone had taken it."""
    first, second = fugou.letters(fugou.envelope(), fugou.envelope())
    dial(fugou.batch(first))
    heard = begin_anew(fugou)
    assert fugou.read(dial(fugou.batch(second, **heard))[2]).receipts
    assert fugou.read(exchange.compose("fugou", 2)).receipts is None
    fugou.counter = 0
    answer = fugou.read(dial(fugou.batch(epoch=2, **heard))[2])
    (entry,) = Receipts.decode(answer.receipts or b"").entries
    assert Entry.decode(entry).sequence == 2


def test_letters_from_before_and_after_a_restored_backup_both_arrive(fugou: Poser) -> None:
    """We held letters 1 to 3 in the backup; the neighbour has got 1 to 6 of us."""
    dial(fugou.batch())
    old = tell(fugou, 3)
    heard = begin_anew(fugou)
    dial(fugou.batch(acknowledged=6, **heard))
    exchange.rewind("fugou")
    assert fugou.read(exchange.compose("fugou", 2)).letters == tuple(old), (
        "for want of their receipts"
    )
    dial(fugou.batch(receipts=fugou.receipt(old), acknowledged=6, **heard))
    new = tell(fugou, 1)
    assert [letter.sequence for letter in new] == [7]


def test_nothing_urgent_overtakes_what_it_rests_on(fugou: Poser) -> None:
    """A reminder waits for its document, and the document for its files; other mail does not."""
    dial(fugou.batch())
    now = datetime.now(UTC)
    stored = store_bytes("水位表".encode(), "水位表.txt")
    file = FileRef(stored.pk, "水位表.txt", stored.size, stored.media_type)
    send_missing(offered(file), 1, [way_to(neighbour())], Lane.BULK, now)
    told = [
        (a_fact("通知"), "urn:other", Lane.BULK),
        (offered(file), "urn:document", Lane.NORMAL),
        (a_fact("催办"), "urn:document", Lane.URGENT),
    ]
    for fact, subject, lane in told:
        message = Message.objects.create(
            kind=fact.kind, body=encode(fact), level=1, origin="test", at=now, subject=subject
        )
        post(message, [way_to(neighbour())], lane)
    while sealing.seal_waiting():
        pass
    sent = Sent.objects.order_by("lane", "sequence")
    order = list(sent.values_list("letter__message__subject", flat=True))
    assert order == [f"file:{stored.pk}", "urn:document", "urn:document", "urn:other"]


@pytest.mark.django_db(transaction=True)
def test_a_locked_database_is_told_in_plain_words_and_nothing_is_lost(fugou: Poser) -> None:
    """Somebody holds the lock for longer than we wait."""
    letters = fugou.letters(fugou.envelope())
    with _patience(0.3), _another_holds_the_lock():
        status, code, body = dial(fugou.batch(*letters))
    assert (status, code) == (503, "unavailable")
    assert json.loads(body)["text"] == "系统正忙，本次操作没有保存。请稍候重试。"
    assert link().received == 0
    assert dial(fugou.batch(*letters))[0] == 200
    assert link().received == 1


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """How long our own connection waits for a lock."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
        else:
            cursor.execute(f"SET lock_timeout = '{int(seconds * 1000)}ms'")
    yield
    connection.close()


@contextmanager
def _another_holds_the_lock() -> Iterator[None]:
    """Another connection is in the middle of changing the link."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE" if other.vendor == "sqlite" else "BEGIN")
            cursor.execute("UPDATE kernel_neighbour SET title = title")
            yield
            cursor.execute("ROLLBACK")
    finally:
        other.close()
