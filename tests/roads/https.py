"""The https road under test: every child dials its parent through a line of its own."""

from __future__ import annotations

import os
import random
import signal
import time

from tests.federation.city import City, Site, wait_until
from tests.roads.lines import Line, RestlessLine
from tests.roads.road import Road


class HttpsRoad(Road):
    name = "https"

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self.lines: dict[str, Line] = {}
        self.restless: dict[str, RestlessLine] = {}

    def lay(self) -> None:
        for child in self.children:
            assert child.parent
            line = self.lines[child.name] = Line(child.parent.port)
            front = self.restless[child.name] = RestlessLine(line.port, seed=1)
            text = child.node_file.read_text()
            dialled = f"http://127.0.0.1:{child.parent.port}"
            assert dialled in text
            child.node_file.write_text(text.replace(dialled, f"http://127.0.0.1:{front.port}"))

    def cut(self, child: Site) -> None:
        self.lines[child.name].cut()

    def heal(self, child: Site) -> None:
        self.lines[child.name].heal()

    def kill(self, child: Site) -> None:
        """A process of the parent: as a rule its web process, which answers the dials."""
        assert child.parent
        parent = child.parent
        wait_until(lambda: bool(parent.children()), what="a process to kill")
        os.kill(parent.children()[0], signal.SIGKILL)

    def disturb(self, child: Site, seed: int) -> None:
        line = self.restless[child.name]
        line.source, line.restless = random.Random(seed), True
        time.sleep(8)
        line.restless = False

    def close(self) -> None:
        for line in self.lines.values():
            line.cut()
        for front in self.restless.values():
            front.close()
