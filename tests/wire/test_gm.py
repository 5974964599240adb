"""The commercial suite as a node uses it: two libraries, one behaviour, and no crash on rubbish."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from random import Random

import gmssl_pyx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire import builders
from tests.wire.builders import NOW, content, node, seeded
from tests.wire.gm_engines import BOTH, SUITES
from zhengtong.wire import gm, sm2, sm2_libcrypto, suite
from zhengtong.wire.envelope import (
    open_envelope,
    open_to,
    prepare,
    seal_disclosed,
    sign_together,
)
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.evidence import pack
from zhengtong.wire.evidence_check import verify
from zhengtong.wire.gm import GM, GmSuite
from zhengtong.wire.intl import INTL
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.suite import suite_for, suite_named

SIGNING, AGREEMENT = GM.generate(seeded(1))
OTHER, _ = GM.generate(seeded(2))
WRAP_KEY = -66105
HEADER = b"\xa1\x01\x3a\x00\x01\x02\x35"
OFF_CURVE = SIGNING.public[:64] + bytes([SIGNING.public[64] ^ 1])
suites = st.sampled_from(SUITES)
engines = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.engine.name)


def refusal() -> pytest.RaisesExc[ValueError]:
    """A ValueError that says something, whatever it is."""
    return pytest.raises(ValueError, match=r"\S")


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


def test_where_both_libraries_are_locked_both_are_tested() -> None:
    assert [suite.engine.name for suite in SUITES] == ["libcrypto", "gmssl"][: 1 + BOTH]


@given(suites, suites, st.binary(max_size=300), st.integers(0, 4000))
@settings(max_examples=60)
def test_what_one_library_signs_the_other_verifies_and_no_bit_of_it_may_change(
    signer: GmSuite, reader: GmSuite, message: bytes, bit: int
) -> None:
    signature = signer.sign(SIGNING, message)
    assert len(signature) == 64
    assert reader.verify(SIGNING.public, signature, message)
    assert not reader.verify(SIGNING.public, flipped(signature, bit), message)
    assert not reader.verify(SIGNING.public, signature, message + b"\x00")
    assert not reader.verify(OTHER.public, signature, message)


@given(
    suites, suites, st.sampled_from([16, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n))
)
@settings(max_examples=60)
def test_what_one_library_wraps_the_other_unwraps(
    sender: GmSuite, receiver: GmSuite, key: bytes
) -> None:
    header, secret = sender.agree(AGREEMENT.public, seeded(1))
    letters = [sender.wrap(secret, key, HEADER) for _ in range(2)]
    assert letters[0] != letters[1]
    for wrapped in letters:
        assert len(wrapped) == 12 + len(key) + 16
        assert receiver.unwrap(AGREEMENT, header, wrapped, HEADER) == key


@engines
def test_no_bit_of_a_wrapped_key_may_change(suite: GmSuite) -> None:
    header, secret = suite.agree(AGREEMENT.public, seeded(1))
    wrapped = suite.wrap(secret, bytes(range(16)), HEADER)
    assert secret.wrap_key.hex() not in repr(secret)
    for bit in range(0, 8 * len(header[WRAP_KEY]), 3):
        with refusal():
            suite.unwrap(AGREEMENT, {WRAP_KEY: flipped(header[WRAP_KEY], bit)}, wrapped, HEADER)
    for bit in range(8 * len(wrapped)):
        with refusal():
            suite.unwrap(AGREEMENT, header, flipped(wrapped, bit), HEADER)
    with refusal():
        suite.unwrap(AGREEMENT, header, wrapped, HEADER + b"!")
    with refusal():
        suite.unwrap(SIGNING, header, wrapped, HEADER)


@given(st.binary(max_size=2000), st.binary(max_size=100), st.integers(0, 20_000))
def test_a_sealed_body_opens_only_as_it_was_sealed(plain: bytes, bound: bytes, bit: int) -> None:
    key, nonce = bytes(range(16)), bytes(12)
    sealed = GM.seal(key, nonce, plain, bound)
    assert GM.open(key, nonce, sealed, bound) == plain
    for damaged, told in ((flipped(sealed, bit), bound), (sealed, bound + b"!")):
        with pytest.raises(ValueError, match="altered"):
            GM.open(key, nonce, damaged, told)


@given(
    st.binary(min_size=1, max_size=500), st.binary(max_size=50), st.binary(min_size=12, max_size=12)
)
def test_gmssl_seals_and_hashes_to_the_same_bytes(plain: bytes, bound: bytes, nonce: bytes) -> None:
    key = bytes(range(16))
    body, tag = gmssl_pyx.sm4_gcm_encrypt(key, nonce, bound, plain)
    assert GM.seal(key, nonce, plain, bound) == body + tag
    assert GM.hash(plain) == gmssl_pyx.sm3_hash(plain)


def test_gmssl_verifies_with_the_signers_id_spelled_out() -> None:
    der = sm2.signature_to_der(GM.sign(SIGNING, b"text"))
    public = SIGNING.public[1:]
    assert gmssl_pyx.sm2_verify(public, b"text", der, signer_id=b"1234567812345678")
    assert not gmssl_pyx.sm2_verify(public, b"text", der, signer_id=b"1234567812345679")
    assert not gmssl_pyx.sm2_verify(public, b"text", der, signer_id=None)


@engines
@pytest.mark.parametrize(
    "public",
    [
        b"",
        bytes(65),
        b"\x04" + bytes(64),
        b"\x04" + sm2.P.to_bytes(32, "big") + SIGNING.public[33:],
        OFF_CURVE,
        SIGNING.public[:64],
        SIGNING.public + b"\x00",
        b"\x02" + SIGNING.public[1:33],
    ],
)
def test_a_public_key_that_is_none_is_refused(suite: GmSuite, public: bytes) -> None:
    with pytest.raises(ValueError, match="public key"):
        suite.check_public(SIGNING.public, public)
    with pytest.raises(ValueError, match="public key"):
        suite.check_public(public, AGREEMENT.public)
    with pytest.raises(ValueError, match="public key"):
        suite.agree(public, seeded(1))
    assert not suite.verify(public, suite.sign(SIGNING, b""), b"")


@engines
def test_a_library_itself_refuses_a_point_off_the_curve(suite: GmSuite) -> None:
    with refusal():
        suite.engine.encrypt(OFF_CURVE, bytes(16))
    with refusal():
        suite.engine.verify(OFF_CURVE, bytes(32), b"")


def test_openssls_list_of_errors_is_left_empty() -> None:
    """Python's own ssl module reads the same list after its calls and would take it for its own."""
    engine = SUITES[0].engine
    assert isinstance(engine, sm2_libcrypto.Libcrypto)
    assert not engine.verify(SIGNING.public, bytes(32), b"no signature")
    with refusal():
        engine.decrypt(SIGNING, b"no ciphertext")
    with refusal():
        engine.encrypt(OFF_CURVE, bytes(16))
    with refusal():
        engine.sign(SIGNING, b"no digest")
    assert engine.library.ERR_peek_error() == 0


