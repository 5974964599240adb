"""`python -m zhengtong.wire.verifier FILE`: judge an evidence file, offline.

Exit status: 0 everything in the file holds, 1 something does not, 2 the file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from zhengtong.wire.authority import read_pem
from zhengtong.wire.errors import WireError
from zhengtong.wire.evidence import MAX_BUNDLE
from zhengtong.wire.evidence_check import verify
from zhengtong.wire.findings import Report, Verdict
from zhengtong.wire.keys import NodeCard

_MARKS = {
    Verdict.PROVEN: "[已证明 proven]",
    Verdict.UNPROVEN: "[未证明 not shown]",
    Verdict.FAILED: "[不符 FAULT]",
}


def main(arguments: Sequence[str] | None = None, out: TextIO | None = None) -> int:
    """Print a report in Chinese and English and return the exit status."""
    parser = argparse.ArgumentParser(prog="zhengtong-verify", description=__doc__)
    parser.add_argument("file", type=Path, help="证据案卷 the evidence file")
    parser.add_argument(
        "--trust", type=Path, help="受信节点名录(JSON) a JSON list of trusted node cards"
    )
    parser.add_argument(
        "--authority", type=Path, help="受信时间戳机构证书(PEM) trusted time-stamping authorities"
    )
    chosen = parser.parse_args(arguments)
    try:
        if chosen.file.stat().st_size > MAX_BUNDLE:
            raise OSError(f"larger than {MAX_BUNDLE} bytes")
        bundle = chosen.file.read_bytes()
        trusted = _read_cards(chosen.trust) if chosen.trust else None
        authorities = read_pem(chosen.authority.read_bytes()) if chosen.authority else []
    except (OSError, ValueError, WireError) as problem:
        print(f"无法读取 cannot read: {problem}", file=sys.stderr)
        return 2
    report = verify(bundle, trusted, authorities)
    print_report(report, out or sys.stdout)
    return 0 if report.ok else 1


def print_report(report: Report, out: TextIO) -> None:
    if report.title:
        print(f"{report.title} {report.document}".rstrip(), file=out)
    if report.summary:
        print("\n摘要 summary", file=out)
        for said in report.summary:
            print(f"  {said.zh}。\n  {said.en}.", file=out)
        print("\n逐项 in detail", file=out)
    for finding in report.findings:
        print(f"{_MARKS[finding.verdict]} {finding.zh}。\n    {finding.en}.", file=out)
    if report.ok:
        print("结论:案卷完整,签名与证明全部有效。", file=out)
        print("Verdict: the file is intact and every signature and proof in it holds.", file=out)
    else:
        print("结论:案卷有误,见上列“不符”各项。", file=out)
        print("Verdict: the file is faulty; see every FAULT above.", file=out)


def _read_cards(path: Path) -> list[NodeCard]:
    cards = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(cards, list) or not all(isinstance(card, dict) for card in cards):
        raise ValueError("a JSON list of node cards expected")
    return [NodeCard.from_json(card) for card in cards]


if __name__ == "__main__":
    sys.exit(main())
