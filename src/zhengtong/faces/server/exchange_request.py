"""The body of a request on the exchange port and the answer to it, as the page server's (RSGI)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from zhengtong.faces.server.scope import Pairs

if TYPE_CHECKING:
    from zhengtong.faces.server.exchange_port import Connection

_ENOUGH = 512 * 1024
_PIECE = 256 * 1024


class Exchange:
    """The body of a request as it comes, and the answer to it as it goes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._came: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting = 0
        self._broken = False
        self._sending: asyncio.Task[None] | None = None
        self._finished = asyncio.Event()

    # what arrives

    def more(self, data: bytes) -> None:
        self._waiting += len(data)
        self._came.put_nowait(data)
        if self._waiting > _ENOUGH:
            self._connection.read_more(False)

    def complete(self) -> None:
        self._came.put_nowait(None)

    def broken(self) -> None:
        """The other end has gone."""
        self._broken = True
        self._finished.set()
        self._came.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. Raises RuntimeError when it was cut off."""
        while (data := await self._came.get()) is not None:
            self._waiting -= len(data)
            if self._waiting <= _ENOUGH:
                self._connection.read_more(True)
            yield data
        if self._broken:
            raise RuntimeError("the other end has gone")

    async def client_disconnect(self) -> None:
        await self._connection.lost.wait()

    # what is answered

    def response_empty(self, status: int, headers: Pairs) -> None:
        self._connection.head(status, headers)
        self._finished.set()

    def response_bytes(self, status: int, headers: Pairs, body: bytes) -> None:
        others = [header for header in headers if header[0] != "content-length"]
        self._connection.head(status, [*others, ("content-length", str(len(body)))])
        if body:
            self._connection.body(body)
        self._finished.set()

    def response_file_range(
        self, status: int, headers: Pairs, file: str, start: int, end: int
    ) -> None:
        handle = os.open(file, os.O_RDONLY)
        self._connection.head(status, headers)
        self._sending = asyncio.ensure_future(self._send_file(handle, start, end))

    async def _send_file(self, handle: int, start: int, end: int) -> None:
        try:
            while start < end and not self._broken:
                piece = os.pread(handle, min(_PIECE, end - start), start)
                if not piece:
                    raise OSError("the file became shorter while it was being sent")
                start += len(piece)
                self._connection.body(piece)
                await self._connection.writable.wait()
        finally:
            os.close(handle)
        self._finished.set()

    def response_stream(self, status: int, headers: Pairs) -> Stream:
        self._connection.head(status, headers)
        self._finished.set()
        return Stream(self._connection)

    async def sent(self) -> None:
        """Until the whole answer has been handed over."""
        if self._sending is not None:
            await self._sending
        await self._finished.wait()


class Stream:
    """An answer whose end is not known yet; it travels in chunks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def send_bytes(self, data: bytes) -> None:
        """Raises RuntimeError when the reader has gone."""
        if self._connection.lost.is_set():
            raise RuntimeError("the reader has gone")
        self._connection.body(data)
        await self._connection.writable.wait()
