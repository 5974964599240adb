"""`zhengtong demo`: a whole city on one machine, each node in processes of its own."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from zhengtong.demo import broker, city, plan
from zhengtong.faces.cli.init import prepare, write_node
from zhengtong.faces.cli.serve import serve
from zhengtong.faces.cli.start import CommandFailed, enter
from zhengtong.faces.server.child import Child
from zhengtong.faces.server.sockets import PortTaken, ensure_port_free
from zhengtong.faces.server.supervisor import Supervisor
from zhengtong.kernel.node import NodeFileError


def add(words: Any) -> None:
    word = words.add_parser("demo", help="a province, a city, its portal and its counties, here")
    word.add_argument("--nodes", type=int, default=5, help="5, or 18: every unit its own node")
    word.add_argument("--folder", type=Path, help="where the nodes live (default: var/demo-N)")
    word.add_argument("--first-port", type=int, default=plan.FIRST_PORT)
    word.add_argument("--without", action="append", default=[], metavar="NODE", help="leave out")
    word.add_argument("--road", choices=("https", "nats"), default="https", help="between nodes")
    word.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Build the city if it is new, start it, say where it is; Ctrl-C stops all of it."""
    began = time.monotonic()
    try:
        nodes = plan.nodes(chosen.nodes, chosen.first_port)
    except ValueError as error:
        raise CommandFailed(str(error)) from error
    over_nats = chosen.road == "nats"
    name = f"demo-{chosen.nodes}-nats" if over_nats else f"demo-{chosen.nodes}"
    folder = chosen.folder or Path("var") / name
    write = broker.writing(write_node, nodes, _nats_server()) if over_nats else write_node
    for port in [port for node in nodes for port in (node.port, node.exchange_port)]:
        try:
            ensure_port_free("127.0.0.1", port)
        except PortTaken as error:
            raise CommandFailed(
                f"{error}. Stop what listens there, or choose other ports with --first-port."
            ) from error
    _import_once()
    password = city.build(folder, nodes, write, prepare, enter, print)
    if over_nats:
        broker.configure(folder, nodes)
    running = [node for node in nodes if node.name not in chosen.without]
    children = [Child(node.name, _serving(folder / node.name / "node.toml")) for node in running]
    children.append(Child("政通", lambda: _announce(running, password, began)))
    return Supervisor(children).run()


def _nats_server() -> Path:
    """The NATS server beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise CommandFailed("there is no nats-server. Run: tools/setup nats")
    return Path(found)


def _import_once() -> None:
    """Load what every node needs before they part, so that it is read and kept once."""
    for name in (
        "cryptography.hazmat.primitives.asymmetric.ed25519",
        "django.contrib.sessions.backends.db",
        "django.core.management",
        "django.db.backends.sqlite3.base",
        "django.template.defaulttags",
        "granian",
        "h11",
        "OpenSSL.SSL",
        "rjieba",
        "tantivy",
        "urllib3",
        "zhengtong.wire.evidence",
    ):
        import_module(name)


def _serving(node_file: Path) -> Callable[[], None]:
    def run_node() -> None:
        os.setpgrp()  # a process group of its own: it can be stopped as one
        try:
            code = serve(node_file)
        except (CommandFailed, NodeFileError) as error:
            raise SystemExit(str(error)) from None
        raise SystemExit(code)

    return run_node


def _announce(nodes: list[plan.NodePlan], password: str, began: float) -> None:
    """Wait until every node answers, print the addresses and sign-ins, then stand by."""
    for node in nodes:
        while not _answers(node.url):
            time.sleep(0.1)
    lines = [
        "",
        f"演示城市已就绪：{len(nodes)} 个节点，用时 {time.monotonic() - began:.1f} 秒，"
        f"内存共 {_megabytes(os.getppid()):.0f} MB。人物、岗位、公文均为虚构。",
        "",
        *(f"  {node.title:　<10} {node.url}/" for node in nodes),
        "",
        f"  登录口令（所有演示账号）：{password}",
        *(
            f"  {unit.name}：" + "、".join(f"{p.sign_in_name}（{p.title}）" for p in people)
            for node in nodes
            for unit in node.units
            if (people := list(plan.people(unit)))
        ),
        "",
        "  按 Ctrl-C 停止；数据保留，下次启动继续。",
    ]
    print("\n".join(lines), flush=True)
    while True:
        time.sleep(3600)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/", timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


def _megabytes(root: int) -> float:
    """The memory of a process and all below it, shared pages counted once (Linux PSS)."""
    total, waiting = 0, [root]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        with suppress(OSError):
            waiting += map(int, (folder / "task" / folder.name / "children").read_text().split())
            lines = (folder / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
