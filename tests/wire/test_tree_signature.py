"""Many letters under one signature: each is verifiable alone, and none can be lifted or altered."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.builders import CITY, CITY_CARD, FUGOU, FUGOU_CARD, content, find_card, seeded
from zhengtong.wire import cbor, cose, tree_signature
from zhengtong.wire.envelope import Sealed, open_envelope, open_to, prepare, sign_together
from zhengtong.wire.errors import Refusal, WireError


def together(number: int) -> list[Sealed]:
    rng = seeded(5)
    audience = open_to([FUGOU_CARD], None, rng)
    letters = [
        prepare(content(b"%d" % at), CITY, audience, rng, together=True) for at in range(number)
    ]
    return sign_together(letters, CITY)


@pytest.mark.parametrize("number", [1, 2, 3, 100])
def test_each_letter_opens_by_itself(number: int) -> None:
    for at, letter in enumerate(together(number)):
        opened = open_envelope(letter.envelope, FUGOU, find_card)
        assert opened.content.body == b"%d" % at
        assert opened.envelope_hash == letter.envelope_hash


def test_every_changed_byte_of_a_letter_is_refused() -> None:
    envelope = together(3)[1].envelope
    for position in range(len(envelope)):
        changed = bytearray(envelope)
        changed[position] ^= 0x04
        with pytest.raises(WireError):
            open_envelope(bytes(changed), FUGOU, find_card)


def test_the_signature_of_one_letter_fits_no_other() -> None:
    first, second = (cose.parse(letter.envelope, cose.ENVELOPE, 10_000) for letter in together(2))
    lifted = cose.assemble(second.protected, second.payload, first.signature)
    with pytest.raises(WireError) as refused:
        open_envelope(lifted, FUGOU, find_card)
    assert refused.value.code is Refusal.BAD_SIGNATURE


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=40), st.data())
@settings(deadline=None, max_examples=40)
def test_it_holds_for_the_signed_messages_and_for_nothing_else(
    messages: list[bytes], data: st.DataObject
) -> None:
    signatures = tree_signature.sign(messages, CITY.suite, CITY.signing)
    at = data.draw(st.integers(0, len(messages) - 1))
    other = data.draw(st.binary(max_size=40))

    def holds(message: bytes, signature: bytes) -> bool:
        return tree_signature.verify(CITY_CARD.signing_public, signature, message, CITY.suite)

    assert holds(messages[at], signatures[at])
    assert holds(other, signatures[at]) == (other == messages[at])
    assert not tree_signature.verify(
        FUGOU_CARD.signing_public, signatures[at], messages[at], CITY.suite
    )


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\xff",
        cbor.encode([]),
        cbor.encode([1, 0, [], None]),
        cbor.encode([0, 0, [], b"x"]),
        cbor.encode([1, 1, [], b"x"]),
        cbor.encode([2**53, 0, [], b"x"]),
        cbor.encode([2, 0, [7], b"x"]),
        cbor.encode([2, 0, "path", b"x"]),
        cbor.encode([True, 0, [], b"x"]),
    ],
)
def test_what_is_no_signature_holds_for_nothing(signature: bytes) -> None:
    public = CITY_CARD.signing_public
    assert not tree_signature.verify(public, signature, b"message", CITY.suite)
