"""A node whose private keys live in a PKCS #11 token: SoftHSM, from Debian's softhsm2."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest

from tests.wire.builders import CITY, CITY_CARD, NOW, content, find_card, seeded
from zhengtong.wire.envelope import open_envelope, seal_disclosed
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.token_suite import Token, TokenError, TokenSuite, keys_in, make_keys

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "2026-fugou"
FUGOU = Token(MODULE, "fugou", PIN)


@pytest.fixture(scope="session", autouse=True)
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two tokens of this test's own; the library reads their place when it is first loaded."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    settings = folder / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(settings))
        for label in ("fugou", "empty"):
            pins = ["--pin", PIN, "--so-pin", "2026-officer"]
            command = ["softhsm2-util", "--init-token", "--free", "--label", label, *pins]
            subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))
        yield folder


@pytest.fixture(scope="session")
def keys(tokens: Path) -> NodeKeys:
    return make_keys("fugou", FUGOU)


def card_of(keys: NodeKeys) -> NodeCard:
    return NodeCard.issue(
        keys, title="扶沟县", zone="private", ceiling=2, url="https://fugou.example", issued_at=NOW
    )


def test_others_see_an_ordinary_node(keys: NodeKeys) -> None:
    card = NodeCard.from_cbor(card_of(keys).to_cbor())
    assert (card.node, card.suite) == ("fugou", "intl")
    assert type(card.crypto) is not TokenSuite


def test_a_letter_goes_both_ways(keys: NodeKeys) -> None:
    card = card_of(keys)
    inward = seal_disclosed(content(), CITY, (card,), None, seeded(1)).envelope
    assert open_envelope(inward, keys, find_card).content == content()
    answer = content(origin="fugou")
    outward = seal_disclosed(answer, keys, (CITY_CARD,), None, seeded(2)).envelope
    assert open_envelope(outward, CITY, {card.signing_kid: card}.get).content == answer


def test_the_token_keeps_its_keys_and_gives_them_to_nobody(keys: NodeKeys) -> None:
    assert keys_in("fugou", FUGOU).signing_public == keys.signing_public
    with FUGOU.open() as session:
        for label in ("fugou-signing", "fugou-agreement"):
            private = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=label)
            with pytest.raises(pkcs11.exceptions.AttributeSensitive):
                private[pkcs11.Attribute.VALUE]
    with pytest.raises(ValueError, match="stays in its token"):
        keys.to_pem()


def test_keys_are_never_made_twice(keys: NodeKeys) -> None:
    with pytest.raises(TokenError, match="already holds an object named fugou-signing"):
        make_keys("fugou", FUGOU)
    assert keys_in("fugou", FUGOU).agreement_public == keys.agreement_public


def test_a_letter_for_somebody_else_is_refused_for_good(keys: NodeKeys) -> None:
    stranger = NodeKeys.generate("fugou", rng=seeded(3))
    envelope = seal_disclosed(content(), CITY, (card_of(stranger),), None, seeded(1)).envelope
    with pytest.raises(WireError) as refused:
        open_envelope(envelope, keys, find_card)
    assert refused.value.code is Refusal.UNDECRYPTABLE


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), b"", bytes(33)])
def test_a_useless_point_never_reaches_the_token(keys: NodeKeys, point: bytes) -> None:
    header = {-1: {1: 1, -1: 4, -2: point}}
    with pytest.raises(ValueError, match=r"\S"):
        keys.suite.unwrap(keys.agreement, header, bytes(40), b"")


def test_threads_share_one_token(keys: NodeKeys) -> None:
    envelope = seal_disclosed(content(), CITY, (card_of(keys),), None, seeded(1)).envelope
    with ThreadPoolExecutor(4) as pool:
        opened = pool.map(lambda _: open_envelope(envelope, keys, find_card).content, range(60))
        signed = pool.map(lambda n: keys.suite.sign(keys.signing, bytes([n])), range(60))
        assert all(letter == content() for letter in opened)
        public = keys.signing_public
        assert all(
            keys.suite.verify(public, signature, bytes([number]))
            for number, signature in enumerate(signed)
        )


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (Token("/nowhere/libtoken.so", "fugou", PIN), "libtoken.so"),
        (Token(MODULE, "shenqiu", PIN), "token shenqiu: NoSuchToken"),
        (Token(MODULE, "empty", "wrong"), "token empty: PinIncorrect"),
        (Token(MODULE, "empty", PIN), "public key fugou-signing: NoSuchKey"),
    ],
)
def test_what_is_missing_is_named(token: Token, said: str) -> None:
    with pytest.raises(TokenError, match=said) as missing:
        keys_in("fugou", token)
    assert PIN not in str(missing.value) + repr(token)


def test_an_unplugged_token_does_not_condemn_the_letter(keys: NodeKeys) -> None:
    first, second = (
        seal_disclosed(content(), CITY, (card_of(keys),), None, seeded(seed)).envelope
        for seed in (1, 2)
    )
    session = FUGOU.open()
    unplugged = NodeKeys("fugou", TokenSuite(session, "fugou"), keys.signing, keys.agreement)
    assert open_envelope(first, unplugged, find_card).content == content()
    assert unplugged.suite.sign(unplugged.signing, b"text")
    session.close()
    with pytest.raises(TokenError, match="key agreement with fugou-agreement"):
        open_envelope(second, unplugged, find_card)
    with pytest.raises(TokenError, match="signing with fugou-signing"):
        unplugged.suite.sign(unplugged.signing, b"text")
