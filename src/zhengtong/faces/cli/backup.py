"""`zhengtong backup FILE` and `zhengtong restore FILE FOLDER`: a node in one archive.

A backup is taken while the node works: the database by its own consistent means, then the files,
which are only ever added to. Keys are inside, so the archive is as secret as the node.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zhengtong.faces.cli.start import CommandFailed
from zhengtong.kernel.node import Node, load

DATABASE = "database"
MANIFEST = "manifest.json"


def add(words: Any) -> None:
    word = words.add_parser("backup", help="write the whole node into one archive, while it runs")
    word.add_argument("archive", type=Path)
    word.set_defaults(run=lambda chosen: backup(load(chosen.node), chosen.archive))
    word = words.add_parser("restore", help="make a node's folder from a backup")
    word.add_argument("archive", type=Path)
    word.add_argument("folder", type=Path)
    word.set_defaults(run=lambda chosen: restore(chosen.archive, chosen.folder))


def backup(node: Node, archive: Path) -> int:
    """Write the archive whole or not at all; every part's SHA-256 stands in its manifest."""
    temporary = archive.with_suffix(archive.suffix + ".part")
    digests: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=archive.resolve().parent) as scratch:
        dump = Path(scratch) / DATABASE
        _dump(node, dump)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as tar:
            parts = [(dump, DATABASE), *_parts(node)]
            for path, name in parts:
                digests[name] = _digest(path)
                tar.add(path, name)
            manifest = Path(scratch) / MANIFEST
            manifest.write_text(json.dumps({"node": node.name, "parts": digests}, indent=1))
            tar.add(manifest, MANIFEST)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
    temporary.replace(archive)
    print(f"✓ {archive}: {len(digests)} parts. Keep it as safe as the node: its keys are inside.")
    return 0


def restore(archive: Path, folder: Path) -> int:
    """Unpack and check a backup into a new folder. Refuses to touch an existing node."""
    if folder.exists() and any(folder.iterdir()):
        raise CommandFailed(f"{folder} is not empty. Restore into a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, tarfile.TarError, ValueError, EOFError) as error:
        raise CommandFailed(f"{archive} cannot be read: {error}. Use another backup.") from error
    for name, digest in manifest["parts"].items():
        if not (folder / name).exists() or _digest(folder / name) != digest:
            raise CommandFailed(f"{name} in {archive} is damaged. Use another backup.")
    (folder / "keys").chmod(0o700)
    node = load(folder / "node.toml")
    _load(node, folder / DATABASE)
    (folder / MANIFEST).unlink()
    file = folder / "node.toml"
    print(f"✓ {folder}: node {node.name} restored. Next: zhengtong --node {file} doctor")
    return 0


def _parts(node: Node) -> list[tuple[Path, str]]:
    """Every file of the node but the database and what can be made anew."""
    found = [(node.home / "node.toml", "node.toml")]
    found += [(path, f"keys/{path.name}") for path in sorted(node.keys.iterdir()) if path.is_file()]
    for path in sorted(node.files.rglob("*")) if node.files.exists() else []:
        relative = path.relative_to(node.files)
        if path.is_file() and relative.parts[0] != "incoming":
            found.append((path, f"files/{relative}"))
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_sqlite(node: Node) -> bool:
    return node.database.startswith("sqlite:")


def _dump(node: Node, target: Path) -> None:
    if _is_sqlite(node):
        source = node.database.removeprefix("sqlite:///")
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)
        return
    _postgres("pg_dump", "--format=custom", f"--file={target}", node.database)


def _load(node: Node, dump: Path) -> None:
    if _is_sqlite(node):
        dump.replace(node.database.removeprefix("sqlite:///"))
        return
    _postgres("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={node.database}", str(dump))
    dump.unlink()


def _postgres(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own tools; they must be of the server's version or newer."""
    try:
        subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CommandFailed(f"{program} is missing. Install PostgreSQL's client tools.") from error
    except subprocess.CalledProcessError as error:
        where = urlsplit(arguments[-1]).hostname or "the server"
        raise CommandFailed(f"{program} failed at {where}: {error.stderr.strip()}") from error
