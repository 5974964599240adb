"""The bridge to a WSGI application (PEP 3333): environment in, finished reply out.

A reply is always complete before the first byte leaves: small ones, and those that the application
made in one piece, in memory, large ones in an unnamed temporary file or the very file it opened. So
a reader on a slow line holds a file descriptor and never one of the few threads, and the whole
call, `close()` included, happens on one thread, which database connections need.
"""

from __future__ import annotations

import ipaddress
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from granian.rsgi import Scope

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType]
WsgiApp = Callable[[Environ, Callable[..., Callable[[bytes], object]]], Iterable[bytes]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_IN_MEMORY = 1024 * 1024
_AT_ONCE = 4 * 1024 * 1024
# What only a proxy may say about the client, and Proxy, which CGI-minded libraries mistake for
# the HTTP_PROXY variable.
_FORWARDING = ("x-forwarded-", "x-real-ip", "forwarded")
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "te", "trailers", "transfer-encoding")
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A WSGI response. With `descriptor`, the body is bytes [start, end) of that open file,
    which now belongs to the receiver of the reply."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    descriptor: int | None = None
    start: int = 0
    end: int = 0


class FileWrapper:
    """``wsgi.file_wrapper``: lets a real file be sent without passing through Python."""

    def __init__(self, file: Any, block_size: int = 64 * 1024) -> None:
        self.file = file
        self.block_size = block_size
        if hasattr(file, "close"):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        while block := self.file.read(self.block_size):
            yield block

    def span(self) -> tuple[int, int, int] | None:
        """A descriptor of our own with start and end, if this is a regular file on the disk."""
        try:
            found = os.fstat(self.file.fileno())
            start = self.file.tell()
        except (AttributeError, OSError, ValueError):
            return None
        if not stat.S_ISREG(found.st_mode) or start > found.st_size:
            return None
        return os.dup(self.file.fileno()), start, found.st_size


def environ_of(
    scope: Scope, body: BinaryIO, length: int, trusted: Sequence[Network] = ()
) -> Environ:
    """The WSGI environment of one request.

    Forwarding headers are believed, and passed on, only from a peer inside `trusted`.
    """
    address, port = _split_address(scope.client)
    server, server_port = _split_address(scope.server)
    believed = _within(address, trusted)
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server,
        "SERVER_PORT": server_port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": address,
        "REMOTE_PORT": port,
        "CONTENT_LENGTH": str(length) if length else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        # Who dialled, on the port for nodes; no header can say so.
        "zhengtong.node": getattr(scope, "node", ""),
    }
    for name, value in scope.headers.items():
        # An underscore could pose as a hyphen once both have become HTTP_A_B.
        if "_" in name or name == "proxy" or (not believed and name.startswith(_FORWARDING)):
            continue
        if name == "content-length":
            continue
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
            continue
        key = "HTTP_" + name.upper().replace("-", "_")
        if key in environ:
            environ[key] += ("; " if name == "cookie" else ",") + value
        else:
            environ[key] = value
    if believed:
        _believe_proxy(environ, trusted)
    return environ


def call(app: WsgiApp, environ: Environ) -> Reply:
    """Run the application to its end and collect its reply. Raises whatever it raises."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    with cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)) as sink:

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
        ) -> Callable[[bytes], object]:
            if started and exc_info is None:
                raise AssertionError("start_response called twice without exc_info")
            started[:] = [(status, headers)]
            return sink.write

        result = app(environ, start_response)
        try:
            span = result.span() if isinstance(result, FileWrapper) else None
            whole = _only_chunk(result, sink) if span is None else b""
            if not started:
                raise AssertionError("the application never called start_response")
            status, headers = _checked(*started[0])
            if span is not None:
                return Reply(status, headers, b"", *span)
            if whole is not None:
                return Reply(status, headers, whole)
            size = sink.tell()
            sink.seek(0)
            if size > _IN_MEMORY:
                return Reply(status, headers, b"", os.dup(sink.fileno()), 0, size)
            return Reply(status, headers, sink.read())
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()


def _only_chunk(result: Iterable[bytes], sink: BinaryIO) -> bytes | None:
    """The reply, if it is one piece, which is in memory already; else None, and it is in `sink`."""
    chunks = iter(result)
    first, second = next(chunks, b""), next(chunks, None)
    if second is None and not sink.tell() and len(first) <= _AT_ONCE:
        return first
    for chunk in chain((first, second or b""), chunks):
        sink.write(chunk)
    return None


def _checked(status: str, headers: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
    """Status and headers in the form the engine wants; refuses smuggled line breaks."""
    kept = []
    for name, value in headers:
        if any(mark in name + value for mark in "\r\n\0"):
            raise ValueError(f"control character in response header {name!r}")
        if name.lower() not in _HOP_BY_HOP:
            kept.append((name.lower(), _text(value)))
    return int(status[:3]), kept


def _text(value: str) -> str:
    """WSGI carries bytes in latin-1; the engine encodes as UTF-8, so undo one to get the other."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _split_address(address: str) -> tuple[str, str]:
    parts = urlsplit(f"//{address}")
    return parts.hostname or address, str(parts.port or "")


def _within(address: str, trusted: Sequence[Network]) -> bool:
    if not trusted:
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in trusted)


def _believe_proxy(environ: Environ, trusted: Sequence[Network]) -> None:
    """Client address and scheme as our own proxy reports them: the last hop it does not own."""
    hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    for hop in reversed(hops):
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            break
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = hop, ""
        if not _within(hop, trusted):
            break
    scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
    if scheme in {"http", "https"}:
        environ["wsgi.url_scheme"] = scheme
