"""The NATS road under test: `zhengtong serve` runs a server a node, leaves attach through lines."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from tests.federation.city import City, Site, free_port, wait_until, zhengtong
from tests.roads.lines import Line
from tests.roads.road import Road
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.roads import nats_files
from zhengtong.kernel.messages.roads.nats_server import DOWN, PARENT, UP, account_of
from zhengtong.kernel.messages.roads.nats_streams import connect, consumer_of
from zhengtong.kernel.node import load

SERVER = Path(sys.executable).with_name("nats-server")


class NatsRoad(Road):
    name = "nats"

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self.lines: dict[str, Line] = {}

    def lay(self) -> None:
        parents = {child.parent.name: child.parent for child in self.children if child.parent}
        leaves = {name: free_port() for name in parents}
        for site in self.city.sites.values():
            table = f'\n[nats]\nurl = "127.0.0.1:{free_port()}"\nserver = "{SERVER}"\n'
            if site.name in leaves:
                table += f'leaves = "127.0.0.1:{leaves[site.name]}"\n'
            text = site.node_file.read_text()
            if site.parent:
                line = self.lines[site.name] = Line(leaves[site.parent.name])
                table += f'above = "127.0.0.1:{line.port}"\n'
                text = text.replace("[parent]\n", '[parent]\nroad = "nats"\n')
            site.node_file.write_text(text + table)
        for child in self.children:
            assert child.parent
            key = re.search("--key (U[A-Z2-7]+)", _run(child, "node", "nats-config"))
            assert key
            _run(child.parent, "node", "road", child.name, "nats", "--key", key[1])
        for site in parents.values():
            _run(site, "node", "nats-config")

    def cut(self, child: Site) -> None:
        self.lines[child.name].cut()

    def heal(self, child: Site) -> None:
        self.lines[child.name].heal()

    def kill(self, child: Site) -> None:
        """The server of the parent: every leaf and both couriers lose it at once."""
        assert child.parent
        os.kill(server_of(child.parent), signal.SIGKILL)

    def lose(self, child: Site) -> None:
        """The disk of its server."""
        shutil.rmtree(child.folder / "nats" / "jetstream")

    def disturb(self, child: Site, seed: int) -> None:
        asyncio.run(_disturb(child, random.Random(seed)))

    def close(self) -> None:
        for line in self.lines.values():
            line.cut()


def _run(site: Site, *words: str) -> str:
    done = zhengtong(*words, node=site.node_file)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def server_of(site: Site) -> int:
    """The process of a node's nats-server."""
    found = list[int]()

    def runs() -> bool:
        for pid in site.children():
            with suppress(OSError):  # it may have died
                if Path(f"/proc/{pid}/comm").read_text().strip() == SERVER.name:
                    found.append(pid)
        return bool(found)

    wait_until(runs, what=f"{site.name} to run {SERVER.name}")
    return found[0]


async def streams(site: Site, account: str) -> Client:
    """A connection to a node's own server, as its courier has it."""
    node = load(site.node_file)
    assert node.nats
    return await connect(node.nats.url, account, nats_files.passwords(node)[account])


async def _disturb(child: Site, source: random.Random) -> None:
    """Take messages from under the couriers' hands for a few seconds, in both directions."""
    assert child.parent
    above = await streams(child.parent, account_of(child.name))
    below = await streams(child, PARENT)
    until = time.monotonic() + 8
    await asyncio.gather(
        *(
            _rival(client.jetstream(), stream, lane, source, until)
            for client, stream in ((above, DOWN), (below, UP))
            for lane in Lane
        )
    )
    await above.close()
    await below.close()


async def _rival(
    js: JetStreamContext, stream: str, lane: Lane, source: random.Random, until: float
) -> None:
    """Fetch like a courier, then forget to acknowledge, give back late, or put in a copy."""
    pulled = await js.pull_subscribe_bind(consumer=consumer_of(lane), stream=stream)
    while time.monotonic() < until:
        with suppress(nats.errors.TimeoutError):
            (message,) = await pulled.fetch(1, timeout=0.5)
            fate = source.choice(("forget", "late", "copy"))
            if fate == "copy":
                await js.publish(message.subject, message.data, headers=message.headers)
            if fate != "forget":
                await message.nak(delay=source.uniform(0, 1))
