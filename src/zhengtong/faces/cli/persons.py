"""Who sits at the console: some acts are a person's, and the audit log must say whose."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING, Any

from zhengtong.faces.cli.start import CommandFailed

if TYPE_CHECKING:
    from zhengtong.kernel.directory.actors import Actor

CONSOLE = "console"


def add_person(act: Any) -> None:
    act.add_argument(
        "--as",
        dest="person",
        required=True,
        metavar="NAME",
        help="your sign-in name; your password is asked for",
    )


def person_at(chosen: argparse.Namespace) -> Actor:
    """The person whose sign-in name and password were given. Raises CommandFailed."""
    from zhengtong.kernel.directory import signin
    from zhengtong.kernel.directory.actors import person_actor
    from zhengtong.kernel.errors import Denied

    if sys.stdin.isatty():
        password = getpass.getpass(f"password of {chosen.person}: ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    try:
        person = signin.check(chosen.person, password, CONSOLE)
    except Denied as error:
        raise CommandFailed(error.message) from error
    return person_actor(person, address=CONSOLE)
