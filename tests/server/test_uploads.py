"""An upload that the disk for temporary files cannot take."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from zhengtong.faces.server import refusals, uploads


async def _blocks() -> AsyncIterator[bytes]:
    for _ in range(4):
        yield bytes(1024)


def test_a_full_disk_is_told_apart_from_our_own_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full answers every write as a full disk does."""
    full = open("/dev/full", "wb+", buffering=0)  # noqa: SIM115 - `receive` closes it
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **_: full)
    scope = cast(Any, SimpleNamespace(headers={"content-length": "4096"}))
    with pytest.raises(uploads.UploadNoRoom):
        asyncio.run(uploads.receive(scope, cast(Any, _blocks()), 1 << 20))
    assert full.closed
    assert refusals.NO_ROOM.status == 503
    assert "没有保存" in refusals.NO_ROOM.body.decode()
