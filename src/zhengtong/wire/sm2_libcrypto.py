"""SM2 by the system's OpenSSL 3 or newer: libcrypto, called through ctypes.

A few functions of its public interface and no structure laid out by hand: a key goes in as a DER
text made here. Every pointer that is obtained is freed, every return code checked, and OpenSSL's
error queue, which Python's own `ssl` shares, is left empty. OpenSSL draws its random numbers
itself. Calls release the interpreter lock; a key may be used from several threads.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL, POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_ulong, c_void_p
from functools import lru_cache
from typing import Any

from zhengtong.wire.sm2 import Engine, PrivateKey

_NAMES = ("libcrypto.so.3", "libcrypto.so.4")
_OLDEST = 0x30000000
_ROOM = 256
"""Bytes by which an operation may lengthen its input: more than DER, a point and a hash need."""

# Everything in these texts is fixed but the numbers: SubjectPublicKeyInfo (RFC 5480) and
# ECPrivateKey (RFC 5915) on the curve 1.2.156.10197.1.301.
_PUBLIC = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
_SECRET = bytes.fromhex("30770201010420")
_CURVE = bytes.fromhex("a00a06082a811ccf5501822da144034200")

_OPERATION = [c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t]
_DECODE = [c_void_p, POINTER(c_void_p), c_long]
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "OpenSSL_version_num": (c_ulong, []),
    "ERR_clear_error": (None, []),
    "d2i_PUBKEY": (c_void_p, _DECODE),
    "d2i_AutoPrivateKey": (c_void_p, _DECODE),
    "EVP_PKEY_free": (None, [c_void_p]),
    "EVP_PKEY_CTX_new": (c_void_p, [c_void_p, c_void_p]),
    "EVP_PKEY_CTX_free": (None, [c_void_p]),
    "EVP_PKEY_sign": (c_int, _OPERATION),
    "EVP_PKEY_encrypt": (c_int, _OPERATION),
    "EVP_PKEY_decrypt": (c_int, _OPERATION),
    "EVP_PKEY_verify": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]),
    "EVP_PKEY_sign_init": (c_int, [c_void_p]),
    "EVP_PKEY_encrypt_init": (c_int, [c_void_p]),
    "EVP_PKEY_decrypt_init": (c_int, [c_void_p]),
    "EVP_PKEY_verify_init": (c_int, [c_void_p]),
}


class Libcrypto:
    name = "libcrypto"

    def __init__(self, library: CDLL) -> None:
        """Raises AttributeError if the library lacks a function, OSError if it is too old."""
        self.library = library
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        if library.OpenSSL_version_num() < _OLDEST:
            raise OSError("older than OpenSSL 3")
        self._public = lru_cache(maxsize=8192)(self._load_public)
        self._private: weakref.WeakKeyDictionary[PrivateKey, _Key] = weakref.WeakKeyDictionary()

    def sign(self, key: PrivateKey, digest: bytes) -> bytes:
        return self._run("sign", self._secret(key), digest)

    def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        with self._context("verify", self._public(public)) as context:
            verify = self.library.EVP_PKEY_verify
            done = verify(context, signature, len(signature), digest, len(digest))
            if done != 1:
                self.library.ERR_clear_error()
            return bool(done == 1)

    def encrypt(self, public: bytes, plaintext: bytes) -> bytes:
        return self._run("encrypt", self._public(public), plaintext)

    def decrypt(self, key: PrivateKey, ciphertext: bytes) -> bytes:
        return self._run("decrypt", self._secret(key), ciphertext)

    def _run(self, verb: str, key: _Key, data: bytes) -> bytes:
        """One operation that turns bytes into bytes. Raises ValueError."""
        with self._context(verb, key) as context:
            room = len(data) + _ROOM
            result, length = ctypes.create_string_buffer(room), c_size_t(room)
            operation = getattr(self.library, f"EVP_PKEY_{verb}")
            if operation(context, result, byref(length), data, len(data)) != 1:
                raise self._refused(verb)
            return result.raw[: length.value]

    @contextmanager
    def _context(self, verb: str, key: _Key) -> Iterator[int]:
        context = self.library.EVP_PKEY_CTX_new(key.pointer, None)
        try:
            # Without a context the second call would not be safe to make.
            if not context or getattr(self.library, f"EVP_PKEY_{verb}_init")(context) != 1:
                raise self._refused(verb)
            yield context
        finally:
            self.library.EVP_PKEY_CTX_free(context)

    def _load_public(self, public: bytes) -> _Key:
        return self._decode("d2i_PUBKEY", _PUBLIC + public)

    def _secret(self, key: PrivateKey) -> _Key:
        """The library's form of a key, kept as long as the key is."""
        found = self._private.get(key)
        if found is None:
            text = _SECRET + key.secret + _CURVE + key.public
            found = self._private[key] = self._decode("d2i_AutoPrivateKey", text)
        return found

    def _decode(self, function: str, der: bytes) -> _Key:
        text = c_char_p(der)
        pointer = getattr(self.library, function)(
            None, byref(ctypes.cast(text, c_void_p)), len(der)
        )
        if not pointer:
            raise self._refused("load")
        return _Key(pointer, self.library.EVP_PKEY_free)

    def _refused(self, verb: str) -> ValueError:
        self.library.ERR_clear_error()
        return ValueError(f"OpenSSL refused to {verb} with this SM2 key")


class _Key:
    """An EVP_PKEY, freed with its last owner."""

    def __init__(self, pointer: int, free: Any) -> None:
        self.pointer = pointer
        weakref.finalize(self, free, pointer)


def load() -> Engine:
    """The engine. Raises ImportError if there is no OpenSSL 3 on this machine."""
    for name in _NAMES:
        try:
            return Libcrypto(CDLL(name))
        except (OSError, AttributeError):
            continue  # another version, or none
    raise ImportError("no libcrypto of OpenSSL 3 or newer")
