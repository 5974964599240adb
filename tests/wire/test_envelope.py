"""A letter: what goes in comes out, for its recipients alone, and every misuse has its name."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.builders import (
    CITY,
    CITY_CARD,
    FUGOU,
    FUGOU_CARD,
    NOW,
    PORTAL_CARD,
    RECOVERY,
    RECOVERY_CARD,
    SHENQIU,
    SHENQIU_CARD,
    content,
    find_card,
    node,
    sealed,
    seeded,
)
from zhengtong.wire import cbor, cose
from zhengtong.wire.envelope import (
    Content,
    FileRef,
    disclosed,
    open_envelope,
    read_header,
    seal_disclosed,
    verify_envelope,
)
from zhengtong.wire.errors import Refusal, WireError

pytestmark = pytest.mark.usefixtures("suite")

contents = st.builds(
    Content,
    message_id=st.uuids(),
    kind=st.text(max_size=100),
    version=st.integers(0, 1000),
    level=st.integers(0, 2),
    origin=st.just("zhoukou"),
    lane=st.integers(0, 9),
    sent_at=st.datetimes(
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 (the strategy adds the zone)
        timezones=st.just(UTC),
    ),
    body=st.binary(max_size=5000),
    files=st.lists(
        st.builds(FileRef, st.text(max_size=300), st.integers(0, 2**40), st.binary(max_size=64)),
        max_size=4,
    ).map(tuple),
)


def refusal_of(data: bytes, **options: object) -> Refusal:
    with pytest.raises(WireError) as refused:
        open_envelope(data, FUGOU, find_card, **options)  # type: ignore[arg-type]
    return refused.value.code


@given(contents)
@settings(deadline=None, max_examples=60)
def test_every_recipient_reads_what_was_sent(letter: Content) -> None:
    envelope = seal_disclosed(letter, CITY, (FUGOU_CARD, SHENQIU_CARD), None, seeded(1)).envelope
    for keys in (FUGOU, SHENQIU):
        opened = open_envelope(envelope, keys, find_card)
        assert opened.content == letter
        assert opened.sender == CITY_CARD


def test_the_body_is_not_on_the_wire() -> None:
    envelope = sealed(content(b"a body that must not be seen")).envelope
    assert b"must not be seen" not in envelope
    assert b"a.pdf" not in envelope


def test_two_letters_with_the_same_words_look_different() -> None:
    first, second = sealed(seed=1), sealed(seed=2)
    assert read_header(first.envelope).content_hash != read_header(second.envelope).content_hash


def test_a_hop_reads_the_header_without_keys() -> None:
    header = verify_envelope(sealed().envelope, find_card).header
    assert (header.origin, header.destinations) == ("zhoukou", ("fugou",))
    assert (header.kind, header.level, header.lane) == ("documents.dispatched", 1, 2)
    assert header.sent_at == NOW


def test_the_disclosure_proves_the_content_without_keys() -> None:
    made = sealed()
    assert disclosed(read_header(made.envelope), made.disclosure) == content()
    with pytest.raises(WireError, match="differs"):
        disclosed(read_header(made.envelope), made.disclosure[:-1] + b"\x00")


def test_a_node_that_is_no_recipient_is_refused() -> None:
    assert refusal_of(sealed(None, SHENQIU_CARD).envelope) is Refusal.WRONG_RECIPIENT


def test_the_recovery_key_opens_but_is_no_destination() -> None:
    envelope = seal_disclosed(content(), CITY, (FUGOU_CARD,), RECOVERY_CARD, seeded(3)).envelope
    assert read_header(envelope).destinations == ("fugou",)
    with pytest.raises(WireError):
        open_envelope(envelope, RECOVERY, find_card)
    assert open_envelope(envelope, RECOVERY, find_card, recovering=True).content == content()


def test_a_recipient_with_lost_keys_cannot_open() -> None:
    new_keys, _ = node("fugou", "扶沟县", 77)
    with pytest.raises(WireError) as refused:
        open_envelope(sealed().envelope, new_keys, find_card)
    assert refused.value.code is Refusal.UNDECRYPTABLE


def test_no_letter_is_sealed_for_a_node_below_its_level() -> None:
    with pytest.raises(WireError, match="ceiling of portal 0") as refused:
        sealed(content(level=1), PORTAL_CARD)
    assert refused.value.code is Refusal.ABOVE_CEILING


def test_the_level_is_judged_before_anything_is_decrypted() -> None:
    strangers_keys, _ = node("fugou", "扶沟县", 78)
    with pytest.raises(WireError) as refused:
        open_envelope(sealed(content(level=2)).envelope, strangers_keys, find_card, ceiling=1)
    assert refused.value.code is Refusal.ABOVE_CEILING


def test_a_sender_cannot_send_above_its_own_ceiling() -> None:
    low_keys, low_card = node("low", "低", 79, ceiling=0)
    letter = dataclasses.replace(content(), origin="low")
    envelope = seal_disclosed(letter, low_keys, (FUGOU_CARD,), None, seeded(1)).envelope
    with pytest.raises(WireError) as refused:
        open_envelope(envelope, FUGOU, {low_card.signing_kid: low_card}.get)
    assert refused.value.code is Refusal.ABOVE_CEILING


def test_an_unknown_sender_is_refused() -> None:
    with pytest.raises(WireError) as refused:
        open_envelope(sealed().envelope, FUGOU, lambda _: None)
    assert refused.value.code is Refusal.UNKNOWN_SENDER


def test_a_letter_signed_as_somebody_else_is_refused() -> None:
    parts = cose.parse(sealed().envelope, cose.ENVELOPE, 100_000)
    forged = {**parts.header, cose.KID: SHENQIU.signing_kid}
    assert refusal_of(SHENQIU.sign(cbor.encode(forged), parts.payload)) is Refusal.BAD_SIGNATURE


def test_a_sealed_body_cannot_be_lifted_into_ones_own_letter() -> None:
    parts = cose.parse(sealed().envelope, cose.ENVELOPE, 100_000)
    claims = {**parts.header[cose.CWT_CLAIMS], 1: "shenqiu"}
    mine = {**parts.header, cose.KID: SHENQIU.signing_kid, cose.CWT_CLAIMS: claims}
    assert refusal_of(SHENQIU.sign(cbor.encode(mine), parts.payload)) is Refusal.UNDECRYPTABLE


def test_a_content_hash_that_lies_is_refused() -> None:
    made = sealed()
    with pytest.raises(WireError) as refused:
        disclosed(
            dataclasses.replace(read_header(made.envelope), content_hash=bytes(32)), made.disclosure
        )
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_without_signature_it_is_called_unsigned() -> None:
    parts = cose.parse(sealed().envelope, cose.ENVELOPE, 100_000)
    assert refusal_of(parts.payload) is Refusal.UNSIGNED
    assert refusal_of(cose.sign(parts.protected, parts.payload, lambda _: b"")) is Refusal.UNSIGNED


@pytest.mark.parametrize("other", [cose.STANDING, cose.RECEIPT, cose.CARD])
def test_what_is_signed_as_something_else_is_no_letter(other: str) -> None:
    parts = cose.parse(sealed().envelope, cose.ENVELOPE, 100_000)
    header = cbor.encode({**parts.header, cose.TYP: other})
    with pytest.raises(WireError, match="message type"):
        open_envelope(CITY.sign(header, parts.payload), FUGOU, find_card)


@pytest.mark.parametrize("change", [{cose.ALG: -8}, {cose.KID: bytes(8)}])
def test_the_signer_uses_the_key_and_algorithm_of_its_card(change: dict[int, object]) -> None:
    parts = cose.parse(sealed().envelope, cose.ENVELOPE, 100_000)
    envelope = CITY.sign(cbor.encode({**parts.header, **change}), parts.payload)
    with pytest.raises(WireError, match="key or algorithm") as refused:
        verify_envelope(envelope, lambda _: CITY_CARD)
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_size_is_judged_before_reading() -> None:
    assert refusal_of(b"\x00" * 1001, max_bytes=1000) is Refusal.OVERSIZED


def test_every_truncation_is_refused() -> None:
    envelope = sealed().envelope
    for length in range(len(envelope)):
        assert refusal_of(envelope[:length]) in (Refusal.TRUNCATED, Refusal.MALFORMED)
    assert refusal_of(envelope + b"\x00") is Refusal.MALFORMED


def test_every_changed_byte_is_refused() -> None:
    envelope = sealed(content(b"short")).envelope
    for position in range(len(envelope)):
        changed = bytearray(envelope)
        changed[position] ^= 0x10
        refusal_of(bytes(changed))


@pytest.mark.parametrize(
    "changes",
    [
        {"level": 6},
        {"level": -1},
        {"kind": "x" * 101},
        {"lane": 10},
        {"origin": "fugou"},
        {"files": (FileRef("a", -1, b""),)},
    ],
)
def test_what_cannot_be_read_is_never_written(changes: dict[str, object]) -> None:
    letter = dataclasses.replace(content(), **changes)  # type: ignore[arg-type]
    top = node("top", "顶", 80, ceiling=5)[1]
    with pytest.raises(WireError):
        envelope = seal_disclosed(letter, CITY, (FUGOU_CARD, top), None, seeded(1)).envelope
        open_envelope(envelope, FUGOU, find_card)


def test_a_letter_needs_a_recipient() -> None:
    with pytest.raises(WireError, match="0 recipients"):
        seal_disclosed(content(), CITY, (), None, seeded(1))
