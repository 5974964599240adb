"""The ferry under test: a carrier takes sticks from end to end by the commands of an administrator.

Every `step` makes a stick for whoever has something to say and brings along all that lie in the
bag; one that was refused stays there. While a link is cut sticks are made and wait.
"""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.federation.city import ROOT, City, Site, environment, wait_until, zhengtong
from tests.roads.road import Road

NOTHING_TO_SAY = "不必制作"
SUSPENDED = {"suspended": "已停用"}


@dataclass
class Way:
    """From one end of a link to the other; `bag` and `old` hold sticks: to be brought, brought."""

    origin: Site
    to: Site
    bag: list[Path] = field(default_factory=list)
    old: list[Path] = field(default_factory=list)
    lost: bool = False  # a stick that was made; the next export is told
    said: str = ""  # by the last import


class FerryRoad(Road):
    name = "ferry"

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self.ways: dict[str, tuple[Way, Way]] = {}
        self.closed: set[str] = set()
        self._sticks = itertools.count(1)
        self._next = 0.0

    def lay(self) -> None:
        for child in self.children:
            assert child.parent
            text = child.node_file.read_text()
            child.node_file.write_text(text.replace("[parent]\n", '[parent]\nroad = "ferry"\n'))
            child.kill_driver()  # it has read the file before
            child.driver = None
            done = zhengtong("node", "road", child.name, "ferry", node=child.parent.node_file)
            assert done.returncode == 0, done.stdout + done.stderr
            self.ways[child.name] = (Way(child.parent, child), Way(child, child.parent))

    def step(self) -> None:
        """Once a second, so that the nodes may also work."""
        if time.monotonic() < self._next:
            return
        for name, ways in self.ways.items():
            for way in ways:
                self._make(way)
                if name not in self.closed:
                    self._bring(way)
        self._next = time.monotonic() + 1

    def cut(self, child: Site) -> None:
        """The carrier does not go."""
        self.closed.add(child.name)

    def heal(self, child: Site) -> None:
        self.closed.discard(child.name)

    def lose(self, child: Site) -> None:
        """Every stick from the child that has not been brought."""
        _, up = self.ways[child.name]
        assert up.bag, "nothing was under way"
        self._lose(up)

    def kill(self, child: Site) -> None:
        """An export that is writing, and an import that is reading, of what waits both ways."""
        for way in self.ways[child.name]:
            stick = self._stick()
            if _kill(way.origin, "export", way.to.name, "--to", stick) == "made":
                way.bag.append(stick)  # it was quicker than we
            self._make(way)
            if way.bag:
                _kill(way.to, "import", *way.bag)

    def disturb(self, child: Site, seed: int) -> None:
        """Sticks are lost, brought late and in any order, and old ones again."""
        source, until = random.Random(seed), time.monotonic() + 8
        while time.monotonic() < until:
            for way in self.ways[child.name]:
                self._make(way, again=source.random() < 0.3)
                fate = source.choice("once twice late lost".split())
                if fate == "lost":
                    self._lose(way)
                elif fate != "late":
                    source.shuffle(way.bag)
                    self._bring(way)
                if fate == "twice" and way.old:
                    _ferry(way.to, "import", source.choice(way.old))

    def told(self, child: Site, code: str) -> bool:
        """The carrier comes back with the stick and with what was said at the other end."""
        _, up = self.ways[child.name]
        return bool(up.bag) and SUSPENDED[code] in up.said

    def _stick(self) -> Path:
        return self.city.folder / f"stick-{next(self._sticks)}"

    def _make(self, way: Way, *, again: bool = False) -> None:
        """Put on a stick what waits, if anything does."""
        stick = self._stick()
        more = ["--again"] if again or way.lost else []
        status, errors = _ferry(way.origin, "export", way.to.name, "--to", stick, *more)
        if status == 0:
            way.bag.append(stick)
            way.lost = False
        else:
            assert NOTHING_TO_SAY in errors or SUSPENDED["suspended"] in errors, errors

    def _bring(self, way: Way) -> None:
        """Import every stick in the bag; it is empty unless something was refused."""
        if way.bag:
            status, way.said = _ferry(way.to, "import", *way.bag)
            if status == 0:
                way.old += way.bag
                way.bag = []

    def _lose(self, way: Way) -> None:
        for stick in way.bag:
            shutil.rmtree(stick)
        way.lost |= bool(way.bag)
        way.bag = []


def _ferry(site: Site, *words: str | Path) -> tuple[int, str]:
    """The status of `zhengtong ferry`, and its errors."""
    status, _, errors = site.do("zhengtong", words=["ferry", *map(str, words)])
    return int(status), str(errors)


def _kill(site: Site, *words: str | Path) -> str:
    """Start `zhengtong ferry`, and kill -9 it as soon as it has begun its voyage.

    In which state that leaves the voyage; empty if there was none to make.
    """
    newest = len(site.do("voyages"))
    command = [sys.executable, "-m", "zhengtong", "--node", site.node_file, "ferry", *words]
    with (site.folder / "killed.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log, stderr=log)
    wait_until(lambda: process.poll() is not None or len(site.do("voyages")) > newest)
    process.kill()
    process.wait()
    voyages = site.do("voyages")
    return str(voyages[0]["state"]) if len(voyages) > newest else ""
