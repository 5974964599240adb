"""The directory of nodes: nobody forges it, rolls it back, forks it or blows it up unseen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.wire.builders import (
    CITY,
    CITY_CARD,
    FUGOU,
    FUGOU_CARD,
    NOW,
    RECOVERY_CARD,
    SHENQIU,
    find_card,
    node,
)
from zhengtong.wire import cbor
from zhengtong.wire.directory import (
    DIRECTORY,
    MAX_DIRECTORY,
    MAX_ENTRIES,
    Directory,
    Entry,
    Hosted,
    Status,
    Step,
    follow,
    issue,
    read,
)
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard

OFFICE = Hosted(UUID(int=7), "411621", "扶沟县人民政府", "扶沟县", "county")
ENTRIES = (
    Entry(CITY_CARD),
    Entry(FUGOU_CARD, Status.SUSPENDED, "zhoukou", bytes(32), FUGOU_CARD, (OFFICE,)),
)


def version(number: int, entries: tuple[Entry, ...] = ENTRIES) -> Directory:
    """The directory of this version, issued by the city after all the earlier ones."""
    held = None
    for _ in range(number):
        held = issue(CITY, entries, after=held, issued_at=NOW)
    assert held
    return held


def test_what_was_issued_is_read_back() -> None:
    issued = version(2)
    assert read(issued.signed, find_card) == issued
    found = issued.entry_of("fugou")
    assert found and found.organisations == (OFFICE,) and found.status is Status.SUSPENDED
    assert issued.entry_of("nobody") is None


def test_one_directory_has_one_encoding() -> None:
    assert version(1).signed == version(1).signed


def test_versions_follow_one_another() -> None:
    first, second, third = version(1), version(2), version(3)
    assert follow(None, second) is Step.NEXT
    assert follow(first, second) is Step.NEXT
    assert follow(second, second) is Step.SAME
    assert follow(first, third) is Step.GAP


@pytest.mark.parametrize(
    ("held", "new", "code"),
    [
        (version(3), version(2), Refusal.OUTDATED),
        (version(2), version(2, ENTRIES[:1]), Refusal.REPLAYED),
        (version(2), version(3, ENTRIES[:1]), Refusal.REPLAYED),
        (version(1), replace(version(2), issuer="fugou"), Refusal.MALFORMED),
    ],
    ids=["rolled back", "forked", "forked before", "of another issuer"],
)
def test_a_rollback_and_a_fork_are_seen(held: Directory, new: Directory, code: Refusal) -> None:
    with pytest.raises(WireError) as refused:
        follow(held, new)
    assert refused.value.code is code


def test_a_directory_of_a_stranger_is_refused() -> None:
    with pytest.raises(WireError) as refused:
        read(version(1).signed, {FUGOU_CARD.signing_kid: FUGOU_CARD}.get)
    assert refused.value.code is Refusal.UNKNOWN_SENDER


def test_every_changed_byte_is_noticed() -> None:
    signed = version(1).signed
    for place in range(0, len(signed), 7):
        altered = bytearray(signed)
        altered[place] ^= 1
        with pytest.raises(WireError):
            read(bytes(altered), find_card)


def test_every_cut_is_noticed() -> None:
    signed = version(1).signed
    for length in range(0, len(signed), 11):
        with pytest.raises(WireError):
            read(signed[:length], find_card)


def statement(**changes: Any) -> bytes:
    """A directory with one field written as no honest issuer would, signed all the same."""
    entry: dict[str, Any] = {
        "card": FUGOU_CARD.to_cbor(),
        "status": "active",
        "parent": "zhoukou",
        "certificate": b"",
        "recovery": None,
        "organisations": [],
    }
    entry |= {key: value for key, value in changes.items() if key in entry}
    whole = {"issuer": "zhoukou", "version": 1, "issued_at": 0, "previous": b""}
    whole |= {key: value for key, value in changes.items() if key not in entry}
    return CITY.state(DIRECTORY, cbor.encode({"entries": [entry]} | whole))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "fugou"}, Refusal.BAD_SIGNATURE),
        ({"version": 0}, Refusal.MALFORMED),
        ({"version": 2}, Refusal.MALFORMED),
        ({"previous": b"x"}, Refusal.MALFORMED),
        ({"status": "beloved"}, Refusal.MALFORMED),
        ({"parent": "No Node"}, Refusal.MALFORMED),
        ({"certificate": b"short"}, Refusal.MALFORMED),
        ({"recovery": RECOVERY_CARD.to_cbor()}, Refusal.MALFORMED),
        ({"organisations": [[b"no uuid", "1", "2", "3", "4"]]}, Refusal.MALFORMED),
        ({"organisations": [OFFICE.plain()] * 501}, Refusal.OVERSIZED),
        ({"card": FUGOU_CARD.to_cbor()[:-1]}, Refusal.TRUNCATED),
        ({"surprise": 1}, Refusal.MALFORMED),
        ({"entries": [None]}, Refusal.MALFORMED),
    ],
    ids=str,
)
def test_a_directory_that_breaks_the_form_is_refused(
    changes: dict[str, Any], code: Refusal
) -> None:
    with pytest.raises(WireError) as refused:
        read(statement(**changes), find_card)
    assert refused.value.code is code


def test_a_node_stands_in_it_once() -> None:
    twice = issue(CITY, [Entry(FUGOU_CARD), Entry(FUGOU_CARD)], after=None, issued_at=NOW)
    with pytest.raises(WireError, match="twice"):
        read(twice.signed, find_card)


def test_size_is_bounded_on_both_sides() -> None:
    with pytest.raises(WireError) as refused:
        issue(CITY, [Entry(FUGOU_CARD)] * (MAX_ENTRIES + 1), after=None, issued_at=NOW)
    assert refused.value.code is Refusal.OVERSIZED
    with pytest.raises(WireError) as refused:
        read(bytes(MAX_DIRECTORY + 1), find_card)
    assert refused.value.code is Refusal.OVERSIZED


def test_a_county_cannot_sign_for_the_city() -> None:
    forged = issue(FUGOU, ENTRIES, after=None, issued_at=NOW)
    assert read(forged.signed, find_card).issuer == "fugou"
    with pytest.raises(WireError):
        read(
            SHENQIU.state(DIRECTORY, cbor.encode({"issuer": "zhoukou"})),
            find_card,
        )


def test_a_full_directory_of_a_province_fits() -> None:
    cards: list[NodeCard] = [node(f"county-{number}", "县", number)[1] for number in range(200)]
    whole = issue(
        CITY,
        [Entry(card, parent="zhoukou", certificate=bytes(32), recovery=card) for card in cards],
        after=None,
        issued_at=NOW + timedelta(days=1),
    )
    assert len(read(whole.signed, find_card).entries) == 200
    assert len(whole.signed) < 200 * 1024
