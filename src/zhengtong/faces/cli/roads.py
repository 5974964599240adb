"""`zhengtong node road|nats-config`: the road to a neighbour, and the files of its server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from zhengtong.faces.cli.start import CommandFailed, enter
from zhengtong.kernel.node import ROADS


def add(acts: Any) -> None:
    """Add these acts to the word `node`."""
    road = acts.add_parser("road", help="choose the road to a node below: https, nats or ferry")
    road.add_argument("name", help="the neighbour")
    road.add_argument("road", choices=ROADS)
    road.add_argument("--key", help="for nats: the key its `node nats-config` has printed")
    road.set_defaults(run=choose)
    files = acts.add_parser("nats-config", help="write the files of this node's NATS server")
    part = files.add_mutually_exclusive_group()
    part.add_argument("--hub", action="store_true", help="it must take servers of nodes below")
    part.add_argument("--leaf", action="store_true", help="it must attach to the node above")
    files.set_defaults(run=write_configuration)


def choose(chosen: argparse.Namespace) -> int:
    """Note by which road a child is reached; for nats also the key of its leaf server."""
    enter(chosen.node)
    from django.conf import settings

    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.messages.roads import nats_files
    from zhengtong.kernel.messages.roads.links import choose_road

    node = settings.NODE
    if node.parent and node.parent.name == chosen.name:
        raise CommandFailed(f"the road to the node above is `[parent] road` in {chosen.node}")
    if chosen.road == "nats" and node.nats is None:
        raise CommandFailed(f"{chosen.node} has no table [nats]; see docs/operations.md")
    try:
        if chosen.key:
            nats_files.remember_leaf(node, chosen.name, chosen.key)
        choose_road(node_actor({"messages.choose_road"}), chosen.name, chosen.road)
    except (ValueError, HouseError) as error:
        raise CommandFailed(str(error)) from error
    print(f"✓ {chosen.name}: {chosen.road}")
    if chosen.road == "nats":
        print("Now run `zhengtong node nats-config` and let the NATS server read its file again.")
    return 0


def write_configuration(chosen: argparse.Namespace) -> int:
    """Write nats/server.conf and the secrets it needs; say what has to be handed over."""
    enter(chosen.node)
    from django.conf import settings

    from zhengtong.kernel.messages.roads import nats_files
    from zhengtong.kernel.messages.roads.links import on_road

    node = settings.NODE
    _require(chosen, node, chosen.node)
    above = node.parent.name if node.parent else None
    written = nats_files.write(node, [name for name in on_road("nats") if name != above])
    print(f"✓ {written.file}. Start the server with: nats-server -c {written.file}")
    if written.key:
        print(
            f"The administrator of {above} now runs:\n"
            f"  zhengtong node road {node.name} nats --key {written.key}"
        )
    for name in written.without_key:
        print(f"Left out: {name}, whose key is not known. Get it from its `node nats-config`.")
    return 0


def _require(chosen: argparse.Namespace, node: Any, file: Path) -> None:
    if node.nats is None:
        raise CommandFailed(f"{file} has no table [nats]; see docs/operations.md")
    if chosen.hub and not node.nats.leaves:
        raise CommandFailed(f"{file} does not say `leaves` in [nats]: where nodes below attach")
    if chosen.leaf and not (node.parent and node.parent.road == "nats"):
        raise CommandFailed(f'{file} does not say `road = "nats"` in [parent]')
