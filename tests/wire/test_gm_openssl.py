"""The system's `openssl` command reads what the commercial suite writes, and the reverse."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.wire.builders import seeded
from tests.wire.gm_engines import SUITES
from zhengtong.wire import sm2
from zhengtong.wire.gm import GM, GmSuite

pytestmark = pytest.mark.debian
TEXT = "关于防汛值班的通知".encode() * 40
engines = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.engine.name)


def openssl(*arguments: str | Path, data: bytes = b"", fails: bool = False) -> bytes:
    done = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)
    assert (done.returncode != 0) == fails, done.stderr.decode()
    return done.stdout


class Files:
    """Two keys as files: ours, and one that openssl made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ours, self.theirs = folder / "ours.pem", folder / "theirs.pem"
        self.key = GM.generate(seeded(5))[0]
        self.ours.write_bytes(GM.save(self.key, None))
        openssl("genpkey", "-algorithm", "SM2", "-out", self.theirs)
        self.public = self.write("public.pem", openssl("pkey", "-in", self.ours, "-pubout"))

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


SM3_SIGNATURE = ["-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678"]


@engines
def test_openssl_verifies_our_signature(suite: GmSuite, files: Files) -> None:
    signature = files.write("signature", sm2.signature_to_der(suite.sign(files.key, TEXT)))
    text, other = files.write("text", TEXT), files.write("other", TEXT + b"!")
    verify = ["pkeyutl", "-verify", "-pubin", "-inkey", str(files.public)]
    verify += ["-sigfile", str(signature)]
    openssl(*verify, *SM3_SIGNATURE, "-in", text)
    openssl(*verify, *SM3_SIGNATURE, "-in", other, fails=True)
    other_id = [*SM3_SIGNATURE[:-1], "distid:8765432187654321"]
    openssl(*verify, *other_id, "-in", text, fails=True)


@engines
def test_we_verify_openssls_signature(suite: GmSuite, files: Files) -> None:
    text = files.write("text", TEXT)
    der = openssl("pkeyutl", "-sign", "-inkey", files.theirs, *SM3_SIGNATURE, "-in", text)
    public = suite.public(suite.load(files.theirs.read_bytes(), None))
    assert suite.verify(public, sm2.signature_from_der(der), TEXT)
    assert not suite.verify(public, sm2.signature_from_der(der), TEXT + b"!")


@engines
def test_openssl_unwraps_our_key(suite: GmSuite, files: Files) -> None:
    """SM2 opens the wrap key; under it the content key lies in SM4-GCM, which is counter mode."""
    header, secret = suite.agree(files.key.public, seeded(1))
    wrapped = suite.wrap(secret, bytes(range(32)), b"")
    (encrypted,) = header.values()
    ciphertext = files.write("ciphertext", sm2.ciphertext_to_der(encrypted))
    wrap_key = openssl("pkeyutl", "-decrypt", "-inkey", files.ours, "-in", ciphertext)
    nonce, hidden = wrapped[:12], wrapped[12:-16]
    assert counter_mode(wrap_key, nonce, hidden) == bytes(range(32))


@engines
def test_we_decrypt_what_openssl_encrypted(suite: GmSuite, files: Files) -> None:
    secret = files.write("secret", bytes(range(16)))
    der = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", files.public, "-in", secret)
    ciphertext = sm2.ciphertext_from_der(der)
    again = suite.engine.decrypt(files.key, sm2.ciphertext_to_der(ciphertext))
    assert again == bytes(range(16))
    body = suite.seal(bytes(range(16)), bytes(12), b"content key", b"header")
    opened = suite.unwrap(files.key, {-66105: ciphertext}, bytes(12) + body, b"header")
    assert opened == b"content key"


def counter_mode(key: bytes, nonce: bytes, data: bytes) -> bytes:
    """What GCM does to the text: counter mode from 2 on. Its tag is compared in test_gm.py."""
    counter = (nonce + (2).to_bytes(4, "big")).hex()
    return openssl("enc", "-d", "-sm4-ctr", "-K", key.hex(), "-iv", counter, data=data)


@pytest.mark.parametrize("text", [b"", b"abc", TEXT])
def test_openssl_hashes_to_the_same_digest(text: bytes) -> None:
    assert GM.hash(text) == openssl("dgst", "-sm3", "-binary", data=text)


def test_openssl_decrypts_our_sealed_body() -> None:
    key, nonce = seeded(6)(16), seeded(7)(12)
    assert counter_mode(key, nonce, GM.seal(key, nonce, TEXT, b"bound")[:-16]) == TEXT


def test_openssl_reads_our_key_file(files: Files) -> None:
    said = openssl("pkey", "-in", files.ours, "-noout", "-text").decode()
    assert "SM2" in said
    digits = "".join(re.findall(r"^ +([0-9a-f:]+)$", said, re.MULTILINE)).replace(":", "")
    assert digits == (files.key.secret + files.key.public).hex()


def test_we_read_openssls_key_file(files: Files) -> None:
    """Bare, and under a passphrase; back through our own file it is still the same key."""
    bare = GM.load(files.theirs.read_bytes(), None)
    lock = ["pkcs8", "-topk8", "-v2", "sm4-cbc", "-iter", "5000", "-passout", "pass:口令"]
    locked = GM.load(openssl(*lock, "-in", files.theirs), "口令".encode())
    assert locked.secret == bare.secret
    again = openssl("pkey", "-in", files.write("again.pem", GM.save(bare, None)))
    assert again == files.theirs.read_bytes()


def test_another_encryption_of_a_key_file_is_refused_with_the_remedy(files: Files) -> None:
    lock = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:x"]
    with pytest.raises(ValueError, match="-v2 sm4-cbc"):
        GM.load(openssl(*lock, "-in", files.theirs), b"x")


def test_openssl_unlocks_our_key_file_step_by_step(files: Files) -> None:
    """Its `pkey` knows HMAC-SM3 in PKCS #8 only from version 3.2 on, so its parts do the work."""
    locked = files.write("locked.pem", GM.save(files.key, b"open sesame"))
    said = openssl("asn1parse", "-in", locked).decode()
    assert re.findall(r"OBJECT +:(\S+)", said)[::3] == ["PBES2", "sm4-cbc"]
    salt, iv, data = re.findall(r"HEX DUMP\]:([0-9A-F]+)", said)
    rounds = int(re.findall(r"INTEGER +:([0-9A-F]+)", said)[0], 16)
    assert rounds >= 200_000
    derive = ["kdf", "-binary", "-keylen", "16", "-kdfopt", "digest:SM3"]
    derive += ["-kdfopt", "pass:open sesame", "-kdfopt", f"hexsalt:{salt}"]
    key = openssl(*derive, "-kdfopt", f"iter:{rounds}", "PBKDF2")
    unlock = ["enc", "-d", "-sm4-cbc", "-K", key.hex(), "-iv", iv]
    der = files.write("key.der", openssl(*unlock, data=bytes.fromhex(data)))
    assert openssl("pkey", "-inform", "DER", "-in", der) == files.ours.read_bytes()
