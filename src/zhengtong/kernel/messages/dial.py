"""One POST to the parent: a batch there, a batch back, and how fast the line is."""

from __future__ import annotations

import json
import time

import urllib3

from zhengtong.kernel.messages import https
from zhengtong.kernel.messages.identity import own_credentials
from zhengtong.kernel.node import Parent
from zhengtong.wire.batch import MAX_BATCH

SHORTEST = 0.05
"""Seconds; a quicker exchange says nothing about the line."""
AT_ONCE = 4.0
"""Seconds that one batch may take on a slow line."""
LEAST_ROOM = 64 * 1024


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
        return int(min(MAX_BATCH, max(LEAST_ROOM, self._rate * AT_ONCE)))

    def post(self, body: bytes) -> bytes:
        """The answer to a batch. Raises Unreachable."""
        began = time.monotonic()
        try:
            answer = self.http.request(
                "POST",
                self.parent.url + "/exchange",
                body=body,
                headers={"Content-Type": "application/cbor"},
                timeout=urllib3.Timeout(connect=5, read=60),
            )
        except https.NotSecured as error:
            raise Unreachable(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        if answer.status != 200:
            raise Unreachable(_reason(answer.status, answer.data))
        took, carried = time.monotonic() - began, len(body) + len(answer.data)
        if took > SHORTEST and carried > LEAST_ROOM:
            rate = carried / took
            self._rate = rate if not self._rate else (self._rate + rate) / 2
        return answer.data

    def close(self) -> None:
        self.http.clear()


def _reason(status: int, body: bytes) -> str:
    """The parent's typed refusal, or what came instead of one."""
    try:
        refusal = json.loads(body)
        return f"{refusal['refused']}: {refusal['text']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"
