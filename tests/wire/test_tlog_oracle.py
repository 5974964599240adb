"""Other people's tools for transparency logs read our checkpoints and their cosignatures."""

from __future__ import annotations

import base64
import sys
from datetime import timedelta

import pytest
from tlog_scales.signing import PlainEd25519Signer, Vkey
from tlog_scales.tlog import Checkpoint as Theirs

from tests.wire.builders import CITY, CITY_CARD, FUGOU, FUGOU_CARD, NOW, entry, log_of
from zhengtong.wire.checkpoint import (
    Checkpoint,
    cosign,
    sign_checkpoint,
    verifier_key,
    verify_checkpoint,
    witnessed_at,
)

LOG = log_of(*(entry(number) for number in range(1, 8)), keys=CITY)
HEAD = Checkpoint("zhoukou/exchange", LOG.size, LOG.root())
NOTE = sign_checkpoint(HEAD, CITY)
LINE = cosign(NOTE, NOW, FUGOU)
KEY = verifier_key(CITY_CARD, HEAD.origin)


def test_tlog_scales_reads_and_verifies_both() -> None:
    read = Theirs.from_text((NOTE + LINE).decode())
    assert (read.origin, read.size, read.root_hash) == (HEAD.origin, HEAD.size, HEAD.root)
    read.verify(Vkey.from_string(KEY))
    read.verify(Vkey("fugou", None, 4, FUGOU.signing_public))


def test_tlog_scales_refuses_what_we_would_refuse() -> None:
    forged = NOTE.replace(b"\n7\n", b"\n8\n") + LINE
    read = Theirs.from_text(forged.decode())
    for key in (Vkey.from_string(KEY), Vkey("fugou", None, 4, FUGOU.signing_public)):
        with pytest.raises(Exception):  # noqa: B017 - the library's InvalidSignature
            read.verify(key)


def test_we_verify_what_tlog_scales_signs() -> None:
    signer = PlainEd25519Signer(HEAD.origin, CITY.signing.private_bytes_raw())
    made = Theirs.make_signed(HEAD.origin, HEAD.size, HEAD.root, [signer])
    assert verify_checkpoint(made.serialize().encode(), CITY_CARD) == HEAD


if sys.version_info >= (3, 12):  # aics-tlog's own floor

    def test_aics_tlog_verifies_log_and_witness() -> None:
        import aics_tlog

        note = aics_tlog.parse_note((NOTE + LINE).decode())
        witness = aics_tlog.cosignature_vkey("fugou", FUGOU.signing_public)
        found = aics_tlog.verify_checkpoint(
            note, aics_tlog.parse_vkey(KEY), [witness], 1, expected_origin=HEAD.origin
        )
        assert found.log_ok
        assert (found.ok, found.witnesses) == (True, ["fugou"])
        path = LOG.inclusion(2, LOG.size)
        leaf = aics_tlog.leaf_hash(LOG.entries(2, 1)[0])
        assert aics_tlog.verify_inclusion(leaf, 2, LOG.size, path, HEAD.root)

    def test_we_take_the_cosignature_that_aics_tlog_makes() -> None:
        import aics_tlog

        at = NOW.replace(microsecond=0) + timedelta(minutes=1)
        blob, line = aics_tlog.sign_cosignature(
            FUGOU.signing, "fugou", int(at.timestamp()), HEAD.origin, HEAD.size, HEAD.root
        )
        encoded = base64.b64encode(line.key_id + blob).decode()
        assert witnessed_at(HEAD, f"— fugou {encoded}\n".encode(), FUGOU_CARD) == at
