"""The NATS road: one thread of the worker attends to every link that takes it.

All that talks to NATS runs on one event loop; all that touches the database runs in one further
thread with one connection, so that a slow disk never stops the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from zhengtong.kernel import leases
from zhengtong.kernel.bell import Bell
from zhengtong.kernel.engine import plain_errors
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.messages.roads import nats_files
from zhengtong.kernel.messages.roads.links import note_failure, on_road
from zhengtong.kernel.messages.roads.nats_link import Link
from zhengtong.kernel.messages.roads.nats_server import PARENT, account_of

log = logging.getLogger(__name__)

LEASE = 30.0
LOOK_AGAIN = 5.0


class NatsRoad(threading.Thread):
    """Of several workers only the holder of the lease attends to the links."""

    def __init__(self, holder: str) -> None:
        super().__init__(name="nats", daemon=True)
        self.holder = holder
        self.links: dict[str, tuple[Link, asyncio.Task[None]]] = {}
        self._database = ThreadPoolExecutor(1, thread_name_prefix="nats-database")
        self._stopping = threading.Event()
        self._stop: Callable[[], object] = lambda: None

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._attend())
            except Exception:
                log.exception("the NATS road")
                self._stopping.wait(LOOK_AGAIN)
        with suppress(Exception):
            self._database.submit(leases.give_back, "nats", self.holder).result()
        self._database.submit(connection.close)
        self._database.shutdown()

    def stop(self) -> None:
        self._stopping.set()
        self._stop()
        self.join(timeout=5)

    async def in_database(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run `work` where the connection is; a broken connection is made anew the next time."""

        def guarded() -> Any:
            try:
                with plain_errors():
                    return work(*arguments)
            except DatabaseError:
                close_old_connections()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._database, guarded)

    async def _attend(self) -> None:
        """Keep the lease and the links until told to stop."""
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        with Bell("nats") as bell:
            loop.add_reader(bell.socket, self._wake, bell)
            try:
                while not (stop.is_set() or self._stopping.is_set()):
                    try:
                        leads = await self.in_database(leases.take, "nats", self.holder, LEASE)
                        await self._choose(await self.in_database(_wanted) if leads else {})
                    except DatabaseError as error:
                        log.warning("the NATS road: %s; will try again", error)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), LOOK_AGAIN)
            finally:
                self._stop = lambda: None
                loop.remove_reader(bell.socket)
                await self._choose({})

    def _wake(self, bell: Bell) -> None:
        bell.drain()
        for link, _ in self.links.values():
            link.wake.set()

    async def _choose(self, wanted: dict[str, str]) -> None:
        """Attend to these links and no others; `wanted` maps a neighbour to its password."""
        for name in self.links.keys() - wanted.keys():
            _, task = self.links.pop(name)
            task.cancel()
            await asyncio.wait([task], timeout=LOOK_AGAIN)
        parent, server = settings.NODE.parent, settings.NODE.nats
        assert server is not None
        for name in wanted.keys() - self.links.keys():
            upward = parent is not None and parent.name == name
            link = Link(name, upward=upward, in_database=self.in_database)
            task = asyncio.create_task(link.keep(server.url, wanted[name]), name=f"nats {name}")
            self.links[name] = (link, task)


def _wanted() -> dict[str, str]:
    """The neighbours on this road with our password to the account of each."""
    passwords, found = nats_files.passwords(settings.NODE), {}
    above = settings.NODE.parent.name if settings.NODE.parent else None
    for name in on_road("nats"):
        account = PARENT if name == above else account_of(name)
        if account in passwords:
            found[name] = passwords[account]
        elif not Neighbour.objects.filter(name=name).exclude(last_error="").exists():
            note_failure(name, 1, "no account yet: run `zhengtong node nats-config`")
    return found
