"""The commercial suite against the published examples of its standards.

GB/T 32918.5 (SM2, annexes A and C), GB/T 32905 (SM3), GB/T 32907 (SM4), RFC 8998 (SM4-GCM).
"""

from __future__ import annotations

from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.wire.gm_engines import SUITES
from zhengtong.wire import sm2
from zhengtong.wire.gm import GM, GmSuite, answers_right
from zhengtong.wire.sm2 import Engine, N, PrivateKey

D = 0x3945208F_7B2144B1_3F36E38A_C6D39F95_88939369_2860B51A_42FB81EF_4DF7C5B8
K = 0x59276E27_D506861A_16680F3A_D9C02DCC_EF3CC1FA_3CDBE4CE_6D54B80D_EAC1BC21
PUBLIC = bytes.fromhex(
    "04 09F9DF31 1E5421A1 50DD7D16 1E4BC5C6 72179FAD 1833FC07 6BB08FF3 56F35020"
    "CCEA490C E26775A5 2DC6EA71 8CC1AA60 0AED05FB F35E084A 6632F607 2DA9AD13"
)
Z = bytes.fromhex("B2E14C5C 79C6DF5B 85F4FE7E D8DB7A26 2B9DA7E0 7CCB0EA9 F4747B8C CDA8A4F3")
E = 0xF0B43E94_BA45ACCA_ACE692ED_534382EB_17E6AB5A_19CE7B31_F4486FDF_C0D28640
R = 0xF5A03B06_48D2C463_0EEAC513_E1BB81A1_5944DA38_27D5B741_43AC7EAC_EEE720B3
S = 0xB1B6AA29_DF212FD8_763182BC_0D421CA1_BB9038FD_1F7F42D4_840B69C4_85BBC1AA
CIPHERTEXT = bytes.fromhex(
    "04 04EBFC71 8E8D1798 62043226 8E77FEB6 415E2EDE 0E073C0F 4F640ECD 2E149A73"
    "E858F9D8 1E5430A5 7B36DAAB 8F950A3C 64E6EE6A 63094D99 283AFF76 7E124DF0"
    "59983C18 F809E262 923C53AE C295D303 83B54E39 D609D160 AFCB1908 D0BD8766"
    "21886CA9 89CA9C7D 58087307 CA93092D 651EFA"
)
MESSAGE = b"message digest"


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_the_public_key_of_the_annex() -> None:
    assert PrivateKey.of(D).public == PUBLIC


def test_the_signers_hash_and_the_message_digest_of_the_annex() -> None:
    assert GM.hash(sm2.identity(PUBLIC)) == Z
    assert int.from_bytes(GM.hash(Z + MESSAGE), "big") == E


def test_the_signature_of_the_annex_follows_from_its_one_time_number() -> None:
    """No library lets anyone choose that number: the standard's equations are solved here."""
    x1 = int.from_bytes(PrivateKey.of(K).public[1:33], "big")
    r = (E + x1) % N
    assert (r, pow(1 + D, -1, N) * (K - r * D) % N) == (R, S)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.engine.name)
def test_the_signature_of_the_annex_is_verified(suite: GmSuite) -> None:
    assert suite.verify(PUBLIC, raw(R, S), MESSAGE)
    assert not suite.verify(PUBLIC, raw(R, S), MESSAGE + b".")
    assert not suite.verify(PUBLIC, raw(R, S ^ 1), MESSAGE)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.engine.name)
def test_the_ciphertext_of_the_annex_is_decrypted(suite: GmSuite) -> None:
    opened = suite.engine.decrypt(PrivateKey.of(D), sm2.ciphertext_to_der(CIPHERTEXT))
    assert opened == b"encryption standard"
    assert sm2.ciphertext_from_der(sm2.ciphertext_to_der(CIPHERTEXT)) == CIPHERTEXT


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.engine.name)
@pytest.mark.parametrize(("r", "s"), [(0, S), (R, 0), (N, S), (R, N), (R, N - R), (R + N, S)])
def test_numbers_that_no_signature_holds_are_refused(suite: GmSuite, r: int, s: int) -> None:
    """GB/T 32918.2 §7.1: r and s lie in 1 … n-1, and their sum is not n."""
    if r < 2**256:
        assert not suite.verify(PUBLIC, raw(r, s), MESSAGE)
    assert not suite.engine.verify(PUBLIC, E.to_bytes(32, "big"), encode_dss_signature(r, s))


def test_an_engine_that_answers_wrong_is_found_out() -> None:
    class Lax:
        name = "lax"

        def __init__(self, engine: Engine) -> None:
            self.sign, self.encrypt = engine.sign, engine.encrypt

        def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
            return True

        def decrypt(self, key: PrivateKey, ciphertext: bytes) -> bytes:
            return b"something"

    assert answers_right(GM.engine)
    assert not answers_right(Lax(GM.engine))


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"abc", "66c7f0f4 62eeedd9 d1f2d46b dc10e4e2 4167c487 5cf2f7a2 297da02b 8f4ba8e0"),
        (b"abcd" * 16, "debe9ff9 2275b8a1 38604889 c18e5a4d 6fdb70e5 387e5765 293dcba3 9c0c5732"),
    ],
)
def test_the_sm3_digests_of_the_annex(message: bytes, digest: str) -> None:
    assert GM.hash(message) == bytes.fromhex(digest)


def test_the_sm4_blocks_of_the_annex() -> None:
    """Once, and a million times over; the cipher beneath the suite."""
    block = key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    encrypt = Cipher(algorithms.SM4(key), modes.ECB()).encryptor().update
    block = encrypt(block)
    assert block.hex() == "681edf34d206965e86b3e94f536e4246"
    for _ in range(999_999):
        block = encrypt(block)
    assert block.hex() == "595298c7c6fd271f0402f804c33d3f66"


RFC_8998 = {
    "key": "0123456789ABCDEFFEDCBA9876543210",
    "nonce": "00001234567800000000ABCD",
    "bound": "FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2",
    "plain": "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD"
    "EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA",
    "sealed": "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
    "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
    "83DE3541E4C2B58177E065A9BF7B62EC",
}


def test_the_sm4_gcm_example_of_rfc_8998() -> None:
    key, nonce, bound, plain, sealed = map(bytes.fromhex, RFC_8998.values())
    assert GM.seal(key, nonce, plain, bound) == sealed
    assert GM.open(key, nonce, sealed, bound) == plain


def test_a_secret_is_drawn_from_the_whole_range() -> None:
    """The ends of the range: what `rng` can give, and what is refused."""
    assert GM.generate(bytes)[0].secret == (1).to_bytes(32, "big")
    largest = (N - 3).to_bytes(40, "big")
    assert GM.generate(lambda _: largest)[0].secret == (N - 2).to_bytes(32, "big")
    drawn = GM.generate(Random(1).randbytes)
    assert drawn[0].secret != drawn[1].secret
    for outside in (0, N - 1, N):
        with pytest.raises(ValueError, match="between 1 and n-2"):
            PrivateKey.of(outside)
