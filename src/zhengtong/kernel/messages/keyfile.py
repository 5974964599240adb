"""A node's private keys on disk.

`node.pem` holds the keys in use. While they change, `spare/` holds the next ones and those before:
they open letters, tell what was signed with them, and sign nothing.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from zhengtong.wire.keys import NodeKeys

FILE = "node.pem"
SPARE = "spare"
NEXT = "next.pem"

Stamp = tuple[tuple[int, int], ...]


def create_keys(folder: Path, name: str, suite: str = "intl") -> NodeKeys:
    """Make the node's key file, readable by its owner only. Never overwrites one."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _write_new(folder / FILE, NodeKeys.generate(name, suite))


def read_keys(folder: Path) -> NodeKeys:
    """The keys in use, with the spare ones. Raises FileNotFoundError before `zhengtong init`,
    WireError for a damaged file."""
    keys = NodeKeys.from_pem((folder / FILE).read_bytes())
    others = (folder / SPARE).glob("*.pem")
    return replace(
        keys, spare=tuple(NodeKeys.from_pem(path.read_bytes()) for path in sorted(others))
    )


def stamp(folder: Path) -> Stamp:
    """Changes whenever the keys on disk do, so that every process notices."""
    return tuple(_stamp(path) for path in (folder / FILE, folder / SPARE))


def prepare_next(folder: Path, keys: NodeKeys) -> None:
    """Lay down the keys that will be used next. Keys of an attempt that came to nothing go."""
    spare = folder / SPARE
    spare.mkdir(exist_ok=True, mode=0o700)
    (spare / NEXT).unlink(missing_ok=True)
    _write_new(spare / NEXT, keys)


def read_next(folder: Path) -> NodeKeys:
    return NodeKeys.from_pem((folder / SPARE / NEXT).read_bytes())


def use_next(folder: Path) -> None:
    """Put the next keys into use and the present ones among the spare. May be repeated: what an
    interruption has left undone is done then."""
    coming, present = folder / SPARE / NEXT, folder / FILE
    if not coming.exists():
        return
    kept = folder / SPARE / f"{read_keys(folder).signing_kid.hex()}.pem"
    if not kept.exists():
        os.link(present, kept)
        _sync(folder / SPARE)
    coming.replace(present)
    _sync(folder / SPARE)
    _sync(folder)


def replace_lost(folder: Path, keys: NodeKeys) -> None:
    """Put new keys in the place of lost ones; nothing of the old ones is kept."""
    drop_spare(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    coming = folder / f"{FILE}.new"
    coming.unlink(missing_ok=True)
    _write_new(coming, keys)
    coming.replace(folder / FILE)
    _sync(folder)


def drop_spare(folder: Path) -> None:
    """Destroy the spare keys; what was sealed for them alone can no longer be opened."""
    for path in (folder / SPARE).glob("*.pem"):
        path.unlink()
    if (folder / SPARE).exists():
        _sync(folder / SPARE)


def _write_new(path: Path, keys: NodeKeys) -> NodeKeys:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(keys.to_pem())
        stream.flush()
        os.fsync(stream.fileno())
    _sync(path.parent)
    return keys


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
