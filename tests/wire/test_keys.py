"""Keys survive storage; a card that anyone edited is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.wire.builders import (
    CITY,
    CITY_CARD,
    FUGOU,
    FUGOU_CARD,
    NOW,
    content,
    find_card,
    node,
    seeded,
)
from zhengtong.wire import cbor, cose
from zhengtong.wire.envelope import open_envelope, seal_disclosed
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys

pytestmark = pytest.mark.usefixtures("suite")


@pytest.mark.parametrize("passphrase", [None, "口令 with spaces".encode()])
def test_keys_survive_a_file(passphrase: bytes | None) -> None:
    again = NodeKeys.from_pem(CITY.to_pem(passphrase), passphrase)
    assert (again.node, again.suite) == ("zhoukou", CITY.suite)
    assert again.signing_public == CITY.signing_public
    assert again.agreement_public == CITY.agreement_public


def test_a_wrong_passphrase_is_said_without_quoting_the_key() -> None:
    with pytest.raises(WireError, match="wrong passphrase") as refused:
        NodeKeys.from_pem(CITY.to_pem(b"right"), b"wrong")
    assert "BEGIN" not in str(refused.value)


@pytest.mark.parametrize(
    "pem", [b"", b"Node: a\nSuite: intl\n", b"Node: a\nSuite: nope\n", b"\xff"]
)
def test_a_key_file_that_is_none_is_refused(pem: bytes) -> None:
    with pytest.raises(WireError):
        NodeKeys.from_pem(pem)


def test_private_keys_are_not_shown_when_printed() -> None:
    assert "Private" not in repr(CITY)


def test_the_same_randomness_gives_the_same_node() -> None:
    assert node("a", "甲", 99)[0].signing_public == node("a", "甲", 99)[0].signing_public
    assert node("a", "甲", 99)[0].signing_public != node("a", "甲", 98)[0].signing_public


def test_a_card_survives_both_its_forms() -> None:
    assert NodeCard.from_cbor(CITY_CARD.to_cbor()) == CITY_CARD
    assert NodeCard.from_json(CITY_CARD.to_json()) == CITY_CARD
    assert CITY_CARD.title == "周口市"
    assert CITY_CARD.issued_at == NOW


def test_a_card_with_any_byte_changed_is_refused() -> None:
    data = CITY_CARD.to_cbor()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x01
        with pytest.raises(WireError):
            NodeCard.from_cbor(bytes(changed))


def test_a_card_edited_in_its_json_form_is_refused() -> None:
    with pytest.raises(WireError, match="ceiling was edited") as refused:
        NodeCard.from_json(CITY_CARD.to_json() | {"ceiling": 5})
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_a_card_signed_by_another_node_is_refused() -> None:
    claimed = cose.parse(FUGOU_CARD.to_cbor(), cose.CARD, 10_000).payload
    with pytest.raises(WireError) as refused:
        NodeCard.from_cbor(CITY.state(cose.CARD, claimed))
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_a_card_with_a_key_that_shares_no_secret_is_refused() -> None:
    fields = cbor.decode(cose.parse(FUGOU_CARD.to_cbor(), cose.CARD, 10_000).payload)
    weak = FUGOU.state(cose.CARD, cbor.encode(fields | {"agreement": bytes(32)}))
    with pytest.raises(WireError, match="unusable key"):
        NodeCard.from_cbor(weak)


@pytest.mark.parametrize("name", ["", "周口", "Zhoukou", "a" * 64, "-a", "a b", "a\n"])
def test_a_node_id_is_a_plain_name(name: str) -> None:
    with pytest.raises(WireError, match="not a node id"):
        NodeKeys.generate(name, rng=seeded(1))


def test_spare_keys_open_letters_and_sign_nothing() -> None:
    letter = seal_disclosed(
        content(b"in flight", origin="fugou"), FUGOU, [CITY_CARD], None, seeded(3)
    ).envelope
    new = NodeKeys.generate("zhoukou", CITY.suite.name, rng=seeded(21))
    with pytest.raises(WireError, match="undecryptable"):
        open_envelope(letter, new, find_card)
    changing = replace(new, spare=(CITY,))
    assert open_envelope(letter, changing, find_card).content.body == b"in flight"
    assert changing.signing_kid == new.signing_kid
