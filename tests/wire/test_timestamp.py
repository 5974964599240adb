"""RFC 3161 time stamps, made by OpenSSL's responder and judged here without any library."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import rfc3161_client
from cryptography import x509

from tests.timestamping import Authority
from tests.wire.builders import CITY
from zhengtong.wire import asn1, authority, timestamp
from zhengtong.wire.checkpoint import Checkpoint, sign_checkpoint
from zhengtong.wire.errors import Refusal, WireError

pytestmark = pytest.mark.debian
TEXT = Checkpoint("zhoukou/exchange", 4711, bytes(range(32))).text().encode()
NONCE = 2**63 + 5


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def token(tsa: Authority) -> bytes:
    return timestamp.token_in(tsa.reply(timestamp.request(TEXT, NONCE)), TEXT, NONCE)[0]


@pytest.mark.parametrize("key", ["rsa", "p256", "p384"])
@pytest.mark.parametrize(("digest", "ess"), [("sha256", "sha256"), ("sha512", "sha1")])
@pytest.mark.parametrize("chain", [False, True])
def test_openssls_stamp_holds_and_says_when_and_who(
    tmp_path: Path, key: str, digest: str, ess: str, chain: bool
) -> None:
    made = Authority(tmp_path, key=key, digest=digest, ess=ess)
    answer = made.reply(timestamp.request(TEXT, NONCE), chain=chain)
    token, stamp = timestamp.token_in(answer, TEXT, NONCE)
    assert stamp.authority == "测试时间戳机构"
    certificate = x509.load_pem_x509_certificate((tmp_path / "tsa.pem").read_bytes())
    assert abs(stamp.at - certificate.not_valid_before_utc) < timedelta(minutes=10)
    assert not stamp.anchored
    assert timestamp.verify(token, TEXT, authority.read_pem(made.root)).anchored
    assert made.confirms(token, TEXT)


def test_another_library_reads_our_request_and_judges_the_answer_alike(tsa: Authority) -> None:
    answer = tsa.reply(timestamp.request(TEXT, NONCE))
    root = x509.load_pem_x509_certificate(tsa.root)
    other = rfc3161_client.VerifierBuilder().add_root_certificate(root).nonce(NONCE).build()
    theirs = rfc3161_client.decode_timestamp_response(answer)
    assert other.verify_message(theirs, TEXT)
    _, stamp = timestamp.token_in(answer, TEXT, NONCE)
    assert theirs.tst_info.gen_time == stamp.at
    assert theirs.tst_info.serial_number == stamp.serial


def test_a_stamp_on_something_else_is_refused(tsa: Authority, token: bytes) -> None:
    with pytest.raises(WireError, match="for something else"):
        timestamp.verify(token, TEXT + b" ")
    with pytest.raises(WireError, match="another request"):
        timestamp.token_in(tsa.reply(timestamp.request(TEXT, 1)), TEXT, 2)


def test_every_changed_byte_is_refused(token: bytes, tsa: Authority) -> None:
    """Except where nothing is signed: the outer versions, the list of algorithms, the copy of the
    signer's name, and what OpenSSL accepts as well."""
    root = authority.read_pem(tsa.root)
    for position in range(0, len(token), 7):
        changed = bytearray(token)
        changed[position] ^= 0x01
        try:
            stamp = timestamp.verify(bytes(changed), TEXT, root)
        except WireError:
            continue
        assert stamp == timestamp.verify(token, TEXT, root), position


def test_every_truncation_is_refused(token: bytes) -> None:
    for length in range(0, len(token), 5):
        with pytest.raises(WireError):
            timestamp.verify(token[:length], TEXT)


def test_another_authoritys_root_anchors_nothing(token: bytes, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    assert not timestamp.verify(token, TEXT, authority.read_pem(stranger.root)).anchored


def test_a_certificate_for_other_purposes_stamps_nothing(tmp_path: Path) -> None:
    """OpenSSL itself would not sign with it, so the signed parts come from a rightful one."""
    web = Authority(tmp_path, purpose="other")
    pem = (tmp_path / "tsa.pem").read_bytes()
    (certificate,) = authority.read_pem(pem)
    assert not certificate.stamps_only
    assert not certificate.is_authority
    assert authority.read_pem(web.root)[0].is_authority


def test_a_refusal_is_told() -> None:
    status = asn1.write(asn1.SEQUENCE, asn1.write_integer(2))
    with pytest.raises(WireError, match="refused, status 2") as refused:
        timestamp.token_in(asn1.write(asn1.SEQUENCE, status), TEXT, NONCE)
    assert refused.value.code is Refusal.UNSIGNED


def test_the_text_of_a_signed_checkpoint_is_what_is_stamped(token: bytes) -> None:
    note = sign_checkpoint(Checkpoint("zhoukou/exchange", 4711, bytes(range(32))), CITY)
    assert timestamp.verify(token, note.partition(b"\n\n")[0] + b"\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",
        b"\x30\x81\x01\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x1f\x1f\x00",
    ],
)
def test_bytes_that_are_no_der_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        timestamp.verify(data, TEXT)
    with pytest.raises(WireError):
        authority.read(data)