@engines
@given(data=st.binary(max_size=150))
def test_rubbish_is_no_signature_no_key_and_no_body(suite: GmSuite, data: bytes) -> None:
    assert not suite.verify(SIGNING.public, data, b"message")
    assert not suite.verify(data, bytes(64), b"message")
    assert not suite.engine.verify(SIGNING.public, bytes(32), data)
    for attempt in (
        lambda: suite.unwrap(AGREEMENT, {}, data, HEADER),
        lambda: suite.unwrap(AGREEMENT, {WRAP_KEY: data}, bytes(44), HEADER),
        lambda: suite.unwrap(AGREEMENT, {WRAP_KEY: b"\x04" + bytes(112)}, data, HEADER),
        lambda: suite.engine.decrypt(AGREEMENT, data),
        lambda: suite.open(data, bytes(12), bytes(40), b""),
        lambda: suite.open(bytes(16), data, bytes(40), b""),
        lambda: suite.open(bytes(16), bytes(12), data, b""),
        lambda: suite.load(data, None),
        lambda: suite.load(data, b"passphrase"),
    ):
        with refusal():
            attempt()


@given(st.data())
def test_a_damaged_key_file_gives_the_key_or_a_value_error(data: st.DataObject) -> None:
    pem = bytearray(GM.save(SIGNING, None))
    pem[data.draw(st.integers(0, len(pem) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = GM.load(bytes(pem), None)
    except ValueError:
        return
    assert again.public == sm2.PrivateKey.of(int.from_bytes(again.secret, "big")).public


@pytest.mark.parametrize("passphrase", [None, b"right"])
def test_a_key_file_needs_its_own_passphrase(passphrase: bytes | None) -> None:
    pem = GM.save(SIGNING, passphrase)
    assert GM.load(pem, passphrase).secret == SIGNING.secret
    assert (b"ENCRYPTED" in pem) == bool(passphrase)
    for wrong in {None, b"", b"wrong"} - ({None, b""} if passphrase is None else set()):
        with refusal():
            GM.load(pem, wrong)


def test_a_key_of_another_suite_is_refused() -> None:
    foreign = INTL.save(INTL.generate(seeded(1))[0], None)
    with refusal():
        GM.load(foreign, None)
    with refusal():
        INTL.load(GM.save(SIGNING, None), None)


def test_a_key_whose_halves_do_not_belong_together_is_refused() -> None:
    mixed = GM.save(sm2.PrivateKey(SIGNING.secret, OTHER.public), None)
    with pytest.raises(ValueError, match="not that of the secret"):
        GM.load(mixed, None)


PAIRS = [("intl", "gm"), ("gm", "intl"), ("gm", "gm")]


@pytest.mark.parametrize(("from_suite", "recovery_suite"), PAIRS)
def test_nodes_of_both_suites_read_one_letter(from_suite: str, recovery_suite: str) -> None:
    """Alone, and as one of several under one signature and one agreement per reader."""
    sender, sender_card = node("zhoukou", "周口市", 11, suite=from_suite)
    readers = [
        node("fugou", "扶沟县", 12, suite="intl"),
        node("shenqiu", "沈丘县", 13, suite="gm"),
        node("taikang", "太康县", 14, suite="gm"),
    ]
    cards = [card for _, card in readers]
    recovery, recovery_card = node("recovery", "恢复密钥", 15, suite=recovery_suite)
    stranger, _ = node("shenqiu", "沈丘县", 99, suite="gm")
    known = {sender_card.signing_kid: sender_card}.get
    letters = [content(f"letter {number}".encode()) for number in range(3)]
    audience = open_to(cards, recovery_card, seeded(1))
    many = [prepare(letter, sender, audience, seeded(2), together=True) for letter in letters]
    made = [
        (letters[0], seal_disclosed(letters[0], sender, cards, recovery_card, seeded(3))),
        *zip(letters, sign_together(many, sender), strict=True),
    ]
    for letter, sealed in made:
        for keys, _ in readers:
            opened = open_envelope(sealed.envelope, keys, known)
            assert (opened.content, opened.sender) == (letter, sender_card)
        saved = open_envelope(sealed.envelope, recovery, known, recovering=True)
        assert saved.content == letter
        with pytest.raises(WireError) as refused:
            open_envelope(sealed.envelope, stranger, known)
        assert refused.value.code is Refusal.UNDECRYPTABLE


def test_a_signature_of_one_suite_counts_in_no_other() -> None:
    keys, card = node("fugou", "扶沟县", 12, suite="gm")
    letter = dataclasses.replace(content(), origin="fugou")
    envelope = seal_disclosed(letter, keys, (card,), None, seeded(1)).envelope
    with pytest.raises(WireError) as refused:
        open_envelope(envelope, keys, lambda _: dataclasses.replace(card, suite="intl"))
    assert refused.value.code is Refusal.BAD_SIGNATURE


def test_evidence_in_the_commercial_suite_is_judged_like_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = builders.world("gm")
    for name, value in world.items():
        monkeypatch.setattr(builders, name, value)
    bundle = pack(builders.evidence())
    cards = builders.CARDS
    assert verify(bundle, cards).ok
    where = Random(3)
    for _ in range(150):
        assert not verify(flipped(bundle, where.randrange(8 * len(bundle))), cards).ok


def test_the_suite_is_imported_when_first_met_and_not_before() -> None:
    """A fresh node of the other suite that only ever imports the protocol reads a card."""
    card = node("fugou", "扶沟县", 12, suite="gm")[1].to_cbor().hex()
    program = (
        "import sys\n"
        "from zhengtong.wire.keys import NodeCard\n"
        "from zhengtong.wire.suite import suite_for\n"
        "assert not {m for m in sys.modules if 'gmssl' in m or 'sm2' in m or m.endswith('.gm')}\n"
        "assert suite_for('content_algorithm', -66103).name == 'gm'\n"
        "print(NodeCard.from_cbor(bytes.fromhex(sys.argv[1])).suite)"
    )
    source = Path(suite.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, card],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout == "gm\n"


def test_every_algorithm_number_finds_the_suite() -> None:
    assert suite_named("gm") is GM
    numbers = {
        "signature_algorithm": -66101,
        "wrap_algorithm": -66102,
        "content_algorithm": -66103,
        "hash_algorithm": -66104,
        "tree_signature_algorithm": -66106,
        "tree_algorithm": -66107,
    }
    assert all(suite_for(kind, number) is GM for kind, number in numbers.items())
    with pytest.raises(WireError, match="unknown hash_algorithm -66105"):
        suite_for("hash_algorithm", -66105)


def test_without_openssl_the_other_library_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm2_libcrypto, "_NAMES", ("libcrypto.so.of-nowhere",))
    with pytest.raises(ImportError, match="no libcrypto"):
        sm2_libcrypto.load()
    assert gm.choose_engine().name == "gmssl"


def test_without_any_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImportError, match="libssl3"):
        gm.choose_engine(["zhengtong.wire.sm2_nowhere"])
    monkeypatch.setitem(suite._later, "gm", "zhengtong.wire.sm2_nowhere")
    monkeypatch.delitem(suite._suites, "gm")
    with pytest.raises(WireError, match="suite gm is unusable"):
        NodeKeys.generate("fugou", "gm")
    assert suite_named("intl") is INTL


def test_a_card_in_the_commercial_suite_survives_both_its_forms() -> None:
    card = node("fugou", "扶沟县", 12, suite="gm")[1]
    assert NodeCard.from_json(card.to_json()) == card
    assert (card.suite, card.issued_at) == ("gm", NOW)
