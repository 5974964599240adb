"""Keys change with mail in flight, and after a loss; nothing is lost and no thief gets in."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from tests import build
from tests.federation.neighbour import a_fact, dial
from tests.kernel.membership.conftest import Applicant, House, Peer, knock
from zhengtong.kernel import audit, moment
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.membership import queries, upkeep
from zhengtong.kernel.membership.commands import keys
from zhengtong.kernel.membership.messages import KeysAccepted, KeysChanged, RecoveryKept
from zhengtong.kernel.membership.models import FormerCard
from zhengtong.kernel.messages import keyfile
from zhengtong.kernel.messages.facts import Fact, decode, encode
from zhengtong.kernel.messages.identity import (
    card_of,
    own_card,
    own_cards,
    own_keys,
    recovery_of,
)
from zhengtong.kernel.messages.letter_body import unpack
from zhengtong.kernel.messages.models import Arrival, Handling, Letter, Message, Neighbour, Sent
from zhengtong.kernel.messages.outbox import Lane, post
from zhengtong.kernel.messages.routes import way_to
from zhengtong.kernel.messages.sealing import seal_waiting
from zhengtong.wire.batch import Letter as WireLetter
from zhengtong.wire.batch import Refused as RefusedLetter
from zhengtong.wire.envelope import open_envelope
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.receipts import Event
from zhengtong.wire.vouching import Cause, recovery_card, vouch

SAFE = NodeKeys.generate("xihua")


@pytest.fixture
def xihua(house: House) -> Peer:
    card = recovery_card(SAFE, "西华县节点", "https://xihua.example", moment.now())
    applicant = Applicant(recovery=card)
    house.admit(applicant)
    made = applicant.poser()
    dial(made.batch())
    drain(made)
    return made


def node(duty: str) -> Any:
    return node_actor({f"membership.{duty}"})


def link() -> Neighbour:
    return Neighbour.objects.get(name="xihua")


def work() -> None:
    build.settle()
    while seal_waiting() or upkeep.work():
        build.settle()


def drain(xihua: Peer) -> list[WireLetter]:
    """Let the neighbour fetch and receipt everything; what it got."""
    got: list[WireLetter] = []
    while True:
        work()
        waiting = [(lane, letters) for lane in Lane if (letters := xihua.fetch(lane))]
        if not waiting:
            return got
        for lane, letters in waiting:
            got += letters
            xihua.take(lane, letters)


def say(xihua: Peer, fact: Fact) -> None:
    xihua.send(xihua.envelope(fact))
    work()


def said(xihua: Peer, letters: list[WireLetter]) -> list[Fact]:
    """The facts in letters, opened with the neighbour's keys."""
    cards = {card.signing_kid: card for card in own_cards()}
    opened = [open_envelope(item.envelope, xihua.keys, cards.get).content for item in letters]
    return [decode(item.kind, unpack(item.body)[0]) for item in opened]


def tell() -> Message:
    fact = a_fact()
    message = Message.objects.create(
        kind=fact.kind, body=encode(fact), level=1, origin="test", at=moment.now()
    )
    post(message, [way_to(link())], 2)
    return message


# Our own keys change.


def test_our_keys_change_with_mail_in_flight(house: House, xihua: Peer) -> None:
    old = own_keys()
    in_flight = xihua.envelope()  # sealed for the old key, and on the road
    keys.rotate(node("rotate"))
    (changed,) = said(xihua, drain(xihua))
    assert isinstance(changed, KeysChanged)
    assert own_keys().signing_kid == old.signing_kid, "until the neighbour has answered"

    new_kid = bytes.fromhex(queries.rotation().new_key)  # type: ignore[union-attr]
    say(xihua, KeysAccepted(new_kid, 0))
    assert own_keys().signing_kid == new_kid
    xihua.node = own_card()
    letters = drain(xihua)
    assert letters, "a new version of the directory, signed with the new key"

    (late,) = xihua.send(in_flight)
    assert Arrival.objects.get(sequence=late.sequence).refusal == ""
    for lane in Lane:
        say(xihua, KeysAccepted(new_kid, int(lane)))
    assert queries.rotation() is None
    assert list((settings.NODE.keys / keyfile.SPARE).iterdir()) == []
    old_card = NodeCard.from_cbor(bytes(FormerCard.objects.get(node="test").card))
    (later,) = xihua.send(xihua.envelope(to=old_card))
    assert Arrival.objects.get(sequence=later.sequence).refusal == "undecryptable"


