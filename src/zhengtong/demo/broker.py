"""The demo city over NATS: a server beside every node, leaves attached to the node above."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zhengtong.demo.plan import NodePlan
from zhengtong.kernel.messages.roads import nats_files
from zhengtong.kernel.node import load

CLIENTS, LEAVES = 200, 400
"""Added to a node's port: where its courier, and where leaves, find its NATS server."""


def writing(
    write_node: Callable[..., None], nodes: tuple[NodePlan, ...], server: Path
) -> Callable[..., None]:
    """`write_node`, and then the table [nats] and the road to the parent in the node's file."""
    ports = {node.name: node.port for node in nodes}

    def write(folder: Path, *, name: str, parent: tuple[str, str] | None, **given: object) -> None:
        write_node(folder, name=name, parent=parent, **given)
        path = folder / "node.toml"
        text = path.read_text(encoding="utf-8")
        if "[nats]" in text:
            return
        text += f'\n[nats]\nurl = "127.0.0.1:{ports[name] + CLIENTS}"\nserver = "{server}"\n'
        if any(node.parent == name for node in nodes):
            text += f'leaves = "127.0.0.1:{ports[name] + LEAVES}"\n'
        if parent:
            text += f'above = "127.0.0.1:{ports[parent[0]] + LEAVES}"\n'
            text = text.replace("[parent]\n", '[parent]\nroad = "nats"\n')
        path.write_text(text, encoding="utf-8")

    return write


def configure(folder: Path, nodes: tuple[NodePlan, ...]) -> None:
    """Write every server's files, those below first: their keys belong in the files above."""
    for node in reversed(nodes):
        below = [other.name for other in nodes if other.parent == node.name]
        written = nats_files.write(load(folder / node.name / "node.toml"), below)
        if node.parent:
            above = load(folder / node.parent / "node.toml")
            nats_files.remember_leaf(above, node.name, written.key)
