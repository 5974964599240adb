"""The three nodes: a centre and two counties, joined by nothing but cables, over mutual TLS."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.engines import Engine
from tests.faults.cable import Cable
from tests.faults.namespaces import Door, Network, answers
from tests.federation.city import City, Site, free_port, wait_until
from tests.server.served import certify
from zhengtong.wire.certificates import create_authority

OFFICES = {"centre": "市府办", "fugou": "扶沟县", "shenqiu": "沈丘县"}


@dataclass
class Walled(Site):
    """A node in a network of its own. `place`: 0 for the centre, from 1 on for the counties."""

    place: int = 0
    network: Network = field(kw_only=True)

    def write(self, like: str = "") -> None:
        super().write(like)
        text = self.node_file.read_text()
        for was, now in self._addresses().items():
            assert was in text
            text = text.replace(was, now)
        self.node_file.write_text(text)

    def _addresses(self) -> dict[str, str]:
        port = self.parent.exchange_port if self.parent else self.exchange_port
        if self.parent:
            return {f"https://127.0.0.1:{port}": f"https://10.77.{self.place}.1:{port}"}
        listen = f'exchange_listen = "0.0.0.0:{port}"'
        url = f'exchange_url = "https://10.77.0.1:{port}"'
        return {f'exchange_listen = "127.0.0.1:{port}"': f"{listen}\n{url}"}

    def start(self, *before: str) -> None:
        super().start(*self.network.before, *before)

    def answers(self) -> bool:
        return answers(self.network, self.port)

    @property
    def office(self) -> str:
        return OFFICES[self.name]

    @property
    def clerk(self) -> str:
        return f"{self.office}办事员"

    @property
    def worker(self) -> int:
        """The process that answers to the worker's bell."""
        (found,) = (pid for pid in self.children() if self._bell(pid).exists())
        return found

    @property
    def web(self) -> int:
        (found,) = (pid for pid in self.children() if not self._bell(pid).exists())
        return found

    def _bell(self, pid: int) -> Path:
        return self.folder / "run" / f"bell-worker-{pid}"

    @contextmanager
    def stopped(self, process: int = 0) -> Iterator[None]:
        """Inside the block this process stands still, or the whole node as a frozen machine."""
        assert self.process
        # A node's processes are one group, which has the number of the first of them.
        number = process or -self.process.pid
        os.kill(number, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(number, signal.SIGCONT)


class Province(City):
    """A `City` behind walls: `cables` by county, to be spoilt by the test."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        super().__init__(folder, engine)
        self.cables: dict[str, Cable] = {}
        self._opened = ExitStack()
        self._mark = secrets.token_hex(3)

    def site(self, name: str, parent: str = "", **given: Any) -> Walled:
        network = Network(f"zt-{self._mark}-{name}")
        self._opened.callback(network.remove)
        site = Walled(
            name,
            self.folder / name,
            free_port(),
            self.engine,
            parent=self.sites[parent] if parent else None,
            exchange_port=0 if parent else free_port(),
            place=len(self.sites),
            network=network,
            **given,
        )
        self.sites[name] = site
        self._opened.callback(Door.into(network, site.port).close)
        if self.engine.server:
            port = urlsplit(self.engine.server).port or 5432
            self._opened.callback(Door.out_of(network, port).close)
        return site

    @property
    def nodes(self) -> tuple[Walled, ...]:
        return tuple(site for site in self.sites.values() if isinstance(site, Walled))

    def settle_down(self) -> None:
        """Make the nodes, give them certificates and lay the cables."""
        self.build({name: [OFFICES[name]] for name in self.sites})
        authority = create_authority("henan", "intl", datetime.now(UTC))
        centre, *counties = self.nodes
        for site in self.nodes:
            certify(site.folder / "keys", authority, site.name)
        for county in counties:
            ends = [
                (site.network, f"10.77.{county.place}.{n}") for n, site in _ends(centre, county)
            ]
            self.cables[county.name] = Cable(ends[0], ends[1], seed=county.place)

    def meet(self) -> None:
        """Wait until every county and the centre have heard one another."""
        centre, *counties = self.nodes
        for county in counties:
            wait_until(_met(centre, county), what=f"the centre to hear {county.name}")
            wait_until(_met(county, centre), what=f"{county.name} to hear the centre")

    def close(self) -> None:
        super().close()
        for cable in self.cables.values():
            cable.close()
        self._opened.close()


@contextmanager
def three_nodes(
    folder: Path, engine: Engine, equip: Callable[[Walled], object] = lambda site: None
) -> Iterator[Province]:
    """A centre and two counties that have met; `equip` is done to each before anything of it is."""
    province = Province(folder, engine)
    try:
        province.site("centre")
        province.site("fugou", "centre")
        province.site("shenqiu", "centre")
        for site in province.nodes:
            equip(site)
        province.settle_down()
        province.start()
        province.meet()
        yield province
    finally:
        province.close()


def _ends(centre: Walled, county: Walled) -> Iterator[tuple[int, Walled]]:
    return iter(((1, centre), (2, county)))


def _met(site: Walled, other: Walled) -> Callable[[], bool]:
    return lambda: bool(site.do("link", node=other.name)["met"])
