"""The verifier as one file: a fresh Python without site-packages, pip or network runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.wire.builders import ATTACHMENT, evidence
from zhengtong.wire.evidence import pack

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = pack(evidence())


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dist") / "zhengtong-verify.pyz"
    subprocess.run([sys.executable, ROOT / "tools" / "zipapp", path], check=True)
    return path


def judged(verifier: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    base = (
        Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    )
    command: list[str | Path] = [base, "-I", "-S", "-X", "utf8", verifier, file, *options]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=file.parent, check=False, timeout=60
    )


def test_a_good_file_is_proven_on_a_bare_python(verifier: Path, tmp_path: Path) -> None:
    file = tmp_path / "good"
    file.write_bytes(BUNDLE)
    done = judged(verifier, file)
    assert done.returncode == 0, done.stderr
    assert "第1封信:周口市(zhoukou)发给 fugou" in done.stdout
    assert "双方签名一致:其间没有缺漏" in done.stdout
    assert "结论:案卷完整" in done.stdout


def test_a_faulty_file_is_refused_and_the_fault_named(verifier: Path, tmp_path: Path) -> None:
    file, position = tmp_path / "bad", BUNDLE.index(ATTACHMENT) + 20
    file.write_bytes(BUNDLE[:position] + b"\x00" + BUNDLE[position + 1 :])
    done = judged(verifier, file)
    assert done.returncode == 1
    assert "附件 a.pdf 的内容与登记的哈希不符" in done.stdout
    assert "摘要" not in done.stdout


def test_a_forged_signature_is_found_without_a_library(verifier: Path, tmp_path: Path) -> None:
    whole = evidence()
    card = bytearray(whole.cards[0])
    card[-1] ^= 1
    file = tmp_path / "forged"
    file.write_bytes(pack(whole.__class__(whole.about, cards=(bytes(card), *whole.cards[1:]))))
    done = judged(verifier, file)
    assert done.returncode == 1
    assert "第1张节点名片:签名与内容不符" in done.stdout


def test_the_same_sources_give_the_same_file(verifier: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pyz"
    subprocess.run([sys.executable, ROOT / "tools" / "zipapp", again], check=True)
    assert again.read_bytes() == verifier.read_bytes()


def test_a_file_in_the_commercial_suite_is_judged_likewise(
    verifier: Path, tmp_path: Path, suite: str
) -> None:
    """The fixture turns the builders to either suite."""
    file = tmp_path / f"good-{suite}"
    file.write_bytes(pack(evidence()))
    done = judged(verifier, file)
    assert done.returncode == 0, done.stdout + done.stderr
