"""Bench rows `suite-intl` and `suite-gm`: what the suite's interface costs over the bare library.

`ours` is signatures a second through the suite (a statement of 300 bytes), `reference` those of the
library beneath it called bare with everything prepared; they take turns and the median of the
rounds counts. Seconds are processor time, so that others on the machine disturb less.

The further fields give the same for the other operations: wrap and unwrap of a content key of the
suite's own length with an agreement for each letter, where the letters of a batch share one; seal
and hash of 1 MiB. Bare SM2 is the library on a ready digest, without the signer's hash and the
change of form. `by_engine` has the commercial suite over each SM2 library at hand.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import cycle
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.parts import Row, row
from zhengtong.wire.gm import ENGINES, GM, GmSuite, answers_right
from zhengtong.wire.intl import INTL
from zhengtong.wire.suite import Suite

NAMES = ("suite-intl", "suite-gm")
STATEMENT = os.urandom(300)
BLOCK = os.urandom(1 << 20)
PROTECTED = b"\xa1\x01\x38\x1e"
Call = Callable[[], object]


def rows(short: bool) -> list[Row]:
    """Two rows; with `short` a fifth of the time, which makes the figures rougher."""
    seconds, rounds = (0.04, 3) if short else (0.2, 5)
    return [
        _row(NAMES[0], INTL, _bare_intl(), seconds, rounds),
        _row(
            NAMES[1],
            GM,
            _bare_gm(),
            seconds,
            rounds,
            engine=GM.engine.name,
            by_engine={
                suite.engine.name: {
                    name: round(statistics.median(_rate(call, seconds) for _ in range(rounds)))
                    for name, call in _calls(suite).items()
                    if name not in PER_BLOCK
                }
                for suite in _every_engine()
            },
        ),
    ]


PER_BLOCK = ("seal", "hash")
"""Operations told in MB/s; the others in operations a second."""


def _row(
    name: str, suite: Suite, bare: dict[str, Call], seconds: float, rounds: int, **more: Any
) -> Row:
    ours = _calls(suite)
    rates: dict[str, list[tuple[float, float]]] = {operation: [] for operation in bare}
    for _ in range(rounds):
        for operation, call in bare.items():
            rates[operation].append((_rate(ours[operation], seconds), _rate(call, seconds)))
    figures = {}
    for operation, pairs in rates.items():
        scale = len(BLOCK) / 1e6 if operation in PER_BLOCK else 1
        through, alone = (scale * statistics.median(side) for side in zip(*pairs, strict=True))
        unit = "mb_s" if operation in PER_BLOCK else "s"
        figures[f"{operation}_{unit}"] = through
        figures[f"bare_{operation}_{unit}"] = alone
    through, alone = figures.pop("sign_s"), figures.pop("bare_sign_s")
    return row(name, through, alone, through / alone, "signatures/s", **figures, **more)


def _calls(suite: Suite) -> dict[str, Call]:
    """Every operation of a suite on prepared input."""
    signing, agreement = suite.generate(os.urandom)
    public, reader = suite.public(signing), suite.public(agreement)
    signature = suite.sign(signing, STATEMENT)
    key, nonce = os.urandom(suite.key_length), os.urandom(suite.nonce_length)
    # More letters than any suite remembers the secrets of, each agreed upon by itself.
    letters = cycle([_wrapped(suite, reader, key) for _ in range(100)])
    return {
        "sign": lambda: suite.sign(signing, STATEMENT),
        "verify": lambda: suite.verify(public, signature, STATEMENT),
        "wrap": lambda: _wrapped(suite, reader, key),
        "unwrap": lambda: suite.unwrap(agreement, *next(letters), PROTECTED),
        "seal": lambda: suite.seal(key, nonce, BLOCK, b""),
        "hash": lambda: suite.hash(BLOCK),
    }


def _wrapped(suite: Suite, reader: bytes, key: bytes) -> tuple[dict[int, Any], bytes]:
    header, secret = suite.agree(reader, os.urandom)
    return header, suite.wrap(secret, key, PROTECTED)


def _bare_intl() -> dict[str, Call]:
    """Wrap and unwrap are the exchange alone: it is what takes the time."""
    signing, agreement = INTL.generate(os.urandom)
    public = Ed25519PublicKey.from_public_bytes(INTL.public(signing))
    reader = X25519PublicKey.from_public_bytes(INTL.public(agreement))
    signature = signing.sign(STATEMENT)
    cipher, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    return {
        "sign": lambda: signing.sign(STATEMENT),
        "verify": lambda: public.verify(signature, STATEMENT),
        "wrap": lambda: X25519PrivateKey.generate().exchange(reader),
        "unwrap": lambda: agreement.exchange(reader),
        "seal": lambda: cipher.encrypt(nonce, BLOCK, b""),
        "hash": lambda: hashlib.sha256(BLOCK).digest(),
    }


def _bare_gm() -> dict[str, Call]:
    engine = GM.engine
    signing, agreement = GM.generate(os.urandom)
    digest, key, nonce = os.urandom(32), os.urandom(16), os.urandom(12)
    signature = engine.sign(signing, digest)
    ciphertext = engine.encrypt(agreement.public, key)
    return {
        "sign": lambda: engine.sign(signing, digest),
        "verify": lambda: engine.verify(signing.public, digest, signature),
        "wrap": lambda: engine.encrypt(agreement.public, key),
        "unwrap": lambda: engine.decrypt(agreement, ciphertext),
        "seal": lambda: Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor().update(BLOCK),
        "hash": lambda: _sm3(BLOCK),
    }


def _sm3(data: bytes) -> bytes:
    hasher = hashes.Hash(hashes.SM3())
    hasher.update(data)
    return hasher.finalize()


def _every_engine() -> Iterator[GmSuite]:
    for module in ENGINES:
        try:
            engine = import_module(module).load()
        except ImportError:
            continue
        if answers_right(engine):
            yield GmSuite(engine)


def _rate(call: Call, seconds: float) -> float:
    """Calls a second of processor time, over at least that long."""
    number, started = 0, time.process_time()
    while (took := time.process_time() - started) < seconds:
        call()
        number += 1
    return number / took
