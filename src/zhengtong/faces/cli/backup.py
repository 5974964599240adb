"""`zhengtong backup FILE` and `zhengtong restore FILE FOLDER`: a node in one archive.

A backup is taken while the node works: keys and the head of the audit log first, then the database
by its own consistent means, then the files. So whatever the database speaks of is in the archive.
Keys are inside, so the archive is as secret as the node.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from zhengtong.faces.cli.start import CommandFailed, enter
from zhengtong.kernel.node import Node, load

DATABASE = "database"
MANIFEST = "manifest.json"
NODE_FILE = "node.toml"


def add(words: Any) -> None:
    word = words.add_parser("backup", help="write the whole node into one archive, while it runs")
    word.add_argument("archive", type=Path)
    word.set_defaults(run=lambda chosen: backup(load(chosen.node), chosen.archive))
    word = words.add_parser("restore", help="make a node's folder from a backup")
    word.add_argument("archive", type=Path)
    word.add_argument("folder", type=Path)
    word.add_argument("--database", default="", help="where its database shall be, if elsewhere")
    word.set_defaults(run=_restore)


def _restore(chosen: argparse.Namespace) -> int:
    return restore(chosen.archive, chosen.folder, chosen.database)


def backup(node: Node, archive: Path) -> int:
    """Write the archive whole or not at all; every part's SHA-256 stands in its manifest."""
    temporary = archive.with_suffix(archive.suffix + ".part")
    digests: dict[str, str] = {}
    try:
        with tempfile.TemporaryDirectory(dir=archive.resolve().parent) as scratch:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as tar:
                for path, name in _parts(node, Path(scratch)):
                    digests[name] = _digest(path)
                    tar.add(path, name)
                manifest = Path(scratch) / MANIFEST
                manifest.write_text(json.dumps({"node": node.name, "parts": digests}, indent=1))
                tar.add(manifest, MANIFEST)
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
        temporary.replace(archive)
    except (OSError, sqlite3.Error) as error:
        raise CommandFailed(f"{archive} cannot be written: {error}. Nothing was kept.") from error
    finally:
        temporary.unlink(missing_ok=True)
    print(f"✓ {archive}: {len(digests)} parts. Keep it as safe as the node: its keys are inside.")
    return 0


def _parts(node: Node, scratch: Path) -> Iterator[tuple[Path, str]]:
    """Every part of the node but what can be made anew. What may still change is copied first."""
    yield node.home / NODE_FILE, NODE_FILE
    for path in sorted(node.keys.iterdir()):
        if path.is_file():
            yield _copy(path, scratch), f"keys/{path.name}"
    dump = scratch / DATABASE
    _dump(node, dump)
    yield dump, DATABASE
    for path in sorted(node.files.rglob("*")) if node.files.exists() else []:
        name = f"files/{path.relative_to(node.files).as_posix()}"
        if path.parent.name not in ("incoming", "transit"):
            if path.is_file():
                yield path, name
        elif path.parent.name == "transit" or path.suffix == ".part":  # still on its way
            with suppress(FileNotFoundError):
                yield _copy(path, scratch), name


def _copy(path: Path, scratch: Path) -> Path:
    return Path(shutil.copy(path, scratch / path.name))


def restore(archive: Path, folder: Path, database: str = "") -> int:
    """Unpack and check a backup into a new folder. Touches no folder or database in use."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandFailed(f"{folder} is not empty. Restore into a new folder.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        _unpack(archive, folder)
        if database:
            _write_database(folder / NODE_FILE, database)
        node = load(folder / NODE_FILE)
        _load(node, folder / DATABASE)
    except BaseException:
        shutil.rmtree(folder)  # it was empty or missing before
        raise
    (folder / MANIFEST).unlink()
    _begin_anew(node)
    print(
        f"✓ {folder}: node {node.name} restored. Next: zhengtong --node {folder}/node.toml doctor"
    )
    return 0


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack plain files only, then hold every part against the manifest."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isfile() else None
                inside = PurePosixPath(member.name)
                if source is None or inside.is_absolute() or ".." in inside.parts:
                    raise CommandFailed(f"{archive} is no backup: it holds {member.name}.")
                target = folder / inside
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with source, open(target, "wb", opener=_private) as stream:
                    shutil.copyfileobj(source, stream)
        parts: dict[str, str] = json.loads((folder / MANIFEST).read_text())["parts"]
    except (OSError, tarfile.TarError, ValueError, KeyError, EOFError) as error:
        raise CommandFailed(f"{archive} cannot be read: {error}. Use another backup.") from error
    for name, digest in parts.items():
        if not (folder / name).exists() or _digest(folder / name) != digest:
            raise CommandFailed(f"{name} in {archive} is damaged. Use another backup.")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write_database(node_file: Path, database: str) -> None:
    """Name another database in node.toml."""
    text = node_file.read_text(encoding="utf-8")
    line = f"database = {json.dumps(database)}"
    changed, times = re.subn(r"(?m)^\s*database\s*=.*$", lambda _: line, text)
    node_file.write_text(changed if times else f"{text}\n[engines]\n{line}\n", encoding="utf-8")


def _begin_anew(node: Node) -> None:
    """Let the worker make the search index, and the neighbours say which numbers they hold of us.

    Until they have, no letter is numbered: some numbers were used after the backup was taken.
    """
    enter(node.home / NODE_FILE)
    from django.db import connections

    from zhengtong.kernel.messages.exchange import links
    from zhengtong.kernel.messages.models import Neighbour
    from zhengtong.kernel.search.queue import enqueue_rebuild

    Neighbour.objects.update(last_contact=None)
    links().begin_anew()
    enqueue_rebuild()
    connections.close_all()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sqlite_file(node: Node) -> Path | None:
    """The database file; None on PostgreSQL."""
    found = node.database.removeprefix("sqlite:///")
    return Path(found) if found != node.database else None


def _dump(node: Node, target: Path) -> None:
    if file := _sqlite_file(node):
        with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(target)) as copy:
            live.backup(copy)
        return
    _postgres(node, "pg_dump", "--format=custom", f"--file={target}")


def _load(node: Node, dump: Path) -> None:
    if file := _sqlite_file(node):
        if file.exists():
            raise CommandFailed(f"{file} exists. Name another place with --database.")
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(dump, file)
        return
    name = urlsplit(node.database).path.lstrip("/")
    _postgres(
        node, "pg_restore", "--single-transaction", "--no-owner", f"--dbname={name}", str(dump)
    )
    dump.unlink()


def _postgres(node: Node, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own tools; they must be of the server's version or newer.

    The password goes by the environment: a command line can be read by every account.
    """
    url = urlsplit(node.database)
    told = {
        "PGHOST": url.hostname or "",
        "PGPORT": str(url.port or ""),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": url.path.lstrip("/"),
    }
    environment = os.environ | {name: value for name, value in told.items() if value}
    try:
        subprocess.run(
            [program, *arguments], check=True, capture_output=True, text=True, env=environment
        )
    except FileNotFoundError as error:
        raise CommandFailed(f"{program} is missing. Install PostgreSQL's client tools.") from error
    except subprocess.CalledProcessError as error:
        hint = " Name an empty database with --database." if program == "pg_restore" else ""
        raise CommandFailed(
            f"{program} failed at {url.hostname or 'the server'}: {error.stderr.strip()}.{hint}"
        ) from error
