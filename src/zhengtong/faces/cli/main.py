"""`zhengtong WORD`: every word the administrator of a node can say, and what it needs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zhengtong.faces.cli import backup, demo, doctor, duties, ferry, init, neighbours, serve, verify
from zhengtong.faces.cli.start import CommandFailed
from zhengtong.kernel.node import NodeFileError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 for what was found wrong, 2 for wrong use."""
    parser = argparse.ArgumentParser(
        prog="zhengtong", description="政通: one node of a city's digital government."
    )
    parser.add_argument(
        "--node",
        type=Path,
        default=Path("node.toml"),
        metavar="FILE",
        help="the node's node.toml (default: ./node.toml)",
    )
    words = parser.add_subparsers(required=True, metavar="WORD")
    for module in (init, serve, demo, doctor, neighbours, ferry, duties, verify, backup):
        module.add(words)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen) or 0)
    except (CommandFailed, NodeFileError) as error:
        print(f"zhengtong: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
