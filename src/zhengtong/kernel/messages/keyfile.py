"""A node's private keys on disk."""

from __future__ import annotations

import os
from pathlib import Path

from zhengtong.wire.keys import NodeKeys

FILE = "node.pem"


def create_keys(folder: Path, name: str, suite: str = "intl") -> NodeKeys:
    """Make the node's key file, readable by its owner only. Never overwrites one."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = NodeKeys.generate(name, suite)
    handle = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(keys.to_pem())
    return keys


def read_keys(folder: Path) -> NodeKeys:
    """Raises FileNotFoundError before `zhengtong init`, WireError for a damaged file."""
    return NodeKeys.from_pem((folder / FILE).read_bytes())
