"""Signed log heads in the C2SP text form."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.builders import CITY, CITY_CARD, FUGOU, FUGOU_CARD
from zhengtong.wire.checkpoint import (
    Checkpoint,
    log_origin,
    note_key_hash,
    parse_checkpoint,
    sign_checkpoint,
    sign_note,
    verifier_key,
    verify_checkpoint,
    verify_note,
)
from zhengtong.wire.errors import WireError
from zhengtong.wire.intl import INTL

pytestmark = pytest.mark.usefixtures("suite")

HEAD = Checkpoint(log_origin("zhoukou"), 4711, bytes(range(32)))


def test_the_text_is_as_c2sp_says() -> None:
    lines = sign_checkpoint(HEAD, CITY).decode().split("\n")
    assert lines[:4] == ["zhoukou/evidence", "4711", base64.b64encode(HEAD.root).decode(), ""]
    dash, name, signature = lines[4].split(" ")
    assert (dash, name, lines[5:]) == ("—", "zhoukou/evidence", [""])
    assert len(base64.b64decode(signature)) == 4 + 64


def test_the_signed_note_that_the_go_project_publishes_is_verified() -> None:
    name, key_hash = "PeterNeumann", "c74f20a3"
    key = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    public = base64.b64decode(key)[1:]
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    note = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert note_key_hash(name, INTL, public).hex() == key_hash
    assert verify_note(text, [(name, note)], name, INTL, public)
    assert not verify_note(text + "\n", [(name, note)], name, INTL, public)


@given(st.integers(0, 10**15), st.binary(min_size=32, max_size=32))
@settings(deadline=None, max_examples=40)
def test_a_checkpoint_is_read_as_it_was_signed(size: int, root: bytes) -> None:
    head = Checkpoint(log_origin("zhoukou"), size, root)
    assert verify_checkpoint(sign_checkpoint(head, CITY), CITY_CARD) == head


def test_a_witness_line_is_passed_over() -> None:
    witness = sign_note(HEAD.text(), "fugou/witness", FUGOU).rpartition("\n\n")[2]
    both = sign_checkpoint(HEAD, CITY) + witness.encode()
    assert verify_checkpoint(both, CITY_CARD) == HEAD
    assert [name for name, _ in parse_checkpoint(both)[2]] == ["zhoukou/evidence", "fugou/witness"]


def test_only_the_logs_own_node_signs_its_head() -> None:
    with pytest.raises(WireError):
        verify_checkpoint(sign_checkpoint(HEAD, FUGOU), CITY_CARD)
    with pytest.raises(WireError):
        verify_checkpoint(sign_checkpoint(HEAD, CITY), FUGOU_CARD)
    with pytest.raises(WireError, match="is not of fugou"):
        verify_checkpoint(sign_checkpoint(HEAD, FUGOU), FUGOU_CARD)


def test_every_changed_byte_is_refused() -> None:
    data = sign_checkpoint(HEAD, CITY)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x01
        with pytest.raises(WireError):
            verify_checkpoint(bytes(changed), CITY_CARD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "a\n1\n",
        "a\n1\nAA==\n\n",
        "a\n01\nAA==\n\n— a AAAA\n",
        "a\n-1\nAA==\n\n— a AAAA\n",
    ],
)
def test_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        parse_checkpoint(text.encode())


def test_other_tools_get_the_public_key_as_one_line() -> None:
    name, key_hash, encoded = verifier_key(CITY_CARD, log_origin("zhoukou")).split("+", 2)
    assert name == "zhoukou/evidence"
    assert len(key_hash) == 8
    kind = {"intl": b"\x01", "gm": b"\xff"}[CITY_CARD.suite]
    assert base64.b64decode(encoded) == kind + CITY_CARD.signing_public
