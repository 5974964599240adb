"""A second suite fits the same format: the uncrypted twin that the benchmark measures against."""

from __future__ import annotations

import dataclasses

import pytest

from bench.plain_suite import PLAIN
from tests.wire.builders import CITY, FUGOU_CARD, NOW, content, find_card, seeded
from zhengtong.wire.envelope import open_envelope, seal_disclosed
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.suite import register, suite_named

KEYS = NodeKeys.generate("plain", "none", seeded(50))
CARD = NodeCard.issue(KEYS, title="无密", zone="private", ceiling=2, url="", issued_at=NOW)


def test_the_twin_carries_the_same_letters() -> None:
    letter = dataclasses.replace(content(), origin="plain")
    envelope = seal_disclosed(letter, KEYS, (CARD,), None, seeded(1)).envelope
    assert letter.body in envelope
    assert open_envelope(envelope, KEYS, {CARD.signing_kid: CARD}.get).content == letter


def test_its_keys_survive_a_file() -> None:
    assert NodeKeys.from_pem(KEYS.to_pem()).signing_public == KEYS.signing_public


def test_nodes_of_two_suites_share_one_letter() -> None:
    envelope = seal_disclosed(content(), CITY, (FUGOU_CARD, CARD), None, seeded(1)).envelope
    assert open_envelope(envelope, KEYS, find_card).content == content()


def test_a_key_of_one_suite_cannot_sign_for_another() -> None:
    letter = dataclasses.replace(content(), origin="plain")
    envelope = seal_disclosed(letter, KEYS, (CARD,), None, seeded(1)).envelope
    card = dataclasses.replace(CARD, suite="intl", signing_public=FUGOU_CARD.signing_public)
    with pytest.raises(WireError) as refused:
        open_envelope(envelope, KEYS, lambda _: card)
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_a_name_is_given_once() -> None:
    assert register(PLAIN) is suite_named("none")
    with pytest.raises(ValueError, match="registered"):
        register(type(PLAIN)())
    with pytest.raises(WireError, match="unknown suite"):
        suite_named("gm-of-tomorrow")
