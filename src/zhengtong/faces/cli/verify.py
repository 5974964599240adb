"""`zhengtong verify FILE`: check an exported evidence file, offline, without any node."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(words: Any) -> None:
    word = words.add_parser("verify", help="check an evidence file; needs no node and no network")
    word.add_argument("file", type=Path)
    word.add_argument("--trust", type=Path, help="JSON list of trusted node cards")
    word.add_argument("--authority", type=Path, help="PEM of trusted time-stamping authorities")
    word.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print what is proven and what is not; 0 when all holds, 1 when not, 2 when unreadable."""
    from zhengtong.wire.verifier import main

    trust = ["--trust", str(chosen.trust)] if chosen.trust else []
    authority = ["--authority", str(chosen.authority)] if chosen.authority else []
    return main([str(chosen.file), *trust, *authority])
