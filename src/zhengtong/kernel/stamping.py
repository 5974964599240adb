"""Time stamps on our logs: an outside authority's word that a checkpoint existed by then.

At most every so often the newest checkpoints of the exchange log and of the audit log are sent, as
a hash, to the authority that `node.toml` names. One stamp dates all that the log held. Nothing
waits for it: the asking has a thread of its own, and while the authority is away the next stamp
simply covers more. `zhengtong doctor` says when it has been away for long.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import urllib3
from django.conf import settings
from django.db import connection, models

from zhengtong.kernel import leases, moment
from zhengtong.kernel.audit import AuditCheckpoint
from zhengtong.kernel.messages.models import LogHead
from zhengtong.kernel.messages.store import log_of
from zhengtong.wire import timestamp
from zhengtong.wire.checkpoint import Checkpoint, parse_checkpoint
from zhengtong.wire.errors import WireError
from zhengtong.wire.link import retry_after
from zhengtong.wire.receipts import log_name

log = logging.getLogger(__name__)

LOOK_AGAIN = 30.0
"""Seconds between looks whether a stamp is due."""
LEASE = 120.0
LONG = timedelta(days=1)
"""How long an authority may be away, beyond the interval itself, before people are told."""

Ask = Callable[[bytes], bytes]
"""Sends a TimeStampReq and returns the TimeStampResp. Raises Unstamped."""


class Unstamped(Exception):
    """No stamp could be had; the text says why."""


class Stamp(models.Model):
    """A token (RFC 3161) over the text of our checkpoint `log`, `size`. `at` is the authority's."""

    log = models.CharField(max_length=80)
    size = models.BigIntegerField()
    token = models.BinaryField()
    at = models.DateTimeField()
    authority = models.CharField(max_length=80)
    made_at = models.DateTimeField(default=moment.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["log", "size"], name="stamped_once")]


class StampingTrouble(models.Model):
    """Stands while an authority cannot be had: since when, and why at last."""

    url = models.CharField(max_length=300, primary_key=True)
    since = models.DateTimeField(default=moment.now)
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, default="")


class Stamper:
    """A worker's job that never waits: what is due is asked for in a thread of its own."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self._next = 0.0
        self._failures = 0
        self._thread: threading.Thread | None = None

    def work(self) -> bool:
        """Start asking if it is time; never finds work for the worker itself."""
        asking = self._thread is not None and self._thread.is_alive()
        if settings.NODE.stamping and not asking and time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK_AGAIN
            self._thread = threading.Thread(target=self._look, name="stamping", daemon=True)
            self._thread.start()
        return False

    def _look(self) -> None:
        assert settings.NODE.stamping is not None
        url = settings.NODE.stamping.url
        try:
            if leases.take("stamping", self.holder, LEASE):
                stamp_due(over_http(url))
                StampingTrouble.objects.filter(url=url).delete()
            self._failures = 0
        except Exception as error:
            self._failures += 1
            pause = retry_after(self._failures, random.random).total_seconds()
            self._next = time.monotonic() + max(LOOK_AGAIN, pause)
            log.info("time stamp from %s: %s", url, error)
            note_trouble(url, error)
        finally:
            connection.close()


def stamp_due(ask: Ask) -> int:
    """Have the newest checkpoints stamped if their time has come; how many were.

    Raises Unstamped, or WireError if the answer is not what was asked for.
    """
    assert settings.NODE.stamping is not None
    made = 0
    for head in newest_checkpoints():
        last = Stamp.objects.filter(log=head.origin).order_by("-size").first()
        if last and (
            head.size <= last.size or moment.now() - last.made_at < settings.NODE.stamping.every
        ):
            continue
        message, nonce = head.text().encode(), secrets.randbits(63)
        token, stamp = timestamp.token_in(ask(timestamp.request(message, nonce)), message, nonce)
        Stamp.objects.create(
            log=head.origin,
            size=head.size,
            token=token,
            at=stamp.at,
            authority=stamp.authority[:80],
        )
        made += 1
    return made


def newest_checkpoints() -> Iterator[Checkpoint]:
    """The head of our exchange log, and of our sealed audit log, as far as they hold anything."""
    head = LogHead.objects.order_by("-epoch").first()
    if head is not None and head.size:
        root = log_of(head.epoch, head.size).root()
        yield Checkpoint(log_name(settings.NODE.name, head.epoch), head.size, root)
    sealed = AuditCheckpoint.objects.order_by("-size").first()
    if sealed is not None:
        yield parse_checkpoint(sealed.text.encode())[0]


def over_http(url: str) -> Ask:
    """The authority at this address (RFC 3161 §3.4)."""

    def ask(request: bytes) -> bytes:
        try:
            with urllib3.PoolManager(retries=False) as http:
                answer = http.request(
                    "POST",
                    url,
                    body=request,
                    headers={"Content-Type": "application/timestamp-query"},
                    timeout=urllib3.Timeout(connect=5, read=20),
                    preload_content=False,
                )
                data = answer.read(timestamp.MAX_TOKEN + 1024)
        except urllib3.exceptions.HTTPError as error:
            raise Unstamped(f"{type(error).__name__}: {error}") from error
        if answer.status != 200:
            raise Unstamped(f"HTTP {answer.status}")
        return data

    return ask


def note_trouble(url: str, error: Exception) -> None:
    """Keep what `doctor` will say. Trouble with the database itself is seen elsewhere."""
    said = error.en if isinstance(error, WireError) else str(error)
    try:
        trouble, _ = StampingTrouble.objects.get_or_create(url=url)
        trouble.failures, trouble.error = trouble.failures + 1, said[:300]
        trouble.save()
    except Exception:
        log.exception("stamping")


def problems() -> Iterator[str]:
    """For `doctor`: an authority that has been away for long."""
    stamping = settings.NODE.stamping
    if stamping is None:
        return
    for trouble in StampingTrouble.objects.filter(
        url=stamping.url, since__lt=moment.now() - stamping.every - LONG
    ):
        yield (
            f"no time stamp from {trouble.url} since {trouble.since:%Y-%m-%d %H:%M} "
            f"({trouble.error}). Letters go on; look at [stamping] in node.toml and at the network."
        )
