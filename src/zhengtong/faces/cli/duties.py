"""`zhengtong duties`: every command of the platform, which is every duty a post can carry."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from zhengtong.faces.cli.start import enter

KERNEL = (
    "zhengtong.kernel.directory.commands",
    "zhengtong.kernel.directory.sessions",
    "zhengtong.kernel.membership.reactions",
    "zhengtong.kernel.messages.commands",
    "zhengtong.kernel.messages.membership",
    "zhengtong.kernel.messages.roads.links",
    "zhengtong.kernel.messages.roads.commands",
)


def add(words: Any) -> None:
    word = words.add_parser("duties", help="list every command with the duty that permits it")
    word.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """One line a command: its name, which is the duty; its title; ● where the node itself may."""
    enter(chosen.node)
    from zhengtong.kernel.capability import node_duties
    from zhengtong.kernel.commands import registry

    for module in KERNEL:
        import_module(module)  # which registers its commands

    own = node_duties()
    for name, found in sorted(registry.items()):
        print(f"{'●' if name in own else ' '} {name:28} {found.title}")
    return 0
