"""A cable between two networks, laid by the test: it carries IP packets, or loses them.

Each end is a TUN device, so the kernels' own TCP runs over it and suffers what a real one suffers:
retransmissions, shrunken windows, connections that hang because nobody says that the line is cut.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from tests.faults.namespaces import Network

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
LONGEST = 2048
QUEUE = 64 * 1024
"""Bytes that wait before a slow cable; what comes on top is lost, as at any modem."""


@dataclass
class Course:
    """One direction: what is under way, and when the cable is free for the next packet."""

    source: int
    sink: int
    free_at: float = 0.0
    waiting: int = 0


class Cable:
    """Joins two networks point to point. All its qualities may be changed while it is in use.

    `loss`: the share of packets that vanish; `rate`: bits per second, 0 for as fast as it goes;
    `latency`: seconds each way; `cut`: nothing passes, and nobody is told.
    """

    def __init__(self, one: tuple[Network, str], other: tuple[Network, str], seed: int = 1) -> None:
        (self.one, address), (self.other, opposite) = one, other
        self.loss, self.rate, self.latency, self.cut = 0.0, 0, 0.0, False
        self.carried = self.lost = 0
        self._dice = random.Random(seed)
        name = f"c{opposite.split('.')[2]}"
        near = _device(self.one, name, address, opposite)
        far = _device(self.other, name, opposite, address)
        self._courses = (Course(near, far), Course(far, near))
        self._under_way: list[tuple[float, int, Course, bytes]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def repair(self) -> None:
        """Whole, fast and sound again."""
        self.loss, self.rate, self.latency, self.cut = 0.0, 0, 0.0, False

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        for course in self._courses:
            os.close(course.source)

    def _run(self) -> None:
        by_handle = {course.source: course for course in self._courses}
        while not self._stopping.is_set():
            due = self._under_way[0][0] - time.monotonic() if self._under_way else 0.2
            ready, _, _ = select.select(list(by_handle), [], [], min(0.2, max(0.0, due)))
            for handle in ready:
                with suppress(OSError):
                    self._take(by_handle[handle], os.read(handle, LONGEST))
            self._hand_over()

    def _take(self, course: Course, packet: bytes) -> None:
        full = bool(self.rate) and course.waiting + len(packet) > QUEUE
        if self.cut or full or self._dice.random() < self.loss:
            self.lost += 1
            return
        now = time.monotonic()
        length = len(packet) * 8 / self.rate if self.rate else 0.0
        course.free_at = max(now, course.free_at) + length
        course.waiting += len(packet)
        self.carried += 1
        entry = (course.free_at + self.latency, self.carried, course, packet)
        heapq.heappush(self._under_way, entry)

    def _hand_over(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.monotonic():
            _, _, course, packet = heapq.heappop(self._under_way)
            course.waiting -= len(packet)
            if not self.cut:
                with suppress(OSError):
                    os.write(course.sink, packet)


def _device(network: Network, name: str, address: str, opposite: str) -> int:
    """One end: a device in its network, and the handle on which its packets come and go."""
    with network.entered():
        handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        wanted = struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI)
        fcntl.ioctl(handle, TUNSETIFF, wanted)
    network.ip("addr", "add", address, "peer", opposite, "dev", name)
    network.ip("link", "set", name, "up")
    return handle
