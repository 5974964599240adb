"""A new card is believed only when the old key or the registered recovery key says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.wire.builders import CITY, FUGOU, FUGOU_CARD, NOW, SHENQIU, seeded
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.vouching import Cause, read_voucher, recovery_card, vouch

LATER = NOW + timedelta(days=1)
NEW = NodeKeys.generate("fugou", rng=seeded(12))
SAFE = NodeKeys.generate("fugou", rng=seeded(13))
SAFE_CARD = recovery_card(SAFE, "扶沟县", "https://fugou.example", NOW)


def card(keys: NodeKeys = NEW, **changes: object) -> NodeCard:
    values = {
        "title": "扶沟县",
        "zone": "private",
        "ceiling": 2,
        "url": "https://fugou.example",
        "issued_at": LATER,
    }
    return NodeCard.issue(keys, **(values | changes))  # type: ignore[arg-type]


def test_the_old_key_vouches_for_the_new_one() -> None:
    voucher = vouch(FUGOU, card(), Cause.ROTATION, LATER)
    assert read_voucher(voucher.signed, FUGOU_CARD, None) == voucher


def test_the_recovery_key_vouches_after_a_loss() -> None:
    voucher = vouch(SAFE, card(), Cause.LOSS, LATER)
    assert read_voucher(voucher.signed, FUGOU_CARD, SAFE_CARD) == voucher


@pytest.mark.parametrize(
    ("keys", "cause"),
    [
        (SHENQIU, Cause.ROTATION),
        (NEW, Cause.ROTATION),
        (SAFE, Cause.ROTATION),
        (FUGOU, Cause.LOSS),
        (CITY, Cause.LOSS),
    ],
    ids=["a stranger", "itself", "recovery as rotation", "old as recovery", "the parent"],
)
def test_nobody_else_vouches(keys: NodeKeys, cause: Cause) -> None:
    with pytest.raises(WireError) as refused:
        read_voucher(vouch(keys, card(), cause, LATER).signed, FUGOU_CARD, SAFE_CARD)
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_a_loss_needs_a_registered_recovery_key() -> None:
    with pytest.raises(WireError) as refused:
        read_voucher(vouch(SAFE, card(), Cause.LOSS, LATER).signed, FUGOU_CARD, None)
    assert refused.value.code is Refusal.UNKNOWN_SENDER


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (card(issued_at=NOW), Refusal.OUTDATED),
        (card(ceiling=3), Refusal.MALFORMED),
        (card(zone="inner"), Refusal.MALFORMED),
        (card(FUGOU), Refusal.MALFORMED),
        (card(NodeKeys.generate("zhoukou", rng=seeded(14))), Refusal.BAD_SIGNATURE),
    ],
    ids=["an old card", "another ceiling", "another zone", "the same keys", "another node"],
)
def test_only_the_keys_may_change(new: NodeCard, code: Refusal) -> None:
    with pytest.raises(WireError) as refused:
        read_voucher(vouch(FUGOU, new, Cause.ROTATION, LATER).signed, FUGOU_CARD, SAFE_CARD)
    assert refused.value.code is code


def test_every_changed_byte_is_noticed() -> None:
    signed = vouch(FUGOU, card(), Cause.ROTATION, LATER).signed
    for place in range(0, len(signed), 5):
        altered = bytearray(signed)
        altered[place] ^= 1
        with pytest.raises(WireError):
            read_voucher(bytes(altered), FUGOU_CARD, SAFE_CARD)
