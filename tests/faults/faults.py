"""Faults that are done to running processes: killed again and again, or refused by their disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.province import Walled

WRITES = "pwrite64,fsync,fdatasync,ftruncate"


class Killer(threading.Thread):
    """Kills -9 some process of some node, again and again; a dead node is started as by systemd."""

    def __init__(self, nodes: Sequence[Walled], seed: int) -> None:
        super().__init__(name="killer", daemon=True)
        self.nodes, self.dice, self.kills = nodes, random.Random(seed), 0
        self._stopping = threading.Event()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stopping.wait(self.dice.uniform(0.1, 0.8)):
                self._kill(self.dice.choice(self.nodes))
        except BaseException as error:
            self.failed = error
            raise

    def _kill(self, site: Walled) -> None:
        assert site.process
        if self.dice.random() < 0.1:
            site.kill()
            self.kills += 1
        elif site.process.poll() is None and (below := site.children()):
            with suppress(ProcessLookupError):
                os.kill(self.dice.choice(below), signal.SIGKILL)
                self.kills += 1
        if site.process is None or site.process.poll() is not None:
            site.start()

    def stop(self) -> None:
        self._stopping.set()
        self.join(90)
        assert not self.is_alive() and self.failed is None, self.failed


@contextmanager
def killing(nodes: Sequence[Walled], seed: int) -> Iterator[Killer]:
    killer = Killer(nodes, seed)
    killer.start()
    try:
        yield killer
    finally:
        killer.stop()


class Injected:
    """strace, which answers some system calls of running processes with an error."""

    def __init__(self, log: Path) -> None:
        self.log = log

    @property
    def errors(self) -> int:
        return self.log.read_text(errors="replace").count("(INJECTED)")


@contextmanager
def refusing(
    processes: Sequence[int], error: str, every: int, log: Path, calls: str = WRITES
) -> Iterator[Injected]:
    """Inside the block every so-manieth of these calls, in each thread, fails with `error`."""
    attached = [word for pid in processes for word in ("-p", str(pid))]
    inject = f"inject={calls}:error={error}:when={every}+{every}"
    command = ["strace", "-f", "-qq", "-e", f"trace={calls}", "-e", inject, "-o", str(log)]
    strace = subprocess.Popen([*command, *attached], stderr=subprocess.PIPE, text=True)
    try:
        yield Injected(log)
        assert strace.poll() is None, strace.stderr and strace.stderr.read()
    finally:
        strace.send_signal(signal.SIGINT)  # it lets go of them, and they run on
        strace.wait(20)
