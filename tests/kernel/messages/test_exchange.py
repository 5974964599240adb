"""What a neighbour may do to us, by fault or by malice: refused with the exact code, which the
neighbour sees, and nothing that is good is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import cbor2
import pytest

from tests.federation.neighbour import Poser, a_fact, dial, link, tell
from zhengtong.capabilities.documents.messages import SignedFor
from zhengtong.kernel.messages.facts import FileRef, encode
from zhengtong.kernel.messages.models import Arrival, Message, Neighbour, Receipt, Sent
from zhengtong.kernel.messages.pieces import PIECE, FilePiece
from zhengtong.wire import cbor, cose
from zhengtong.wire.batch import MAX_BATCH
from zhengtong.wire.batch import Letter as Numbered
from zhengtong.wire.envelope import MAX_ENVELOPE
from zhengtong.wire.errors import Refusal
from zhengtong.wire.keys import NodeKeys
from zhengtong.wire.receipts import Event, verify

pytestmark = pytest.mark.django_db


def everything() -> tuple[object, ...]:
    """The state of the exchange that a refused batch must leave as it was.

    But how far the neighbour's clock is off may be noted, for that may be why it was refused.
    """
    fields = [field.attname for field in Neighbour._meta.fields if field.name != "skew_ms"]
    return (
        list(Neighbour.objects.order_by("name").values(*fields)),
        list(Message.objects.order_by("pk").values()),
        list(Arrival.objects.order_by("pk").values()),
        list(Sent.objects.order_by("pk").values()),
        Receipt.objects.count(),
    )


# ── a batch that is refused as a whole ──


def _flip(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _parts(batch: bytes) -> tuple[bytes, bytes]:
    """The signed standing of a batch, and its body."""
    signed, at = cbor.read_bstr(batch, 0)
    return signed, cbor.read_bstr(batch, at)[0]


def _joined(signed: bytes, body: bytes) -> bytes:
    return cbor.bstr(signed) + cbor.bstr(body)


def _restated(keys: NodeKeys, batch: bytes, body: bytes | None = None) -> bytes:
    """The same statements signed by `keys`, over the same body or over another."""
    signed, honest = _parts(batch)
    body = honest if body is None else body
    fields = cbor2.loads(cose.parse(signed, cose.STANDING, MAX_BATCH).payload)
    fields["body"] = keys.suite.hash(body)
    return _joined(keys.state(cose.STANDING, cbor2.dumps(fields, canonical=True)), body)


def _unsigned(fugou: Poser) -> bytes:
    signed, body = _parts(fugou.batch(*fugou.letters(fugou.envelope())))
    return _joined(signed[: -len(b"\x58\x40") - 64] + b"\x40", body)


def _signed_by_another(fugou: Poser) -> bytes:
    stranger = Poser(fugou.node, "shenqiu")
    return stranger.batch(*stranger.letters(stranger.envelope()))


def _posing_as(fugou: Poser) -> bytes:
    """Another admitted node signs a batch in the name of fugou."""
    other = Poser(fugou.node, "shenqiu").admitted()
    return _restated(other.keys, fugou.batch())


def _suspended(fugou: Poser) -> bytes:
    Neighbour.objects.filter(name="fugou").update(suspended=True)
    return fugou.batch(*fugou.letters(fugou.envelope()))


def _replayed(fugou: Poser) -> bytes:
    once = fugou.batch(*fugou.letters(fugou.envelope()))
    assert dial(once)[0] == 200
    return once


def _late(fugou: Poser) -> bytes:
    """A batch that another one has overtaken on the road."""
    early = fugou.batch(*fugou.letters(fugou.envelope()))
    assert dial(fugou.batch())[0] == 200
    return early


def _number_reused(fugou: Poser) -> bytes:
    assert dial(fugou.batch(*fugou.letters(fugou.envelope())))[0] == 200
    honest = dict(fugou.chains)
    forked = fugou.batch(*fugou.letters(fugou.envelope()))
    fugou.chains = honest
    return forked


def _receipt(**given: Any) -> Callable[[Poser], bytes]:
    def make(fugou: Poser) -> bytes:
        letters = tell(fugou, 3)
        if given.get("of") == "another envelope":
            letters[1] = Numbered(letters[1].sequence, b"something else")
        if given.get("of") == "letters never sent":
            letters = [*letters, Numbered(4, b"?")]
        return fugou.batch(receipts=fugou.receipt(letters, **_known(given)), acknowledged=3)

    return make


def _known(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != "of"}


def _forged_receipt(fugou: Poser) -> bytes:
    return fugou.batch(receipts=_flip(fugou.receipt(tell(fugou)), -1), acknowledged=1)


def _batch(**changes: Any) -> Callable[[Poser], bytes]:
    return lambda fugou: fugou.batch(*fugou.letters(fugou.envelope()), **changes)


def _cut(fugou: Poser) -> bytes:
    return fugou.batch(*fugou.letters(fugou.envelope()))[:-30]


def _altered(fugou: Poser) -> bytes:
    return _flip(fugou.batch(*fugou.letters(fugou.envelope())), 300)


def _without_order(fugou: Poser) -> bytes:
    """Letters 2, 1: no honest encoder writes such a batch."""
    batch = fugou.batch(*fugou.letters(fugou.envelope(), fugou.envelope()))
    body = cbor2.loads(_parts(batch)[1])
    body["letters"].reverse()
    return _restated(fugou.keys, batch, cbor2.dumps(body, canonical=True))


WHOLE: dict[str, tuple[Callable[[Poser], bytes], Refusal, int]] = {
    "unsigned": (_unsigned, Refusal.UNSIGNED, 401),
    "altered on the road": (_altered, Refusal.BAD_SIGNATURE, 401),
    "signed by a stranger": (_signed_by_another, Refusal.UNKNOWN_SENDER, 403),
    "signed in another's name": (_posing_as, Refusal.BAD_SIGNATURE, 401),
    "of a suspended node": (_suspended, Refusal.SUSPENDED, 403),
    "for another node": (_batch(receiver="xihua"), Refusal.WRONG_RECIPIENT, 409),
    "replayed": (_replayed, Refusal.REPLAYED, 409),
    "overtaken": (_late, Refusal.REPLAYED, 409),
    "a number used twice": (_number_reused, Refusal.SEQUENCE_MISMATCH, 409),
    "letters out of order": (_without_order, Refusal.MALFORMED, 409),
    "cut short": (_cut, Refusal.TRUNCATED, 409),
    "too large": (lambda fugou: cbor.bstr(bytes(MAX_BATCH + 1)), Refusal.OVERSIZED, 413),
    "garbage": (lambda fugou: bytes(range(256)) * 9, Refusal.MALFORMED, 409),
    "nothing": (lambda fugou: b"", Refusal.TRUNCATED, 409),
    "a clock an hour slow": (
        lambda fugou: fugou.batch(at=datetime.now(UTC) - timedelta(hours=1)), Refusal.CLOCK, 409,
    ),
    "a clock an hour fast": (
        lambda fugou: fugou.batch(at=datetime.now(UTC) + timedelta(hours=1)), Refusal.CLOCK, 409,
    ),
    "a receipt for another envelope": (
        _receipt(of="another envelope"), Refusal.SEQUENCE_MISMATCH, 409,
    ),
    "a receipt for letters never sent": (
        _receipt(of="letters never sent"), Refusal.SEQUENCE_MISMATCH, 409,
    ),
    "a receipt of another link": (_receipt(sender="xihua"), Refusal.WRONG_RECIPIENT, 409),
    "a receipt of a stranger": (
        _receipt(keys=NodeKeys.generate("shenqiu")), Refusal.UNKNOWN_SENDER, 403,
    ),
    "a forged receipt": (_forged_receipt, Refusal.BAD_SIGNATURE, 401),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_a_bad_batch_is_refused_whole_and_changes_nothing(fugou: Poser, case: str) -> None:
    make, code, status = WHOLE[case]
    dial(fugou.batch())  # the two have met before
    bad = make(fugou)
    before = everything()
    found_status, found_code, body = dial(bad)
    assert (found_code, found_status) == (code.value, status)
    assert json.loads(body)["text"].endswith("。"), "a sentence for people, with a remedy"
    assert everything() == before
    Neighbour.objects.filter(name="fugou").update(suspended=False)
    good = fugou.letters(fugou.envelope(), first=link().received + 1)
    assert dial(fugou.batch(*good))[0] == 200, "a good letter gets through afterwards"
    assert link().received == good[0].sequence


# ── a letter that is refused by itself ──


def _kind_too_new(fugou: Poser) -> bytes:
    return fugou.envelope(kind="documents.folded_into_a_hat", body=b"\xa0")


def _piece(index: int = 0, length: int = PIECE, **changes: Any) -> Callable[[Poser], Numbered]:
    """One piece of a file of three: what is wrong with it cannot wait for the last to come."""
    file = {"sha256": "ab" * 32, "name": "附件.txt", "size": 3 * PIECE, "media_type": "text/plain"}
    piece = FilePiece(FileRef(**(file | changes)), index, bytes(32))  # type: ignore[arg-type]
    return lambda fugou: fugou.piece(0, piece, bytes(length))


def _lifted(fugou: Poser) -> bytes:
    """A letter that another node sealed and signed."""
    return Poser(fugou.node, "shenqiu").envelope()


def _too_secret(fugou: Poser) -> bytes:
    """A sender that does not hold our ceiling as we would."""
    return fugou.envelope(level=3, to=replace(fugou.node, ceiling=4))


def _for_another(fugou: Poser) -> bytes:
    return fugou.envelope(to=Poser(fugou.node, "xihua").card)


def _for_lost_keys(fugou: Poser) -> bytes:
    """Sealed for keys that the node had before it was set up anew."""
    before = Poser(fugou.node, "test")
    return fugou.envelope(to=before.card)


LETTERS: dict[str, tuple[Callable[[Poser], bytes | Numbered], Refusal]] = {
    "unsigned": (lambda fugou: fugou.envelope()[:-66] + b"\x40", Refusal.UNSIGNED),
    "altered": (lambda fugou: _flip(fugou.envelope(), -70), Refusal.BAD_SIGNATURE),
    "signed by another": (_lifted, Refusal.UNKNOWN_SENDER),
    "cut short": (lambda fugou: fugou.envelope()[:-9], Refusal.TRUNCATED),
    "too large": (lambda fugou: fugou.envelope(body=bytes(MAX_ENVELOPE)), Refusal.OVERSIZED),
    "garbage": (lambda fugou: b"garbage", Refusal.MALFORMED),
    "of an unknown kind": (_kind_too_new, Refusal.UNKNOWN_KIND),
    "of an unknown kind with a zero in its name": (
        lambda fugou: fugou.envelope(kind="documents\x00"), Refusal.UNKNOWN_KIND,
    ),
    "a malformed fact": (lambda fugou: fugou.envelope(body=b"\xa1\x61x\x01"), Refusal.MALFORMED),
    "no fact at all": (lambda fugou: fugou.envelope(body=b"\xff\xff"), Refusal.MALFORMED),
    "a zero in its subject": (lambda fugou: fugou.envelope(subject="a\x00b"), Refusal.MALFORMED),
    "addressed to no organisation": (
        lambda fugou: fugou.envelope(addressees=["everybody"]), Refusal.MALFORMED,
    ),
    "for another node": (_for_another, Refusal.WRONG_RECIPIENT),
    "for keys we no longer have": (_for_lost_keys, Refusal.UNDECRYPTABLE),
    "above our ceiling": (_too_secret, Refusal.ABOVE_CEILING),
    "a file that would leave its folder": (_piece(sha256="../../keys/node.pem"), Refusal.MALFORMED),
    "a piece behind the end of its file": (_piece(index=3), Refusal.MALFORMED),
    "a piece of another length": (_piece(length=PIECE - 1), Refusal.MALFORMED),
    "a file of a type that may not enter": (_piece(media_type="text/html"), Refusal.MALFORMED),
    "a file larger than any": (_piece(size=1 << 40), Refusal.MALFORMED),
}  # fmt: skip


@pytest.mark.parametrize("case", LETTERS)
def test_a_bad_letter_is_refused_alone_and_its_sender_sees_why(fugou: Poser, case: str) -> None:
    make, code = LETTERS[case]
    if case == "above our ceiling":
        fugou.ceiling = 4  # its own would allow it
        fugou.card = fugou.card_of(fugou.keys)
        fugou.admitted()
    before, after = fugou.envelope(), fugou.envelope()
    letters = fugou.letters(before, make(fugou), after)
    status, _, body = dial(fugou.batch(*letters))
    assert status == 200
    answer = fugou.read(body)
    assert [(item.sequence, item.code) for item in answer.refusals] == [(2, code)]
    assert answer.receipts
    _, entries = verify(answer.receipts, {fugou.node.signing_kid: fugou.node}.get)
    assert [(item.sequence, item.event) for item in entries] == [
        (1, Event.DELIVERED),
        (2, Event.DEAD),
        (3, Event.DELIVERED),
    ]
    assert Message.objects.count() == 2
    # What is refused is kept for inquiry, unless it may not be on this node at all.
    kept = b"" if case == "above our ceiling" else letters[1].envelope
    assert bytes(Arrival.objects.get(sequence=2).envelope) == kept
    assert link().received == 3


def test_of_a_withheld_letter_the_hash_takes_the_place(fugou: Poser) -> None:
    kept, other = fugou.envelope(level=2), fugou.envelope()
    digest = fugou.keys.suite.hash(kept)
    hashed = Numbered(1, b"", withheld=digest)
    answer = fugou.read(dial(fugou.batch(hashed, Numbered(2, other)))[2])
    assert [(item.sequence, item.code) for item in answer.refusals] == [(1, Refusal.WITHHELD)]
    assert answer.receipts
    _, entries = verify(answer.receipts, {fugou.node.signing_kid: fugou.node}.get)
    events = [(item.event, item.envelope_hash) for item in entries]
    assert events == [
        (Event.WITHHELD, digest),
        (Event.DELIVERED, fugou.keys.suite.hash(other)),
    ]
    arrival = Arrival.objects.get(sequence=1)
    assert (arrival.refusal, bytes(arrival.envelope)) == ("withheld", b"")
    assert Message.objects.count() == 1
    # The letter itself, later, is a repeat, and no second one can take its place.
    assert dial(fugou.batch(Numbered(1, kept), acknowledged=0))[0] == 200
    assert Message.objects.count() == 1
    assert dial(fugou.batch(Numbered(1, b"", withheld=bytes(32))))[1] == "sequence_mismatch"


def test_a_letter_above_the_ceiling_of_its_own_sender_is_refused(fugou: Poser) -> None:
    """fugou is accredited up to 2 on its card, whatever it signs."""
    letters = fugou.letters(_too_secret(fugou))
    answer = fugou.read(dial(fugou.batch(*letters))[2])
    assert [(item.code, "ceiling of fugou" in item.detail) for item in answer.refusals] == [
        (Refusal.ABOVE_CEILING, True)
    ]


def test_a_message_cannot_take_the_place_of_another(fugou: Poser) -> None:
    number = uuid4()
    first = fugou.envelope(a_fact("一"), message=number)
    fact = a_fact("二")
    letters = fugou.letters(first, fugou.envelope(fact, message=number))
    answer = fugou.read(dial(fugou.batch(*letters))[2])
    assert [(item.sequence, item.code) for item in answer.refusals] == [(2, Refusal.REPLAYED)]


def test_a_message_sent_anew_is_delivered_once(fugou: Poser) -> None:
    """An administrator may send a letter again: new number, same message."""
    number, fact = uuid4(), a_fact()
    letters = fugou.letters(*(fugou.envelope(fact, message=number) for _ in range(2)))
    answer = fugou.read(dial(fugou.batch(*letters))[2])
    assert answer.refusals == ()
    later = fugou.letters(fugou.envelope(fact, message=number), first=3)
    assert fugou.read(dial(fugou.batch(*later))[2]).refusals == ()
    assert Message.objects.count() == 1


def test_a_signed_for_fact_arrives_as_it_was_told(fugou: Poser) -> None:
    """The plain good case, through the door."""
    fact = SignedFor(uuid4(), uuid4(), "王远岑", datetime.now(UTC))
    assert dial(fugou.batch(*fugou.letters(fugou.envelope(fact, subject="urn:x"))))[0] == 200
    message = Message.objects.get()
    assert (message.kind, message.origin, message.subject) == (fact.kind, "fugou", "urn:x")
    assert bytes(message.body) == encode(fact)
