"""An independent COSE library (cwt) reads what we write, and we read what it writes.

cwt knows X25519 only for direct key agreement (ECDH-ES+HKDF-256, -25), so it is told to load the
X25519 keys as such; the key derivation, its context structure, the key wrap, the encryption and
every encoding remain its own.
"""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cwt import COSE, COSEKey, Recipient
from cwt.recipient_algs import ecdh_aes_key_wrap

from tests.wire.builders import CITY, FUGOU, FUGOU_CARD, SHENQIU_CARD, content, find_card, sealed
from zhengtong.wire import cbor, cose
from zhengtong.wire.cose import ENVELOPE
from zhengtong.wire.encrypt import open_body
from zhengtong.wire.envelope import open_envelope
from zhengtong.wire.keys import NodeCard, NodeKeys

DIRECT_HKDF = -25
CONTEXT = {"alg": "A256KW"}


@pytest.fixture(autouse=True)
def cwt_with_x25519_key_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keys:
        from_symmetric_key = staticmethod(COSEKey.from_symmetric_key)

        @staticmethod
        def new(parameters: dict[int, Any]) -> Any:
            return COSEKey.new({**parameters, 3: DIRECT_HKDF})

    def ephemeral(_parameters: dict[int, Any]) -> Any:
        key = X25519PrivateKey.generate()
        public, private = key.public_key().public_bytes_raw(), key.private_bytes_raw()
        return COSEKey.new({1: 1, -1: 4, 3: DIRECT_HKDF, -2: public, -4: private})

    monkeypatch.setattr(ecdh_aes_key_wrap, "COSEKey", Keys)
    monkeypatch.setattr(ecdh_aes_key_wrap, "EC2Key", ephemeral)


def signing_key(card: NodeCard) -> Any:
    return COSEKey.new({1: 1, -1: 6, 2: card.signing_kid, 3: -19, -2: card.signing_public})


def agreement_key(keys: NodeKeys) -> Any:
    return COSEKey.new(
        {
            1: 1,
            -1: 4,
            2: keys.agreement_kid,
            3: DIRECT_HKDF,
            -2: keys.agreement_public,
            -4: keys.agreement.private_bytes_raw(),
        }
    )


def test_cwt_verifies_and_decrypts_our_envelope() -> None:
    made = sealed(None, SHENQIU_CARD, FUGOU_CARD)
    city = find_card(CITY.signing_kid)
    assert city is not None
    header, _, body = COSE.new().decode_with_headers(made.envelope, signing_key(city))
    protected = cbor2.loads(made.envelope).value[0]
    plaintext = COSE.new(verify_kid=True).decode(
        body, [agreement_key(FUGOU)], context=CONTEXT, external_aad=protected
    )
    assert header[15][1] == "zhoukou"
    assert header[15][3] == ["shenqiu", "fugou"]
    assert cbor2.loads(plaintext)[1] == content().body


def test_cwt_refuses_our_envelope_when_a_byte_is_changed() -> None:
    envelope = bytearray(sealed().envelope)
    envelope[len(envelope) // 2] ^= 1
    city = find_card(CITY.signing_kid)
    assert city is not None
    with pytest.raises(Exception, match="verify"):
        COSE.new().decode(bytes(envelope), signing_key(city))


def cwt_encrypts(plaintext: bytes, external: bytes) -> bytes:
    card = FUGOU_CARD
    recipient_key = COSEKey.new({1: 1, -1: 4, 3: DIRECT_HKDF, -2: card.agreement_public})
    recipient = Recipient.new(
        protected={1: -31},
        unprotected={4: card.agreement_kid},
        recipient_key=recipient_key,
        context=CONTEXT,
    )
    encoder = COSE.new(alg_auto_inclusion=True)
    encoded: bytes = encoder.encode_and_encrypt(
        plaintext,
        COSEKey.generate_symmetric_key(alg="A256GCM"),
        unprotected={5: bytes(12)},
        recipients=[recipient],
        external_aad=external,
    )
    return cbor2.dumps(cbor2.loads(encoded), canonical=True)


def test_we_decrypt_what_cwt_encrypted() -> None:
    assert open_body(cwt_encrypts(b"hello", b"outside"), b"outside", FUGOU) == b"hello"


def test_we_open_an_envelope_that_cwt_made_whole() -> None:
    ours = cose.parse(sealed().envelope, ENVELOPE, 10_000)
    plaintext = cbor.encode([bytes(32), b"body by cwt", []])
    claims = {**ours.header[15], -70007: FUGOU.suite.hash(plaintext)}
    header = {**ours.header, 15: claims}
    protected = cbor.encode(header)
    key = COSEKey.new(
        {
            1: 1,
            -1: 6,
            2: CITY.signing_kid,
            3: -19,
            -2: CITY.signing_public,
            -4: CITY.signing.private_bytes_raw(),
        }
    )
    envelope = COSE.new().encode_and_sign(
        cwt_encrypts(plaintext, protected), key, protected=cbor2.loads(protected)
    )
    opened = open_envelope(envelope, FUGOU, find_card)
    assert opened.content.body == b"body by cwt"
    assert opened.sender.node == "zhoukou"
