"""Tokens survive paper and telephone; requests and answers belong together."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.builders import CITY, CITY_CARD, FUGOU, FUGOU_CARD, NOW, SHENQIU, seeded
from zhengtong.wire.directory import Hosted
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.joining import (
    MAX_REQUEST,
    JoinRequest,
    answer,
    ask,
    fingerprint,
    hash_token,
    new_token,
    read_answer,
    read_request,
    read_token,
    same_fingerprint,
    write_token,
)
from zhengtong.wire.keys import NodeKeys

TOKEN = new_token(seeded(1))
OFFICE = Hosted(UUID(int=7), "411621", "扶沟县人民政府", "扶沟县", "county")


def request(keys: NodeKeys = FUGOU) -> JoinRequest:
    return ask(
        keys, FUGOU_CARD, token=TOKEN, csr=b"csr", recovery=None, organisations=(OFFICE,), at=NOW
    )


@given(st.binary(min_size=20, max_size=20))
def test_a_token_survives_paper(token: bytes) -> None:
    written = write_token(token)
    assert len(written) == 39
    assert read_token(written) == token
    assert read_token(f" {written.lower().replace('-', ' ')}\n") == token
    assert read_token(written.replace("0", "O").replace("1", "l")) == token


@pytest.mark.parametrize("text", ["", "ABCD", "U" * 32, "0" * 31, "0" * 40, "零" * 32])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="eight groups"):
        read_token(text)


def test_tokens_do_not_repeat_and_their_hash_tells_nothing() -> None:
    assert new_token() != new_token()
    assert TOKEN not in hash_token(TOKEN)


def test_fingerprints_are_compared_as_people_write_them() -> None:
    shown = fingerprint(FUGOU_CARD)
    assert len(shown.split()) == 8
    assert same_fingerprint(shown.upper().replace(" ", "-"), FUGOU_CARD)
    assert not same_fingerprint(shown, CITY_CARD)
    assert not same_fingerprint("", FUGOU_CARD)


def test_a_request_is_read_back() -> None:
    asked = request()
    assert read_request(asked.signed) == asked


def test_a_request_is_signed_with_the_key_it_asks_for() -> None:
    with pytest.raises(WireError) as refused:
        read_request(request(SHENQIU).signed)
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_a_request_is_bounded_and_whole() -> None:
    with pytest.raises(WireError) as refused:
        read_request(bytes(MAX_REQUEST + 1))
    assert refused.value.code is Refusal.OVERSIZED
    signed = request().signed
    for place in range(0, len(signed), 5):
        altered = bytearray(signed)
        altered[place] ^= 1
        with pytest.raises(WireError):
            read_request(bytes(altered))


def test_an_answer_belongs_to_one_request() -> None:
    asked, other = (
        request(),
        ask(FUGOU, FUGOU_CARD, token=TOKEN, csr=b"", recovery=None, organisations=(), at=NOW),
    )
    given = answer(
        CITY,
        CITY_CARD,
        request=asked.digest,
        recovery=None,
        certificate=b"c",
        authority=b"a",
        directory=b"d",
    )
    assert read_answer(given.signed, asked) == given
    with pytest.raises(WireError) as refused:
        read_answer(given.signed, other)
    assert refused.value.code is Refusal.WRONG_RECIPIENT
