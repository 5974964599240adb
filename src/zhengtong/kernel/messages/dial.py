"""One POST to the parent: a batch there, a batch back, and how fast the line is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import urllib3

from zhengtong.kernel.messages import https
from zhengtong.kernel.messages.exchange import Streamed
from zhengtong.kernel.messages.identity import own_credentials
from zhengtong.kernel.node import Parent
from zhengtong.wire.batch import MAX_BATCH, MAX_BULKS
from zhengtong.wire.beside import read_head

SHORTEST = 0.05
"""Seconds; a quicker exchange says nothing about the line."""
AT_ONCE = 4.0
"""Seconds that one batch may take on a slow line."""
LEAST_ROOM = 64 * 1024
MOST_OF_A_REASON = 64 * 1024


class Unreachable(Exception):
    """The parent could not be reached, or refused the whole batch; the text says why."""


class Dial:
    """Posts batches to the parent. `room` is how many bytes a batch should have on this line."""

    def __init__(self, parent: Parent) -> None:
        self.parent = parent
        self.http = https.pool(parent.name, own_credentials())
        self._rate = 0.0

    @property
    def room(self) -> int:
        if not self._rate:
            return MAX_BATCH
        return int(min(MAX_BULKS, max(LEAST_ROOM, self._rate * AT_ONCE)))

    def post(self, batch: Streamed) -> Answer:
        """The answer to a batch, as far as its head. Raises Unreachable or WireError."""
        began = time.monotonic()
        try:
            answer = self.http.request(
                "POST",
                self.parent.url + "/exchange",
                body=iter(batch) if batch.bulks else batch.head,
                headers={"Content-Type": "application/cbor", "Content-Length": str(batch.size)},
                timeout=urllib3.Timeout(connect=5, read=60),
                preload_content=False,
            )
            if answer.status != 200:
                raise Unreachable(_reason(answer.status, answer.read(MOST_OF_A_REASON)))
            came = Answer(answer, began, batch.size, self._note)
            came.head = read_head(came.read, MAX_BATCH)
            return came
        except https.NotSecured as error:
            raise Unreachable(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    def _note(self, took: float, carried: int) -> None:
        """Learn how fast the line is."""
        if took > SHORTEST and carried > LEAST_ROOM:
            rate = carried / took
            self._rate = rate if not self._rate else (self._rate + rate) / 2

    def close(self) -> None:
        self.http.clear()


class Answer:
    """A batch that came back: its head, and a stream of what is beside its letters."""

    def __init__(
        self,
        response: urllib3.BaseHTTPResponse,
        began: float,
        carried: int,
        note: Callable[[float, int], None],
    ) -> None:
        self.head = b""
        self._response, self._note = response, note
        self._began, self._carried = began, carried

    def read(self, size: int) -> bytes:
        """Raises Unreachable if the line breaks."""
        try:
            data = self._response.read(size)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        self._carried += len(data)
        return data

    def close(self) -> None:
        """All has been read that is wanted: let go of the connection."""
        self._note(time.monotonic() - self._began, self._carried)
        if self._response.length_remaining:
            self._response.close()  # a connection with something left in it serves nobody
        else:
            self._response.release_conn()


def _reason(status: int, body: bytes) -> str:
    """The parent's typed refusal, or what came instead of one."""
    try:
        refusal = json.loads(body)
        return f"{refusal['refused']}: {refusal['text']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"
