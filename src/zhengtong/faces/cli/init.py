"""`zhengtong init FOLDER`: a node's folder, its keys, its database and its calendar."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from zhengtong.faces.cli.start import CommandFailed, enter
from zhengtong.kernel.labels import DEFAULT_CEILING, Zone
from zhengtong.kernel.node import load

TEMPLATE = """\
# This node of 政通. See docs/operations.md for every value.
[node]
name = "{name}"
title = "{title}"
zone = "{zone}"           # inner 内网, private 专网, public 外网
ceiling = "{ceiling}"
listen = "{listen}"
url = "{url}"
{exchange}demo = {demo}
{parent}
[engines]
database = "{database}"
files = "files"
"""


def add(words: Any) -> None:
    word = words.add_parser("init", help="make a new node, or prepare an existing one's database")
    word.add_argument("folder", type=Path, help="where the node lives")
    word.add_argument("--name", default="centre", help="its name: a-z, 0-9 and -")
    word.add_argument("--title", default="", help="what people call it")
    word.add_argument("--zone", choices=[zone.value for zone in Zone], default="private")
    word.add_argument("--listen", default="127.0.0.1:8100")
    word.add_argument("--exchange-listen", help="where other nodes are received, over TLS")
    word.add_argument("--database", default="sqlite:///node.sqlite3")
    word.add_argument(
        "--suite", choices=["intl", "gm"], default="intl", help="gm: SM2, SM3, SM4 (商用密码)"
    )
    word.add_argument("--parent", nargs=2, metavar=("NAME", "URL"), help="the node it dials")
    word.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Write node.toml and keys where they are missing; bring the database up to date."""
    write_node(
        chosen.folder,
        name=chosen.name,
        title=chosen.title or chosen.name,
        zone=chosen.zone,
        listen=chosen.listen,
        exchange_listen=chosen.exchange_listen,
        database=chosen.database,
        parent=tuple(chosen.parent) if chosen.parent else None,
        suite=chosen.suite,
    )
    enter(chosen.folder / "node.toml")
    prepare()
    file = chosen.folder / "node.toml"
    print(f"{chosen.folder}: ready. Start it with: zhengtong --node {file} serve")
    return 0


def write_node(
    folder: Path,
    *,
    name: str,
    title: str,
    zone: str,
    listen: str,
    exchange_listen: str | None = None,
    database: str = "sqlite:///node.sqlite3",
    parent: tuple[str, str] | None = None,
    demo: bool = False,
    suite: str = "intl",
) -> None:
    """Write node.toml and the key file, unless they exist. The file is checked as at start."""
    from zhengtong.kernel.messages.keyfile import FILE, create_keys

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "node.toml"
    if not path.exists():
        above = f'\n[parent]\nname = "{parent[0]}"\nurl = "{parent[1]}"\n' if parent else ""
        received = f'exchange_listen = "{exchange_listen}"\n' if exchange_listen else ""
        path.write_text(
            TEMPLATE.format(
                name=name,
                title=title,
                zone=zone,
                ceiling=DEFAULT_CEILING[Zone(zone)].word,
                listen=listen,
                url=f"http://{listen}",
                exchange=received,
                demo=str(demo).lower(),
                database=database,
                parent=above,
            ),
            encoding="utf-8",
        )
    node = load(path)
    if not (node.keys / FILE).exists():
        create_keys(node.keys, node.name, suite)


def prepare() -> None:
    """Create or upgrade the tables and fill the working calendar. Django is already up."""
    from django.core.management import call_command
    from django.db import OperationalError

    from zhengtong.kernel.clock.table import fill

    try:
        call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as error:
        raise CommandFailed(f"the database cannot be opened: {error}") from error
    fill()
