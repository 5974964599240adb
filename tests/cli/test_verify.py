"""`zhengtong verify` needs no node, and says so when a file is no evidence at all.

What it finds in true and in altered evidence stands in tests/federation/test_evidence.py.
"""

from __future__ import annotations

from pathlib import Path

from tests.federation.city import zhengtong


def test_a_file_that_is_no_evidence_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "evidence.cbor"
    for data in (b"", b"garbage", bytes(10_000)):
        path.write_bytes(data)
        done = zhengtong("verify", path)
        assert done.returncode == 1
        assert "不符" in done.stdout and "Traceback" not in done.stderr
    done = zhengtong("verify", tmp_path / "none")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
