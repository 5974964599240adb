"""The configuration of a node's nats-server, as text. Files are read and written elsewhere.

Every link has an account of its own on both servers, so nothing of one link can be seen from
another, whatever is subscribed to. In that account the node above keeps the stream DOWN on its
server, the node below keeps UP on its own, and each pulls from the other's across the leaf line.
The leaf's key may do just that: fetch and acknowledge DOWN, answer fetches of UP.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zhengtong.kernel.messages.credentials import AUTHORITY, CERTIFICATE, KEY
from zhengtong.wire.batch import MAX_BATCH

UP, DOWN = "UP", "DOWN"
PARENT = "parent"
"""The account of the link to the node above; those below are called after their nodes."""
MAX_PAYLOAD = MAX_BATCH + 4096
"""One batch and its headers are one message."""
STREAM_BYTES = 256 << 20
"""What may wait on the road in one direction of a link; the rest waits in the tables."""
ACCOUNT_BYTES = STREAM_BYTES + (64 << 20)
"""So that the stream's own bound is met first."""


@dataclass(frozen=True, slots=True)
class Server:
    """A nats-server beside its node.

    `listen`, `leaves`, `above` are host:port: for the node's courier, for the servers of nodes
    below, and where the server of the node above takes leaves; the last two may be absent.
    `passwords` maps an account to the courier's password; `below` a child to its leaf's nkey.
    `seed` is the secret of our own leaf's nkey; `tls` the folder with the node's TLS files.
    """

    name: str
    store: Path
    listen: str
    passwords: Mapping[str, str]
    leaves: str = ""
    below: Mapping[str, str] | None = None
    parent: str = ""
    above: str = ""
    seed: str = ""
    tls: Path | None = None


def account_of(child: str) -> str:
    """The account of the link to a node below."""
    return f"link-{child}"


def configuration(server: Server) -> str:
    """The text of the server's configuration file."""
    accounts = [_account(PARENT, server.passwords[PARENT], "")] if server.above else []
    for child, nkey in sorted((server.below or {}).items()):
        name = account_of(child)
        accounts.append(_account(name, server.passwords[name], _leaf(server.name, child, nkey)))
    return (
        "# Written by `zhengtong node nats-config`; changes by hand are lost at its next run.\n"
        f"server_name: {_text(server.name)}\n"
        f"listen: {_text(server.listen)}\n"
        f"max_payload: {MAX_PAYLOAD}\n"
        "jetstream {\n"
        f"  store_dir: {_text(server.store)}\n"
        f"  domain: {_text(server.name)}\n"
        "  sync_interval: always  # what is acknowledged is on the disk\n"
        "  max_memory_store: 0\n"
        f"  max_file_store: {ACCOUNT_BYTES * max(len(accounts), 1)}\n"
        "}\n"
        f"{_leafnodes(server)}"
        "accounts {\n" + "".join(accounts) + "}\n"
    )


def _account(name: str, password: str, leaf: str) -> str:
    return (
        f"  {_text(name)} {{\n"
        f"    jetstream {{ max_memory: 0, max_file: {ACCOUNT_BYTES}, "
        "max_streams: 1, max_consumers: 4 }\n"
        f"    users: [\n      {{ user: {_text(name)}, password: {_text(password)} }}\n{leaf}    ]\n"
        "  }\n"
    )


def _leaf(parent: str, child: str, nkey: str) -> str:
    """What may cross the line from the leaf (publish) and to it (subscribe)."""
    publish = [
        f"$JS.{parent}.API.CONSUMER.MSG.NEXT.{DOWN}.*",
        f"$JS.ACK.{DOWN}.>",
        "_INBOX.>",
    ]
    subscribe = [
        f"$JS.{child}.API.CONSUMER.MSG.NEXT.{UP}.*",
        f"$JS.ACK.{UP}.>",
        "_INBOX.>",
    ]
    return (
        f"      {{ nkey: {_text(nkey)}, permissions {{\n"
        f"        publish: {json.dumps(publish)}\n"
        f"        subscribe: {json.dumps(subscribe)}\n"
        "      } }\n"
    )


def _leafnodes(server: Server) -> str:
    if not server.leaves and not server.above:
        return ""
    lines = ["leafnodes {", "  no_advertise: true"]
    if server.leaves:
        lines.append(f"  listen: {_text(server.leaves)}")
        lines += _tls(server.tls, verify=True)
    if server.above:
        scheme = "tls" if server.tls else "nats-leaf"
        lines += [
            "  reconnect: 1s",
            "  remotes [ {",
            f"    url: {_text(f'{scheme}://{server.above}')}",
            f"    account: {_text(PARENT)}",
            f"    nkey: {_text(server.seed)}",
            *("  " + line for line in _tls(server.tls, verify=False)),
            "  } ]",
        ]
    return "\n".join([*lines, "}", ""])


def _tls(folder: Path | None, *, verify: bool) -> list[str]:
    if folder is None:
        return []
    files = {"cert_file": CERTIFICATE, "key_file": KEY, "ca_file": AUTHORITY}
    inside = [f"{key}: {_text(folder / name)}" for key, name in files.items()]
    return ["  tls { " + ", ".join([*inside, *(["verify: true"] if verify else [])]) + " }"]


def _text(value: object) -> str:
    """A quoted text of the configuration language."""
    return json.dumps(str(value), ensure_ascii=False)
