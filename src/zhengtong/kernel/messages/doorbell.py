"""The child's ear at the parent's doorbell: a stream with a line for every new mail."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Iterable

import urllib3
from django.db import DatabaseError, connection

from zhengtong.kernel import moment
from zhengtong.kernel.bell import ring
from zhengtong.kernel.messages import https
from zhengtong.kernel.messages.identity import own_credentials, own_keys
from zhengtong.kernel.node import Parent
from zhengtong.wire.attest import prove
from zhengtong.wire.errors import WireError
from zhengtong.wire.standing import LANES

log = logging.getLogger(__name__)

PATH = "/exchange/doorbell"
PAUSE = 5.0
"""Seconds before a stream that ended soon is opened again."""


class Doorbell:
    """Which lanes the parent has called, until a courier has heard it. Safe between threads."""

    def __init__(self, parent: Parent) -> None:
        self.parent = parent
        self.http = https.pool(parent.name, own_credentials())
        self._called: set[int] = set()
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._stopping = threading.Event()
        self._listener: threading.Thread | None = None

    @property
    def open(self) -> bool:
        return self._open.is_set()

    def call(self, lanes: Iterable[int]) -> None:
        """The parent has mail in these lanes."""
        with self._lock:
            self._called.update(lanes)
            called = bool(self._called)
        if called:
            ring()

    def waits(self, lanes: Iterable[int]) -> bool:
        return not self._called.isdisjoint(lanes)

    def heard(self, lanes: Iterable[int]) -> set[int]:
        """The called ones among these lanes, which are no longer called from now on."""
        with self._lock:
            found = self._called & set(lanes)
            self._called -= found
        return found

    def listen(self) -> None:
        """Keep one stream open while the link is idle."""
        if self._listener is None or not self._listener.is_alive():
            self._listener = threading.Thread(target=self._hear, name="doorbell", daemon=True)
            self._listener.start()

    def stop(self) -> None:
        self._stopping.set()
        self.http.clear()

    def _hear(self) -> None:
        """Note every line that the parent writes, until the stream ends.

        A stream that ends after a while has ended with the parent's process: dial at once to see.
        """
        began = time.monotonic()
        try:
            proof = base64.urlsafe_b64encode(prove(own_keys(), self.parent.name, moment.now()))
            stream = self.http.request(
                "GET",
                self.parent.url + PATH,
                headers={"Authorization": f"Batch {proof.decode()}"},
                preload_content=False,
                timeout=urllib3.Timeout(connect=5, read=40),
            )
            if stream.status == 200:
                self._open.set()
                for line in stream:
                    if self._stopping.is_set():
                        break
                    self.call(_lanes(line))
            stream.close()
        except (urllib3.exceptions.HTTPError, OSError, WireError, DatabaseError) as error:
            log.info("doorbell of %s: %s", self.parent.name, error)
        finally:
            self._open.clear()
            connection.close()
        if time.monotonic() - began < PAUSE:
            self._stopping.wait(PAUSE)
        self.call(range(LANES))


def _lanes(line: bytes) -> set[int]:
    """The lanes that a line `mail 0 2` names; other lines only keep the stream alive."""
    word, *numbers = line.split() or [b""]
    if word != b"mail":
        return set()
    return {int(number) for number in numbers if number.isdigit() and int(number) < LANES}
