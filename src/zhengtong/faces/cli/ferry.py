"""`zhengtong ferry export|import|list`: letters on discs and sticks, over an air gap."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhengtong.faces.cli.start import CommandFailed, enter

if TYPE_CHECKING:
    from zhengtong.kernel.messages.roads.models import Voyage

UNITS = {"MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}
CD = "650MB"


def add(words: Any) -> None:
    word = words.add_parser("ferry", help="carry letters over an air gap on discs or sticks")
    acts = word.add_subparsers(required=True, metavar="ACT")
    out = acts.add_parser("export", help="write what waits for a node into a folder")
    out.add_argument("peer", metavar="NODE", help="the neighbour it is for")
    out.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    out.add_argument(
        "--volume",
        type=size_of,
        default=size_of(CD),
        metavar="SIZE",
        help="bytes of one medium: 650MB for a CD (the default), 4.3GB for a DVD, …",
    )
    out.add_argument("--volumes", type=int, default=1000, metavar="N", help="at most so many media")
    out.add_argument(
        "--again", action="store_true", help="discs were lost: load again whatever has no receipt"
    )
    out.set_defaults(run=export)
    into = acts.add_parser("import", help="take in volumes, in any order, one by one or together")
    into.add_argument("places", type=Path, nargs="+", metavar="FOLDER|FILE")
    into.set_defaults(run=import_volumes)
    listing = acts.add_parser("list", help="every voyage, and what is to be done about it")
    listing.set_defaults(run=list_voyages)


def size_of(text: str) -> int:
    """Bytes in words such as 650MB or 4.3GB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text)
    if not found or found[2].upper() not in UNITS:
        raise argparse.ArgumentTypeError(f"{text!r}: write a size such as 650MB or 4.3GB")
    return int(float(found[1]) * UNITS[found[2].upper()])


def export(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.messages.roads import commands, ferry, queries

    administrator = node_actor({"ferry.export", "ferry.lose"})
    try:
        if chosen.again:
            for lost in queries.under_way(chosen.peer):
                commands.lose(administrator, lost.pk, "光盘遗失或损坏，由管理员作废。")
        voyage = commands.export(
            administrator,
            chosen.peer,
            limit=chosen.volume,
            folder=str(chosen.to.resolve()),
        )
        with Meter("exporting") as meter:
            voyage = ferry.make(voyage, meter, volumes=chosen.volumes)
    except HouseError as error:
        raise CommandFailed(error.message) from error
    print(f"✓ voyage {voyage.name} for {chosen.peer}: {voyage.letters} letters in {chosen.to}")
    _print_volumes(voyage)
    if left := queries.waiting_letters(voyage.neighbour):
        print(f"  {left} letters did not fit; export once more for them.")
    return 0


def import_volumes(chosen: argparse.Namespace) -> int:
    """Land every volume, then unload each voyage as far as its volumes have come."""
    enter(chosen.node)
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.messages.roads import ferry, queries
    from zhengtong.wire.errors import WireError

    administrator = node_actor({"ferry.import"})
    failed = 0
    found = _volumes(chosen.places)
    for path in found:
        try:
            with Meter(f"reading {path.name}") as meter:
                voyage, head = ferry.land(administrator, path, meter)
            print(f"✓ {path.name}: volume {head.volume} of voyage {voyage.name}")
        except (WireError, HouseError, OSError) as error:
            failed += 1
            print(f"✗ {path.name}: {_reason(error)}", file=sys.stderr)
    for voyage in queries.arriving():
        try:
            with Meter(f"importing {voyage.name}") as meter:
                done = ferry.unload(voyage, meter)
        except (WireError, HouseError, OSError) as error:
            failed += 1
            print(f"✗ voyage {voyage.name}: {_reason(error)}", file=sys.stderr)
            continue
        _print_import(done)
    return 1 if failed else 0


def _volumes(places: list[Path]) -> list[Path]:
    from zhengtong.kernel.messages.roads.hold import volumes_in

    try:
        found = volumes_in(places)
    except OSError as error:
        raise CommandFailed(f"cannot read {error}. Give a folder or volume files.") from error
    if not found:
        raise CommandFailed(f"no .ferry file in {', '.join(map(str, places))}.")
    return found


def _print_import(voyage: Voyage) -> None:
    from zhengtong.kernel.messages.roads import ferry

    if absent := ferry.absent(voyage):
        names = ", ".join(map(str, absent))
        print(f"… voyage {voyage.name}: bring volume {names} of {len(voyage.volumes)}")
        return
    print(f"✓ voyage {voyage.name} of {voyage.neighbour.name}: {voyage.letters} letters")
    for number, code, detail in voyage.notes:
        print(f"  refused: {'letter ' + str(number) if number else 'batch'}: {code}: {detail}")


def list_voyages(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from zhengtong.kernel.messages.roads import ferry, queries

    ferry.settle()
    for voyage in queries.voyages():
        arrow = "→" if voyage.leaving else "←"
        print(
            f"{arrow} {voyage.neighbour.name:20} {voyage.name} {voyage.at:%Y-%m-%d} "
            f"{voyage.letters} letters, {len(voyage.volumes)} volumes: "
            f"{voyage.get_state_display()}. {queries.next_step(voyage)}"
        )
    return 0


def _print_volumes(voyage: Voyage) -> None:
    for number, (size, _, fingerprint) in enumerate(voyage.volumes, 1):
        print(f"  volume {number} of {len(voyage.volumes)}: {size:,} bytes, {fingerprint}")


def _reason(error: Exception) -> str:
    from zhengtong.wire.errors import WireError

    if isinstance(error, WireError):
        return error.en
    if isinstance(error, OSError):
        return f"{error.strerror or error}. What was read is kept; repeat the command."
    return str(error)


class Meter:
    """Progress on one line of a terminal, or a line now and then where nobody watches."""

    def __init__(self, word: str) -> None:
        self.word, self._next = word, 0.0
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr)

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (0.2 if self._live else 10)
        amount = f"{done / 1e6:,.0f} MB"
        if total:
            amount += f" of {total / 1e6:,.0f} MB, {max(0, total - done) / 1e6:,.0f} MB to go"
        if self._live:
            print(f"\r{self.word}: {amount}", end="", file=sys.stderr, flush=True)
        else:
            print(f"{self.word}: {amount}", file=sys.stderr)
