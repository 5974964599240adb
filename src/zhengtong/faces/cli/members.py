"""`zhengtong node suspend|resume|expel|rotate-keys|rekey|recovery-key|…`: once a node belongs."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Any

from zhengtong.faces.cli.joining import post
from zhengtong.faces.cli.persons import add_person, person_at
from zhengtong.faces.cli.start import CommandFailed, enter


def add(acts: Any) -> None:
    for name, text, reasoned in (
        ("suspend", "stop exchanging with a node; letters wait", True),
        ("resume", "exchange with it again", False),
        ("expel", "break with a node for good", True),
    ):
        act = acts.add_parser(name, help=text)
        act.add_argument("name", help="the node")
        if reasoned:
            act.add_argument("--reason", required=True, help="why, for the record")
        add_person(act)
        act.set_defaults(run=run_standing, act=name)

    rotate = acts.add_parser("rotate-keys", help="change this node's keys; nothing is lost")
    rotate.add_argument("--state", action="store_true", help="only say how far a change has come")
    rotate.set_defaults(run=run_rotate)

    recovery = acts.add_parser("recovery-key", help="make the key that helps after a loss")
    recovery.add_argument("--out", type=Path, required=True, metavar="FILE", help="kept offline")
    recovery.add_argument("--passphrase", action="store_true", help="ask for a passphrase for it")
    recovery.set_defaults(run=run_recovery)

    rekey = acts.add_parser("rekey", help="after a loss: new keys, on the recovery key's word")
    rekey.add_argument("--recovery", type=Path, metavar="FILE", help="the recovery key")
    rekey.add_argument("--passphrase", action="store_true", help="it has a passphrase: ask for it")
    rekey.add_argument("--out", type=Path, metavar="FILE", help="write the statement as well")
    rekey.add_argument(
        "--in", dest="statement", type=Path, metavar="FILE", help="take a neighbour's statement"
    )
    rekey.set_defaults(run=run_rekey)

    renew = acts.add_parser("renew-certificate", help="get a new TLS certificate for this node")
    renew.set_defaults(run=run_renew)

    directory = acts.add_parser("directory", help="the directories held, invitations, certificates")
    directory.set_defaults(run=run_directory)


def run_standing(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.membership.commands import standing

    actor = person_at(chosen)
    try:
        if chosen.act == "resume":
            standing.resume(actor, chosen.name)
        elif chosen.act == "suspend":
            standing.suspend(actor, chosen.name, reason=chosen.reason)
        else:
            standing.expel(actor, chosen.name, reason=chosen.reason)
    except HouseError as error:
        raise CommandFailed(error.message) from error
    print(f"✓ {chosen.name}: {chosen.act}")
    return 0


def run_rotate(chosen: argparse.Namespace) -> int:
    """Begin a change of keys; the running worker takes it to its end."""
    enter(chosen.node)
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.membership.commands.keys import rotate
    from zhengtong.kernel.membership.queries import rotation

    if chosen.state:
        found = rotation()
        if found is None:
            print("no change of keys is under way")
            return 0
        lanes = found.answers.count()
        stage = "old key waits for the last letters" if found.switched_at else "announced"
        print(f"key {found.new_key}: {stage}, {lanes} answers of neighbours, four from each")
        return 0
    try:
        made = rotate(node_actor({"membership.rotate"}))
    except HouseError as error:
        raise CommandFailed(error.message) from error
    print(f"✓ new key {made.new_key} is announced. It is used once every neighbour has answered.")
    return 0


def run_recovery(chosen: argparse.Namespace) -> int:
    """Write the private recovery key to a file that must not stay here."""
    enter(chosen.node)
    from django.conf import settings

    from zhengtong.kernel import moment
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.membership.commands.keys import register_recovery
    from zhengtong.kernel.messages.identity import own_keys
    from zhengtong.wire.joining import fingerprint
    from zhengtong.wire.keys import NodeKeys
    from zhengtong.wire.vouching import recovery_card

    node = settings.NODE
    keys = NodeKeys.generate(node.name, own_keys().suite.name)
    card = recovery_card(keys, node.title, node.url, moment.now())
    pem = keys.to_pem(_passphrase(chosen))
    try:
        handle = os.open(chosen.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandFailed(f"cannot make {chosen.out}: {error.strerror}") from error
    with os.fdopen(handle, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        register_recovery(node_actor({"membership.register_recovery"}), card)
    except HouseError as error:
        chosen.out.unlink()
        raise CommandFailed(error.message) from error
    print(f"✓ {chosen.out}: the recovery key of {node.name}, fingerprint {fingerprint(card)}")
    print("  Move it to two media in two safes, and delete it here.")
    return 0


def run_rekey(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    if bool(chosen.recovery) == bool(chosen.statement):
        raise CommandFailed("say `rekey --recovery FILE` here, or `rekey --in FILE` for another's.")
    return _take_statement(chosen) if chosen.statement else _rekey(chosen)


def _rekey(chosen: argparse.Namespace) -> int:
    from django.conf import settings

    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.membership.commands.keys import replace_lost_keys
    from zhengtong.wire.errors import WireError
    from zhengtong.wire.keys import NodeKeys

    try:
        recovery = NodeKeys.from_pem(chosen.recovery.read_bytes(), _passphrase(chosen))
        made = replace_lost_keys(node_actor({"membership.replace_lost_keys"}), recovery)
    except OSError as error:
        raise CommandFailed(f"cannot read {chosen.recovery}: {error.strerror}") from error
    except WireError as error:
        raise CommandFailed(error.en) from error
    except HouseError as error:
        raise CommandFailed(error.message) from error
    print(f"✓ new keys, {made.card.signing_kid.hex()}")
    out = chosen.out or settings.NODE.keys / "rekey.statement"
    out.write_bytes(made.signed)
    print(f"  the statement is in {out}; at every neighbour: zhengtong node rekey --in FILE")
    if not (settings.NODE.parent and settings.NODE.parent.url):
        return 0
    status, answer = post(f"{settings.NODE.parent.url}/exchange/rekey", made.signed)
    if status != 204:
        text = answer.decode(errors="replace")
        raise CommandFailed(f"{settings.NODE.parent.name} did not take it: {text}")
    print(f"✓ {settings.NODE.parent.name} has taken them. Start the node again.")
    return 0


def _take_statement(chosen: argparse.Namespace) -> int:
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.membership.commands.keys import rekey
    from zhengtong.wire.errors import WireError
    from zhengtong.wire.vouching import claimed_card

    try:
        voucher = chosen.statement.read_bytes()
        found = rekey(node_actor({"membership.rekey"}), voucher, node=claimed_card(voucher).node)
    except OSError as error:
        raise CommandFailed(f"cannot read {chosen.statement}: {error.strerror}") from error
    except WireError as error:
        raise CommandFailed(error.en) from error
    except HouseError as error:
        raise CommandFailed(error.message) from error
    print(f"✓ {found.name} has new keys")
    return 0


def run_renew(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.membership.commands.certificates import renew_certificate

    there = renew_certificate(node_actor({"membership.renew_certificate"}))
    print("✓ renewed" if there else "✓ asked for; it comes by letter while the node runs")
    return 0


def run_directory(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from zhengtong.kernel.membership.queries import directories, invitations, warnings
    from zhengtong.wire.joining import fingerprint

    for held in directories():
        print(f"directory of {held.issuer}, version {held.version}, {held.issued_at:%Y-%m-%d}")
        for entry in held.entries:
            print(f"  {entry.card.node:20} {entry.status.value:10} {fingerprint(entry.card)}")
    for item in invitations():
        print(f"invitation {item.node}: {item.stage}, {item.approvals.count()} approvals")
    for node, days in warnings():
        print(f"certificate of {node}: {days} days left")
    return 0


def _passphrase(chosen: argparse.Namespace) -> bytes | None:
    if not chosen.passphrase:
        return None
    if sys.stdin.isatty():
        return getpass.getpass("passphrase: ").encode()
    return sys.stdin.readline().rstrip("\n").encode()
