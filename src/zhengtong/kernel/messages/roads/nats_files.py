"""The files of a node's nats-server: made from node.toml, the neighbours and what stands there.

Secrets are made once, lie beside the node's own keys and are kept in its backup. The configuration
is written anew each time, in the folder `nats`. Everything is readable by its owner only.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zhengtong.kernel.messages.roads.nats_server import PARENT, Server, account_of, configuration
from zhengtong.kernel.messages.roads.nkeys import is_public, make_seed, public_of
from zhengtong.kernel.node import Node

FOLDER, PASSWORDS, LEAVES, SEED, CONFIGURATION = (
    "nats",
    "nats-passwords.json",
    "nats-leaves.json",
    "nats-leaf.seed",
    "server.conf",
)


@dataclass(frozen=True, slots=True)
class Written:
    """The configuration file; our leaf's public key, for the node above; what is still missing."""

    file: Path
    key: str
    without_key: tuple[str, ...]


def write(node: Node, children: Sequence[str]) -> Written:
    """Write the server's configuration for these links below and for the one above, if any.

    A child whose leaf's key is not yet known is left out and named.
    """
    assert node.nats is not None
    folder = node.home / FOLDER
    for each in (folder, node.keys):
        each.mkdir(mode=0o700, exist_ok=True)
    known = leaves(node)
    below = {name: known[name] for name in children if name in known} if node.nats.leaves else {}
    accounts = [account_of(name) for name in below]
    upward = node.parent is not None and node.parent.road == "nats"
    seed = ""
    if upward:
        accounts.append(PARENT)
        seed = _kept(node.keys / SEED, lambda: make_seed(os.urandom))
    server = Server(
        name=node.name,
        store=folder,
        listen=node.nats.url,
        passwords=_passwords(node.keys / PASSWORDS, accounts),
        leaves=node.nats.leaves,
        below=below,
        parent=node.parent.name if node.parent and upward else "",
        above=node.nats.above if upward else "",
        seed=seed,
        tls=node.nats.tls,
    )
    _write(folder / CONFIGURATION, configuration(server))
    return Written(
        folder / CONFIGURATION,
        public_of(seed) if seed else "",
        tuple(name for name in children if name not in known),
    )


def leaves(node: Node) -> dict[str, str]:
    """The public key of the leaf server of every node below, by the node's name."""
    return _read(node.keys / LEAVES)


def remember_leaf(node: Node, child: str, key: str) -> None:
    """Note the public key of a child's leaf server. Raises ValueError if it is not one."""
    if not is_public(key):
        raise ValueError(f"{key!r} is not a key that `zhengtong node nats-config` prints")
    node.keys.mkdir(mode=0o700, exist_ok=True)
    _write(node.keys / LEAVES, json.dumps({**leaves(node), child: key}, indent=1))


def passwords(node: Node) -> dict[str, str]:
    """The courier's password for every account of our server."""
    return _read(node.keys / PASSWORDS)


def _passwords(path: Path, accounts: Sequence[str]) -> dict[str, str]:
    known = _read(path)
    wanted = {name: known.get(name) or secrets.token_urlsafe(32) for name in accounts}
    if wanted != known:
        _write(path, json.dumps({**known, **wanted}, indent=1))
    return wanted


def _read(path: Path) -> dict[str, str]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {str(key): str(value) for key, value in found.items()}


def _kept(path: Path, make: Any) -> str:
    if not path.exists():
        _write(path, make())
    return path.read_text(encoding="utf-8").strip()


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)
