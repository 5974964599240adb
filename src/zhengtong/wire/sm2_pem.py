"""SM2 keys on disk: PEM of PKCS #8 (RFC 5958), under a passphrase if one is given.

With a passphrase the block is encrypted the national way: PBES2 (RFC 8018) with PBKDF2 over
HMAC-SM3 and SM4-CBC, identifiers as in GM/T 0091. Read back are also the identifier that GmSSL uses
for HMAC-SM3, and HMAC-SHA-256, which is what OpenSSL before 3.2 writes:

    openssl pkcs8 -topk8 -v2 sm4-cbc -in KEY -out FILE
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.x509 import ObjectIdentifier

from zhengtong.wire.sm2 import PrivateKey

_BARE, _ENCRYPTED = "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"
_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n(.+)-----END \1-----\s*", re.DOTALL)
_EC_KEY = ObjectIdentifier("1.2.840.10045.2.1")
_CURVE = ObjectIdentifier("1.2.156.10197.1.301")
_PBES2 = ObjectIdentifier("1.2.840.113549.1.5.13")
_PBKDF2 = ObjectIdentifier("1.2.840.113549.1.5.12")
_SM4_CBC = ObjectIdentifier("1.2.156.10197.1.104.2")
_HMAC_SM3 = ObjectIdentifier("1.2.156.10197.1.401.3.1")
_HASHES: dict[ObjectIdentifier, hashes.HashAlgorithm] = {
    _HMAC_SM3: hashes.SM3(),
    ObjectIdentifier("1.2.156.10197.1.401.2"): hashes.SM3(),
    ObjectIdentifier("1.2.840.113549.2.9"): hashes.SHA256(),
}
_ROUNDS = 200_000
_MOST_ROUNDS = 10_000_000


@asn1.sequence
class _Algorithm:
    kind: ObjectIdentifier
    curve: ObjectIdentifier


@asn1.sequence
class _Pkcs8:
    version: int
    algorithm: _Algorithm
    key: bytes


@asn1.sequence
class _EcKey:
    version: int
    secret: bytes
    curve: Annotated[ObjectIdentifier | None, asn1.Explicit(0)]
    public: Annotated[asn1.BitString | None, asn1.Explicit(1)]


@asn1.sequence
class _Prf:
    kind: ObjectIdentifier
    nothing: asn1.Null | None


@asn1.sequence
class _Pbkdf2:
    salt: bytes
    rounds: int
    length: int | None
    prf: _Prf


@asn1.sequence
class _Derivation:
    kind: ObjectIdentifier
    parameters: _Pbkdf2


@asn1.sequence
class _Encryption:
    kind: ObjectIdentifier
    iv: bytes


@asn1.sequence
class _Pbes2:
    derivation: _Derivation
    encryption: _Encryption


@asn1.sequence
class _Scheme:
    kind: ObjectIdentifier
    parameters: _Pbes2


@asn1.sequence
class _EncryptedPkcs8:
    scheme: _Scheme
    data: bytes


def save(key: PrivateKey, passphrase: bytes | None) -> bytes:
    """One PEM block. Salt and initial vector come from the operating system."""
    public = asn1.BitString(data=key.public, padding_bits=0)
    inner = asn1.encode_der(_EcKey(version=1, secret=key.secret, curve=None, public=public))
    algorithm = _Algorithm(kind=_EC_KEY, curve=_CURVE)
    der = asn1.encode_der(_Pkcs8(version=0, algorithm=algorithm, key=inner))
    return _armoured(_ENCRYPTED, _locked(der, passphrase)) if passphrase else _armoured(_BARE, der)


def load(pem: bytes, passphrase: bytes | None) -> PrivateKey:
    """The key in a PEM block. Raises ValueError, also if its two halves do not belong together."""
    block = _BLOCK.fullmatch(pem.decode("ascii"))
    if block is None or block[1] not in (_BARE, _ENCRYPTED):
        raise ValueError("one PEM block of a PKCS #8 key expected")
    if bool(passphrase) != (block[1] == _ENCRYPTED):
        raise ValueError("a passphrase belongs to an encrypted key and to no other")
    try:
        der = base64.b64decode("".join(block[2].split()), validate=True)
    except binascii.Error as problem:
        raise ValueError(f"PEM block: {problem}") from None
    outer = asn1.decode_der(_Pkcs8, _unlocked(der, passphrase) if passphrase else der)
    if (outer.algorithm.kind, outer.algorithm.curve) != (_EC_KEY, _CURVE):
        raise ValueError("not a key on the SM2 curve")
    inner = asn1.decode_der(_EcKey, outer.key)
    key = PrivateKey.of(int.from_bytes(inner.secret, "big"))
    if inner.public is not None and inner.public.as_bytes() != key.public:
        raise ValueError("the public key is not that of the secret")
    return key


def _armoured(label: str, der: bytes) -> bytes:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def _locked(der: bytes, passphrase: bytes) -> bytes:
    prf = _Prf(kind=_HMAC_SM3, nothing=asn1.Null())
    kdf = _Pbkdf2(salt=os.urandom(16), rounds=_ROUNDS, length=None, prf=prf)
    encryption = _Encryption(kind=_SM4_CBC, iv=os.urandom(16))
    padder = padding.PKCS7(128).padder()
    padded = padder.update(der) + padder.finalize()
    encryptor = _cipher(passphrase, kdf, encryption.iv).encryptor()
    parameters = _Pbes2(derivation=_Derivation(kind=_PBKDF2, parameters=kdf), encryption=encryption)
    scheme = _Scheme(kind=_PBES2, parameters=parameters)
    data = encryptor.update(padded) + encryptor.finalize()
    return asn1.encode_der(_EncryptedPkcs8(scheme=scheme, data=data))


def _unlocked(der: bytes, passphrase: bytes) -> bytes:
    locked = asn1.decode_der(_EncryptedPkcs8, der)
    parameters = locked.scheme.parameters
    kinds = (locked.scheme.kind, parameters.derivation.kind, parameters.encryption.kind)
    kdf = parameters.derivation.parameters
    known = kinds == (_PBES2, _PBKDF2, _SM4_CBC) and kdf.prf.kind in _HASHES
    if not known or not 1 <= kdf.rounds <= _MOST_ROUNDS or kdf.length not in (None, 16):
        raise ValueError("not encrypted by PBKDF2 and SM4-CBC; openssl pkcs8 -topk8 -v2 sm4-cbc")
    decryptor = _cipher(passphrase, kdf, parameters.encryption.iv).decryptor()
    padded = decryptor.update(locked.data) + decryptor.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def _cipher(passphrase: bytes, kdf: _Pbkdf2, iv: bytes) -> Cipher[modes.CBC]:
    derive = PBKDF2HMAC(_HASHES[kdf.prf.kind], 16, kdf.salt, kdf.rounds)
    return Cipher(algorithms.SM4(derive.derive(passphrase)), modes.CBC(iv))
