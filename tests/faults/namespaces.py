"""Networks of their own (network namespaces): a node in one reaches others by the cables laid."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
OWN = Path("/proc/thread-self/ns/net")
PROGRAMS = ("ip", "strace", "faketime")


def missing() -> str:
    """What this machine lacks for these tests, with the remedy; empty when it lacks nothing."""
    if os.geteuid() != 0:
        return "root is needed for network namespaces, mounts and strace; remedy: sudo make soak"
    if lacking := [name for name in PROGRAMS if not shutil.which(name)]:
        return f"{', '.join(lacking)} is missing; remedy: run tools/debian"
    if not Path("/dev/net/tun").exists():
        return (
            "/dev/net/tun is missing; remedy: modprobe tun (in a container: --device=/dev/net/tun)"
        )
    return ""


class Network:
    """A network namespace with nothing in it but its own loopback."""

    def __init__(self, name: str) -> None:
        self.name = name
        ip("netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> None:
        ip("-n", self.name, *words)

    @property
    def before(self) -> tuple[str, ...]:
        """What is put before a command to run it in here."""
        return ("ip", "netns", "exec", self.name)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Inside the block this thread, and no other, is in here: what it opens belongs here."""
        with OWN.open() as home, Path("/run/netns", self.name).open() as here:
            _enter(here.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def remove(self) -> None:
        with suppress(subprocess.CalledProcessError):
            ip("netns", "del", self.name)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _enter(handle: int) -> None:
    """setns(2), which Python has from 3.12 on."""
    if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Door:
    """Lets connections through a wall between networks: from loopback to loopback, same port.

    A browser of the test comes in to a node, and a node gets out to the test's PostgreSQL.
    """

    def __init__(self, port: int, listen: Callable[[], socket.socket]) -> None:
        self.port, self.closed = port, False
        self.listener = listen()

    @classmethod
    def into(cls, network: Network, port: int) -> Door:
        door = cls(port, lambda: socket.create_server(("127.0.0.1", port)))
        return door._serving(lambda: _connect_inside(network, port))

    @classmethod
    def out_of(cls, network: Network, port: int) -> Door:
        def listen() -> socket.socket:
            with network.entered():
                return socket.create_server(("127.0.0.1", port))

        return cls(port, listen)._serving(lambda: socket.create_connection(("127.0.0.1", port)))

    def _serving(self, connect: Callable[[], socket.socket]) -> Door:
        threading.Thread(target=self._accept, args=(connect,), daemon=True).start()
        return self

    def _accept(self, connect: Callable[[], socket.socket]) -> None:
        while not self.closed:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = connect()
            except OSError:
                near.close()
                continue
            for pair in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=pair, daemon=True).start()

    def close(self) -> None:
        self.closed = True
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _connect_inside(network: Network, port: int) -> socket.socket:
    with network.entered():
        return socket.create_connection(("127.0.0.1", port), 5)


def answers(network: Network, port: int) -> bool:
    """Whether somebody listens on the loopback of a network."""
    with suppress(OSError), _connect_inside(network, port):
        return True
    return False


def _carry(source: socket.socket, sink: socket.socket) -> None:
    source.settimeout(None)
    with suppress(OSError):
        while block := source.recv(65536):
            sink.sendall(block)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
