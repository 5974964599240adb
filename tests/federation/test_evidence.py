"""What was sent, delivered and signed for can be shown to anyone, and a changed byte is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.federation.city import ROOT, City, office_id, wait_until


def _verify(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zhengtong", "verify", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_exported_evidence_file_holds_offline(city: City, tmp_path: Path) -> None:
    city.site("centre")
    city.site("fugou", "centre")
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"]})
    centre, fugou = city.sites["centre"], city.sites["fugou"]
    city.start()
    document = centre.do(
        "send",
        clerk="市府办办事员",
        leader="市府办领导",
        to=[str(office_id("扶沟县"))],
        title="关于做好防汛工作",
        attachment="水位表",
    )
    wait_until(lambda: fugou.do("received", clerk="扶沟县办事员") == {document: 1})
    fugou.do("sign_for", clerk="扶沟县办事员", document=document)
    signed = {"扶沟县": "已签收"}
    wait_until(lambda: centre.do("words", clerk="市府办办事员", document=document) == signed)
    wait_until(lambda: centre.do("counts")["unsealed"] == 0, what="the audit log to be sealed")

    evidence = bytes.fromhex(centre.do("export_evidence", clerk="市府办办事员", document=document))
    path = tmp_path / "evidence.cbor"
    path.write_bytes(evidence)
    whole = _verify(path)
    assert whole.returncode == 0, whole.stdout
    assert "fugou" in whole.stdout and "附件.txt" in whole.stdout

    at = evidence.index("水位表".encode())
    path.write_bytes(evidence[:at] + bytes([evidence[at] ^ 1]) + evidence[at + 1 :])
    broken = _verify(path)
    assert broken.returncode == 1
    assert "附件.txt" in broken.stdout
