"""The sockets on which a node's processes listen."""

from __future__ import annotations

import socket

BACKLOG = 1024


class PortTaken(OSError):
    """Another program already listens on the address."""


def listening(host: str, port: int, *, shared: bool = True) -> socket.socket:
    """A socket that listens on host:port, without delay for small packets; port 0 is a free one.

    A `shared` one has its port together with others of the same user that ask for it likewise
    (SO_REUSEPORT): a node's several web processes. Raises OSError.
    """
    made = socket.socket(_family(host), socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setblocking(False)
    made.bind((host, port))
    made.listen(BACKLOG)
    return made


def ensure_port_free(host: str, port: int) -> None:
    """Raise PortTaken unless host:port can be had exclusively right now."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(error.errno, f"cannot listen on {host}:{port}") from error


def address(ends: tuple[str, int] | None) -> str:
    """host:port as requests name the two ends of a connection."""
    host, port = (ends or ("", 0))[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
