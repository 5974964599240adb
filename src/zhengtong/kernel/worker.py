"""The worker of a node: everything that happens without anybody waiting for it.

One loop over small jobs; each says whether it found work. An idle worker sleeps until the bell
rings, and looks by itself once a second.
"""

from __future__ import annotations

import fcntl
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, OperationalError, close_old_connections
from django.utils.module_loading import import_string

from zhengtong.kernel import audit, leases
from zhengtong.kernel.bell import Bell, ring
from zhengtong.kernel.capability import capabilities
from zhengtong.kernel.errors import Unavailable
from zhengtong.kernel.extraction import extract_text
from zhengtong.kernel.files import StoredFile, path_of
from zhengtong.kernel.membership import upkeep
from zhengtong.kernel.messages import reactions, roads, sealing, timers, transit_files
from zhengtong.kernel.messages.identity import own_keys
from zhengtong.kernel.messages.models import Message
from zhengtong.kernel.messages.roads import ferry
from zhengtong.kernel.messages.watch import Watcher
from zhengtong.kernel.search.indexer import Indexer
from zhengtong.kernel.stamping import Stamper

log = logging.getLogger(__name__)

Job = Callable[[], bool]

AT_A_TIME = 0.25
"""Seconds that one job may go on while it finds work, before the others have their turn."""
LOOK_AGAIN = 0.25
"""Seconds between two looks that find nothing: during a burst the bell rings for every batch."""


class Worker:
    """Runs until `stop()`; several may run on one node and share the work."""

    def __init__(self) -> None:
        self.name = leases.holder()
        self.indexer = Indexer()
        self.links = Watcher(self.name)
        self._stopping = threading.Event()
        self.jobs: tuple[tuple[str, Job], ...] = (
            ("reactions", reactions.work),
            ("sealing", sealing.seal_waiting),
            ("links", self.links.work),
            ("ferry", ferry.work),
            ("transit", transit_files.Sweeper().work),
            ("timers", lambda: bool(timers.ring_due())),
            ("extraction", extract_one),
            ("indexing", self.indexer.work),
            ("audit", self.seal_audit),
            ("stamping", Stamper(self.name).work),
            ("membership", upkeep.work),
            *(
                (path, import_string(path))
                for capability in capabilities()
                for path in capability.jobs
            ),
        )

    def run(self) -> None:
        """Work until told to stop; every courier is a thread of its own."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        couriers = roads.couriers(self.name)
        for courier in couriers:
            courier.start()
        with Bell("worker") as bell, at_work():
            while not self._stopping.is_set():
                began = time.monotonic()
                if self.step():
                    ring()  # pages and the couriers may want to know
                    bell.drain()
                else:
                    bell.wait(1.0)
                    self._stopping.wait(max(0.0, began + LOOK_AGAIN - time.monotonic()))
        for courier in couriers:
            courier.stop()
        self.indexer.close()

    def step(self) -> bool:
        """Every job, as long as it finds work; whether any did. What fails is tried again."""
        worked = False
        for name, job in self.jobs:
            if self._stopping.is_set():
                break
            try:
                until = time.monotonic() + AT_A_TIME
                while job():
                    worked = True
                    if time.monotonic() > until or self._stopping.is_set():
                        break
            except (OperationalError, Unavailable) as error:
                log.warning("%s: %s; will try again", name, error)
                self._pause()
            except Exception:
                log.exception("job %s failed; will try again", name)
                self._pause()
        return worked

    def _pause(self) -> None:
        """Let trouble pass, and let go of a connection that it has broken."""
        close_old_connections()
        self._stopping.wait(1.0)

    def drain(self) -> None:
        """Work until nothing is left to do at once: for tests and for a clean shutdown."""
        while self.step():
            pass

    def seal_audit(self) -> bool:
        """Seal new audit rows, one worker at a time."""
        if not audit.anything_unsealed() or not leases.take("audit", self.name, 10):
            return False
        return audit.seal(own_keys()) > 0

    def stop(self) -> None:
        self._stopping.set()
        ring()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop()


@contextmanager
def at_work() -> Iterator[None]:
    """Be seen to work on this machine; the first to come frees what dead workers had claimed.

    A lock on a file ends with its process, however that ends. Freeing too much does no harm: a
    message handled twice has its effect once.
    """
    with (settings.NODE.run / "workers").open("w") as sign:
        try:
            fcntl.flock(sign, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            with suppress(DatabaseError):  # then the claims run out by themselves
                Message.objects.filter(pending=True).exclude(claimed_until=None).update(
                    claimed_until=None
                )
        fcntl.flock(sign, fcntl.LOCK_SH)
        yield


def extract_one() -> bool:
    """Extract the text of one new file and let what it belongs to be indexed again."""
    waiting = StoredFile.objects.filter(extracted=False).first()
    if waiting is None:
        return False
    found = extract_text(path_of(waiting.sha256), waiting.media_type)
    waiting.text, waiting.extracted = found.text.replace("\x00", ""), True
    waiting.problem = (found.problem.message if found.problem else "")[:200]
    waiting.save(update_fields=["text", "extracted", "problem"])
    for capability in capabilities():
        for searchable in capability.searchables:
            if searchable.on_extracted:
                import_string(searchable.on_extracted)(waiting)
    return True