def test_the_old_key_goes_after_thirty_days_whoever_is_silent(house: House, xihua: Peer) -> None:
    old = own_keys()
    keys.rotate(node("rotate"))
    work()
    assert own_keys().signing_kid == old.signing_kid
    with moment.fixed(moment.now() + timedelta(days=30)):
        work()
    assert own_keys().signing_kid != old.signing_kid
    assert queries.rotation() is None and own_keys().spare == ()


def test_one_change_at_a_time(house: House) -> None:
    keys.rotate(node("rotate"))
    with pytest.raises(Refused, match="正在进行"):
        keys.rotate(node("rotate"))


def test_a_node_without_neighbours_changes_at_once(house: House) -> None:
    old = own_keys()
    keys.rotate(node("rotate"))
    work()
    assert own_keys().signing_kid != old.signing_kid
    assert queries.rotation() is None


def test_an_interrupted_switch_is_finished(house: House) -> None:
    """The files were moved and the machine stopped before the commit, or half way."""
    made = keys.rotate(node("rotate"))
    folder = settings.NODE.keys
    kept = folder / keyfile.SPARE / f"{own_keys().signing_kid.hex()}.pem"
    os.link(folder / keyfile.FILE, kept)
    keyfile.use_next(folder)
    keyfile.use_next(folder)
    assert own_keys().signing_kid.hex() == made.new_key
    assert len(own_keys().spare) == 1
    work()
    assert queries.rotation() is None


def test_the_audit_log_stays_whole_over_a_change_of_keys(house: House) -> None:
    audit.seal(own_keys())
    keys.rotate(node("rotate"))
    work()
    audit.seal(own_keys())
    assert list(audit.problems(*own_cards())) == []
    assert list(audit.problems(own_card())) != [], "the old checkpoints are by the old key"


# A neighbour's keys change.


def rotated(xihua: Peer) -> tuple[Peer, Fact]:
    """The neighbour with new keys, and what it says under the old ones."""
    made = xihua.changed()
    return made, KeysChanged(vouch(xihua.keys, made.card, Cause.ROTATION, moment.now()).signed)


def test_a_neighbours_new_key_is_used_and_answered_in_every_lane(house: House, xihua: Peer) -> None:
    new, fact = rotated(xihua)
    old_style = xihua.envelope()
    say(xihua, fact)
    assert card_of(link()).keys == new.card.keys
    xihua.node = own_card()
    facts = said(new, drain(xihua))
    answers = [item for item in facts if isinstance(item, KeysAccepted)]
    assert sorted(item.lane for item in answers) == [0, 1, 2, 3]
    assert {item.key for item in answers} == {new.card.signing_kid}
    entry = queries.directories()[0].entry_of("xihua")
    assert entry and entry.card.keys == new.card.keys

    # Letters and batches under the old key are still taken, for a while.
    (letter,) = xihua.send(old_style)
    assert Arrival.objects.get(sequence=letter.sequence).refusal == ""
    new.counter = xihua.counter
    assert dial(new.batch())[0] == 200
    with moment.fixed(moment.now() + timedelta(days=31)):
        xihua.counter = new.counter
        assert dial(xihua.batch(at=moment.now()))[:2] == (403, "unknown_sender")


def test_a_neighbour_that_tells_its_new_key_once_more_is_answered_once_more(
    house: House, xihua: Peer
) -> None:
    """It was restored to before our answers, and its change would wait for them for thirty days."""
    new, fact = rotated(xihua)
    say(xihua, fact)
    xihua.node = own_card()
    drain(xihua)
    say(xihua, fact)
    answers = [item for item in said(new, drain(xihua)) if isinstance(item, KeysAccepted)]
    assert sorted(item.lane for item in answers) == [0, 1, 2, 3]
    assert not Handling.objects.filter(dead=True).exists()


def test_nobody_changes_anothers_keys(house: House, xihua: Peer) -> None:
    house.admit(Applicant("fugou", url="https://fugou.example"))
    thief = Peer(own_card(), "xihua")
    forged = vouch(thief.keys, thief.card, Cause.ROTATION, moment.now())
    say(xihua, KeysChanged(forged.signed))
    assert "不予采用" in Handling.objects.get(dead=True).error
    assert card_of(link()).keys == xihua.card.keys


# A key is lost.


def statement(new: Peer, keys: NodeKeys = SAFE) -> bytes:
    return vouch(keys, new.card, Cause.LOSS, moment.now()).signed


