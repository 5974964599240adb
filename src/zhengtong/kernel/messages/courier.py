"""The https road: the child dials its parent, brings what it has and takes what waits.

A turn is one POST of a signed batch, answered by one. While nothing moves, the child keeps a
doorbell stream open on which the parent says that mail has come. The road may lose, repeat or
delay anything: the tables on both ends are the truth.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import time
from contextlib import suppress

import urllib3
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from zhengtong.kernel import leases
from zhengtong.kernel.bell import Bell, ring
from zhengtong.kernel.engine import plain_errors
from zhengtong.kernel.errors import Unavailable
from zhengtong.kernel.messages import https
from zhengtong.kernel.messages.exchange import Owed, accept, compose, has_mail
from zhengtong.kernel.messages.identity import own_credentials
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire.errors import WireError
from zhengtong.wire.link import retry_after

log = logging.getLogger(__name__)

LEASE = 30.0
LOOK_AGAIN = 5.0
LOOK_SELDOM = 20.0
"""Seconds between dials on an idle link, without and with an open doorbell."""
DOORBELL = "/exchange/doorbell"


class Unreachable(Exception):
    """The parent could not be reached, or refused the whole batch; the text says why."""


class Courier(threading.Thread):
    """Dials the parent for ever. Of several workers only the holder of the lease dials."""

    def __init__(self, holder: str) -> None:
        super().__init__(name="courier", daemon=True)
        assert settings.NODE.parent is not None
        self.parent, self.holder = settings.NODE.parent, holder
        self.http = https.pool(self.parent.name, own_credentials())
        self.bell = Bell("courier")
        self._stopping = threading.Event()
        self._listener: threading.Thread | None = None
        self._renew_at = 0.0
        self._listening = threading.Event()  # the doorbell stream is open
        self._called = threading.Event()  # the parent has said that mail waits
        self._refusing: WireError | None = None  # to be told at the next dial

    def run(self) -> None:
        failures = 0
        owed = Owed()
        while not self._stopping.is_set():
            try:
                if not self._leads():
                    self._stopping.wait(LOOK_AGAIN)
                    continue
                self._called.clear()
                with plain_errors():
                    owed, moved = self.turn(owed)
                failures = 0
                if not moved and not owed.numbers:
                    self._listen()
                    self._rest()
            except Exception as error:
                failures += 1
                pause = retry_after(failures, random.random).total_seconds()
                self._note(failures, error)
                if not isinstance(error, (Unreachable, WireError, Unavailable, DatabaseError)):
                    log.exception("courier to %s", self.parent.name)
                close_old_connections()  # a database that was away may have come back
                owed = Owed()
                self._stopping.wait(pause)
        with suppress(Exception):
            leases.give_back("courier", self.holder)
        self.bell.close()
        connection.close()

    def stop(self) -> None:
        self._stopping.set()
        ring()
        self.http.clear()
        self.join(timeout=2)

    def _leads(self) -> bool:
        """Whether we are the one to dial. Renewing at every dial would cost each a write."""
        if time.monotonic() >= self._renew_at:
            if not leases.take("courier", self.holder, LEASE):
                return False
            self._renew_at = time.monotonic() + LEASE / 3
        return True

    def _rest(self) -> None:
        """Sleep until there is mail of ours, a call from the parent, or it is time to look.

        The bell rings for every commit on this node; most are no reason to dial.
        """
        until = time.monotonic() + (LOOK_SELDOM if self._listening.is_set() else LOOK_AGAIN)
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            if self._called.is_set() or has_mail(self.parent.name):
                return
            self.bell.wait(left)

    def turn(self, owed: Owed) -> tuple[Owed, bool]:
        """One dial: what we now owe, and whether anything moved. Raises Unreachable, WireError."""
        batch_out = compose(self.parent.name, owed, refusing=self._refusing)
        response = self._post("/exchange", batch_out)
        self._refusing = None
        try:
            _, next_owed, batch = accept(response)
        except WireError as error:
            self._refusing = error
            raise
        moved = bool(batch.letters or batch.receipts or owed.numbers)
        if moved:
            ring()
        return next_owed, moved or has_mail(self.parent.name)

    def _post(self, path: str, body: bytes) -> bytes:
        try:
            answer = self.http.request(
                "POST",
                self.parent.url + path,
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
        return answer.data

    def _listen(self) -> None:
        """Keep one doorbell stream open while the link is idle."""
        if self._listener is None or not self._listener.is_alive():
            self._listener = threading.Thread(
                target=self._hear_doorbell, name="doorbell", daemon=True
            )
            self._listener.start()

    def _hear_doorbell(self) -> None:
        """Ring our own bell for every line the parent writes, until the stream ends.

        A stream that ends after a while has ended with the parent's process: dial at once to see.
        """
        began = time.monotonic()
        try:
            proof = base64.urlsafe_b64encode(compose(self.parent.name, letters=False)).decode()
            stream = self.http.request(
                "GET",
                self.parent.url + DOORBELL,
                headers={"Authorization": f"Batch {proof}"},  # an empty batch, signed by us
                preload_content=False,
                timeout=urllib3.Timeout(connect=5, read=40),
            )
            if stream.status == 200:
                self._listening.set()
                for line in stream:
                    if self._stopping.is_set():
                        break
                    if line.startswith(b"mail"):
                        self._called.set()
                        ring()
            stream.close()
        except (urllib3.exceptions.HTTPError, OSError, WireError, DatabaseError) as error:
            log.info("doorbell of %s: %s", self.parent.name, error)
        finally:
            self._listening.clear()
            connection.close()
        if time.monotonic() - began < LOOK_AGAIN:
            self._stopping.wait(LOOK_AGAIN)
        self._called.set()
        ring()

    def _note(self, failures: int, error: Exception) -> None:
        log.info("dial %s: %s", self.parent.name, error)
        with suppress(Exception):
            Neighbour.objects.filter(name=self.parent.name).update(
                failures=failures, last_error=str(error)[:200]
            )


def _reason(status: int, body: bytes) -> str:
    """The parent's typed refusal, or what came instead of one."""
    try:
        refusal = json.loads(body)
        return f"{refusal['refused']}: {refusal['text']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"
