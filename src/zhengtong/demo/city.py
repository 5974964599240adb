"""Build the demo city's nodes on disk: folders, keys, one database made once and copied."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from zhengtong.demo import plan
from zhengtong.kernel import moment
from zhengtong.kernel.messages.credentials import install
from zhengtong.wire.certificates import Authority, create_authority, create_request, issue

STAMP = "city.json"
TEN_YEARS = 3650


def build(
    folder: Path,
    nodes: tuple[plan.NodePlan, ...],
    write_node: Callable[..., None],
    prepare: Callable[[], None],
    enter: Callable[[Path], None],
    say: Callable[[str], None],
) -> str:
    """Make every node that does not exist yet; returns the password of the demo's people.

    `write_node`, `prepare` and `enter` are the administrator's own acts. The tables, the calendar
    and the organisations are the same everywhere: they are made once and copied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / STAMP
    if stamp.exists():
        return str(json.loads(stamp.read_text())["password"])
    password = f"yanshi-{secrets.token_hex(4)}"
    say("正在建立演示城市：密钥与节点")
    authority = create_authority("演示城市", "intl", moment.now(), days=TEN_YEARS)
    dialled = {node.name: f"127.0.0.1:{node.exchange_port}" for node in nodes}
    for node in nodes:
        parent = (node.parent, f"https://{dialled[node.parent]}") if node.parent else None
        write_node(
            folder / node.name,
            name=node.name,
            title=node.title,
            zone=node.zone,
            listen=f"127.0.0.1:{node.port}",
            exchange_listen=dialled[node.name],
            parent=parent,
            demo=True,
        )
        _certify(folder / node.name / "keys", node.name, authority)
    say("正在建立数据表、工作日历和机关名录")
    first = folder / nodes[0].name
    _in_child(lambda: _fill_template(first, nodes, enter, prepare))
    for node in nodes[1:]:
        shutil.copyfile(first / "node.sqlite3", folder / node.name / "node.sqlite3")
    running: list[int] = []
    for number, node in enumerate(nodes, 1):
        say(f"正在登记节点 {number}/{len(nodes)}：{node.title}")
        running.append(_fork(partial(_fill_node, folder, node, nodes, enter, password)))
        if len(running) == (os.cpu_count() or 1):
            _wait(running.pop(0))
    while running:
        _wait(running.pop(0))
    temporary = stamp.with_suffix(".new")
    temporary.write_text(json.dumps({"password": password, "nodes": len(nodes)}))
    temporary.replace(stamp)
    return password


def _certify(keys: Path, name: str, authority: Authority) -> None:
    """A certificate of the demo's own authority, whose key is then forgotten."""
    key, request = create_request(name, "intl")
    certificate = issue(authority, request, name, ["127.0.0.1"], moment.now(), days=TEN_YEARS)
    install(keys, key=key, certificate=certificate, authorities=authority.certificate)


def _fill_template(
    folder: Path,
    nodes: tuple[plan.NodePlan, ...],
    enter: Callable[[Path], None],
    prepare: Callable[[], None],
) -> None:
    """Tables, calendar and the whole directory of organisations, in the first node's database."""
    enter(folder / "node.toml")
    prepare()
    from django.db import connection

    from zhengtong.kernel.directory import commands
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.directory.models import Organisation
    from zhengtong.kernel.engine import checkpoint

    where = {unit.code: node.name for node in nodes for unit in node.units}
    administrator = node_actor(commands.DUTIES)
    made: dict[str, Organisation] = {}
    for rank, unit in enumerate(plan.ALL):
        made[unit.code] = commands.add_organisation(
            administrator,
            id=unit.id,
            code=unit.code,
            name=unit.name,
            short_name=unit.short_name,
            kind=unit.kind,
            node=where[unit.code],
            parent=made[unit.parent] if unit.parent else None,
            rank=rank,
            symbol=unit.symbol,
        )
    checkpoint()  # the copy takes the main file alone
    connection.close()


def _fill_node(
    folder: Path,
    node: plan.NodePlan,
    nodes: tuple[plan.NodePlan, ...],
    enter: Callable[[Path], None],
    password: str,
) -> None:
    """The neighbours' cards, the people of the hosted organisations, and what they have done."""
    enter(folder / node.name / "node.toml")
    from zhengtong.demo.people import admit_neighbours, register_people
    from zhengtong.demo.stories import tell

    admit_neighbours(folder, node, nodes)
    register_people(node, password)
    tell(node)


def _fork(work: Callable[[], None]) -> int:
    """Run `work` in a process of its own: each node has its own settings."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError("the demo city could not be built; see the error above")


def _in_child(work: Callable[[], None]) -> None:
    _wait(_fork(work))
