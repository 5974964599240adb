"""Keeps the processes of one node alive: starts, restarts, stops and reaps them.

Only the standard library, one thread, and forks instead of fresh interpreters: a module imported
before `run` is in memory once for all children.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from zhengtong.faces.server.child import (
    STOP_SIGNALS,
    Child,
    adopt_orphans,
    become,
    kill_descendants,
)
from zhengtong.faces.server.restarts import Restarts

_LONGEST_LINE = 64 * 1024


@dataclass(slots=True)
class _Running:
    child: Child
    restarts: Restarts
    pid: int = 0  # 0: not running
    started: float = 0.0
    due: float | None = 0.0  # when to start it; None: running, or never again
    output: int = -1
    line: bytearray = field(default_factory=bytearray)


class Supervisor:
    """Runs `children` until SIGTERM or SIGINT, or until one of them is hopeless.

    Children share the supervisor's process group. Their standard output and error come out on
    the supervisor's standard output, each line under the child's name.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        stop_within: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._running = [_Running(child, Restarts(child.policy)) for child in children]
        self._width = max((len(child.name) for child in children), default=0)
        self._stop_within = stop_within
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = -1, -1
        self._stopping = False
        self._interrupts = 0
        self._exit_code = 0

    def run(self) -> int:
        """Supervise; returns the exit code: 0 after a signal, 1 if a child was hopeless.

        Call on the main thread of a process that has no other thread (a fork copies only one).
        """
        if threading.active_count() != 1:
            raise RuntimeError("fork from a process with other threads is unsafe")
        adopt_orphans()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, self._on_stop) for number in STOP_SIGNALS}
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        gc.freeze()  # the collector would otherwise write into pages the children share
        try:
            self._watch()
            self._stop()
        finally:
            kill_descendants()
            self._drain_all()
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
        return self._exit_code

    def _on_stop(self, number: int, _: object) -> None:
        self._stopping = True
        self._interrupts += number == signal.SIGINT

    def _watch(self) -> None:
        """Until asked to stop or a child is hopeless: start what is due, reap, pass on logs."""
        while not self._stopping:
            now = self._clock()
            for one in self._running:
                if one.due is not None and one.due <= now:
                    self._start(one)
            waits = [one.due - now for one in self._running if one.due is not None]
            self._listen(max(min(waits, default=60.0), 0.0))
            if not self._reap(restart=True):
                self._exit_code = 1
                return

    def _stop(self) -> None:
        """Ask all children to end, wait, and kill those that do not listen.

        Whoever presses Ctrl-C a second time does not want to wait.
        """
        self._signal_all(signal.SIGTERM)
        until = self._clock() + self._stop_within
        while any(one.pid for one in self._running):
            left = until - self._clock()
            if left <= 0 or self._interrupts > 1:
                for one in self._running:
                    if one.pid:
                        self._say(one, b"did not stop in time and was killed")
                self._signal_all(signal.SIGKILL)
            self._listen(min(max(left, 0.05), 1.0))
            self._reap(restart=False)

    def _signal_all(self, number: signal.Signals) -> None:
        for one in self._running:
            if one.pid:
                with suppress(ProcessLookupError):
                    os.kill(one.pid, number)

    def _reap(self, *, restart: bool) -> bool:
        """Collect every ended process; False if one of our children is hopeless."""
        hopeful = True
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return hopeful
            if pid == 0:
                return hopeful
            for one in self._running:
                if one.pid == pid:
                    hopeful &= self._ended(one, status, restart)

    def _ended(self, one: _Running, status: int, restart: bool) -> bool:
        self._read(one)
        one.pid = 0
        if not restart:
            return True
        code = os.waitstatus_to_exitcode(status)
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        delay = one.restarts.after_crash(self._clock() - one.started)
        if delay is None:
            self._say(one, f"{how}; it fails at every start, giving up".encode())
            return False
        self._say(one, f"{how}; starting again in {delay:g} s".encode())
        one.due = self._clock() + delay
        return True

    def _start(self, one: _Running) -> None:
        self._close_output(one)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                self._selector.close()
                signal.set_wakeup_fd(-1)
                code = become(one.child, parent, writing)
            finally:
                os._exit(code)
        os.close(writing)
        os.set_blocking(reading, False)
        self._selector.register(reading, selectors.EVENT_READ, one)
        one.pid, one.output, one.started, one.due = pid, reading, self._clock(), None

    def _listen(self, timeout: float) -> None:
        """Wait for output, a signal or the timeout, and pass the output on."""
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                with suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            else:
                self._read(key.data)

    def _read(self, one: _Running) -> None:
        if one.output < 0:
            return
        for _ in range(16):  # a chatty child must not keep the others waiting
            try:
                block = os.read(one.output, 65536)
            except BlockingIOError:
                return
            if not block:
                self._close_output(one)
                return
            one.line += block
            *lines, rest = one.line.split(b"\n")
            for line in lines:
                self._say(one, line)
            one.line = bytearray(rest)
            if len(rest) > _LONGEST_LINE:
                self._say(one, bytes(rest))
                one.line.clear()

    def _close_output(self, one: _Running) -> None:
        if one.output < 0:
            return
        if one.line:
            self._say(one, bytes(one.line))
            one.line.clear()
        self._selector.unregister(one.output)
        os.close(one.output)
        one.output = -1

    def _drain_all(self) -> None:
        for one in self._running:
            self._read(one)
            self._close_output(one)

    def _say(self, one: _Running, line: bytes | bytearray) -> None:
        with suppress(OSError):  # a closed terminal is no reason to stop a city
            os.write(1, one.child.name.ljust(self._width).encode() + b" | " + line + b"\n")