def test_after_a_loss_letters_are_sealed_anew(house: House, xihua: Peer) -> None:
    message = tell()
    work()
    (lost,) = xihua.fetch(2)
    later = moment.now() + timedelta(minutes=5)
    with moment.fixed(lambda: later):
        new = xihua.changed()
        assert knock(statement(new), "/exchange/rekey")[0] == 204
        assert knock(statement(new), "/exchange/rekey")[0] == 204, "repeated without harm"
        assert dial(xihua.batch(at=later))[:2] == (403, "unknown_sender"), "the lost key is dead"
        assert new.fetch(2) == [lost]
        with pytest.raises(WireError, match="undecryptable"):
            open_envelope(lost.envelope, new.keys, {own_card().signing_kid: own_card()}.get)
        refused = RefusedLetter(lost.sequence, Refusal.UNDECRYPTABLE, "")
        new.counter = xihua.counter
        dead = {lost.sequence: Event.DEAD}
        new.take(2, [lost], events=dead, refusals=(refused,), at=later)
        work()
        again = Letter.objects.filter(message=message).order_by("pk")
        assert again.count() == 2
        assert decode(message.kind, bytes(message.body)) in said(new, new.fetch(2))
        work()
        assert again.count() == 2, "once"


def test_who_comes_back_after_a_loss_may_begin_an_earlier_epoch(house: House, xihua: Peer) -> None:
    """It was restored as well, and could verify no word about the epoch that its lost key named."""
    Neighbour.objects.filter(name="xihua").update(log_epoch=2**40)
    knock(statement(xihua.changed()), "/exchange/rekey")
    found = link()
    assert (found.log_epoch, bytes(found.log_roots)) == (0, b"")


@pytest.mark.parametrize("by", ["a stranger", "the lost key"])
def test_only_the_recovery_key_speaks_after_a_loss(house: House, xihua: Peer, by: str) -> None:
    new, _ = rotated(xihua)
    signer = {"a stranger": NodeKeys.generate("xihua"), "the lost key": xihua.keys}[by]
    assert knock(statement(new, signer), "/exchange/rekey")[:2] == (409, "refused")
    assert knock(b"rubbish", "/exchange/rekey")[0] == 409
    assert card_of(link()).keys == xihua.card.keys


def test_without_a_registered_recovery_key_there_is_no_way_back(house: House) -> None:
    house.admit(Applicant())
    new = Peer(own_card(), "xihua")
    assert knock(statement(new), "/exchange/rekey")[:2] == (409, "refused")


def test_we_ourselves_come_back_after_a_loss(house: House) -> None:
    safe = NodeKeys.generate("test")
    keys.register_recovery(
        node("register_recovery"), recovery_card(safe, "测试节点", "", moment.now())
    )
    old = own_card()
    (settings.NODE.keys / keyfile.FILE).write_bytes(b"damaged")
    voucher = keys.replace_lost_keys(node("replace_lost_keys"), safe)
    assert own_keys().signing_public == voucher.card.signing_public
    assert own_card().keys != old.keys
    with pytest.raises(Refused, match="不是本节点登记"):
        keys.replace_lost_keys(node("replace_lost_keys"), NodeKeys.generate("test"))
    with pytest.raises(Refused, match="xihua"):
        keys.replace_lost_keys(node("replace_lost_keys"), SAFE)


# Recovery keys.


def test_letters_are_sealed_for_the_recovery_key_as_well(house: House, xihua: Peer) -> None:
    message = tell()
    work()
    sealed = bytes(Sent.objects.get(letter__message=message).envelope)
    find = {own_card().signing_kid: own_card()}.get
    content = open_envelope(sealed, SAFE, find, recovering=True).content
    assert unpack(content.body)[0] == bytes(message.body)
    recovery = recovery_of(link())
    assert recovery and recovery.keys == SAFE_KEYS


SAFE_KEYS = frozenset((SAFE.signing_public, SAFE.agreement_public))


def test_a_recovery_key_is_registered_once(house: House) -> None:
    applicant = Applicant()
    house.admit(applicant)
    xihua = applicant.poser()
    dial(xihua.batch())
    first = recovery_card(SAFE, "西华", "", moment.now())
    say(xihua, RecoveryKept(first.to_cbor()))
    assert recovery_of(link()) == first
    thief = recovery_card(NodeKeys.generate("xihua"), "西华", "", moment.now())
    say(xihua, RecoveryKept(thief.to_cbor()))
    assert recovery_of(link()) == first
    assert "另一枚" in Handling.objects.get(dead=True).error
    with pytest.raises(Refused):
        for _ in range(2):
            keys.register_recovery(
                node("register_recovery"),
                recovery_card(NodeKeys.generate("test"), "测试", "", moment.now()),
            )
