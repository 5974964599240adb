"""SM2 by GmSSL, through the package gmssl-pyx.

It draws its random numbers itself and writes a line to standard error for what it refuses. Its
wheels serve x86-64 only; elsewhere `sm2_libcrypto` is the engine.
"""

from __future__ import annotations

import gmssl_pyx

from zhengtong.wire.sm2 import Engine, PrivateKey


class Gmssl:
    name = "gmssl"

    def sign(self, key: PrivateKey, digest: bytes) -> bytes:
        signature: bytes = gmssl_pyx.sm2_sign_sm3_digest(key.secret, digest)
        return signature

    def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        try:
            return bool(gmssl_pyx.sm2_verify_sm3_digest(public[1:], digest, signature))
        except gmssl_pyx.GmsslInnerError as problem:
            raise ValueError(str(problem)) from None

    def encrypt(self, public: bytes, plaintext: bytes) -> bytes:
        try:
            ciphertext: bytes = gmssl_pyx.sm2_encrypt(public[1:], plaintext)
        except gmssl_pyx.GmsslInnerError as problem:
            raise ValueError(str(problem)) from None
        return ciphertext

    def decrypt(self, key: PrivateKey, ciphertext: bytes) -> bytes:
        try:
            plaintext: bytes = gmssl_pyx.sm2_decrypt(key.secret, ciphertext)
        except gmssl_pyx.GmsslInnerError as problem:
            raise ValueError(str(problem)) from None
        return plaintext


def load() -> Engine:
    """The engine; without the package this module itself raises ImportError."""
    return Gmssl()
