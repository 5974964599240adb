"""`/metrics`: what a monitoring system is told of this node; and who may ask.

On a node that only this machine can reach, this machine may. Otherwise the token of a file that
only the node's own account can read is asked for: behind a proxy everybody comes from loopback.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_GET

from zhengtong.faces.exposition import CONTENT_TYPE, Family, Histogram, Sample, write
from zhengtong.faces.exposition import write_histogram as histogram
from zhengtong.kernel import moment
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.messages import commands, health
from zhengtong.kernel.messages.delays import BOUNDS
from zhengtong.kernel.messages.models import Handling, Lease, Message
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.messages.watch import EVERY, LEASE
from zhengtong.kernel.node import LOOPBACK
from zhengtong.kernel.search.queue import Changed
from zhengtong.kernel.tasks import Task

TOKEN_FILE = "metrics-token"  # noqa: S105  # the name of a file, not a secret
SHORTEST_TOKEN = 32
KINDS = {False: "to_do", True: "to_read"}


class TokenUnusable(Exception):
    """The token file cannot be trusted; the text says what to do."""


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Every figure of the node as text for Prometheus; 401 or 403 with the remedy."""
    try:
        token = read_token(settings.NODE.keys / TOKEN_FILE)
    except TokenUnusable as error:
        return _plain(403, str(error))
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not constant_time_compare(given.encode(), token.encode()):
            response = _plain(401, "Send `Authorization: Bearer TOKEN`.")
            response["WWW-Authenticate"] = "Bearer"
            return response
    elif not _only_here(request):
        return _plain(403, f"Write a token of {SHORTEST_TOKEN} or more signs to keys/{TOKEN_FILE}.")
    return HttpResponse(text(), content_type=CONTENT_TYPE)


def read_token(path: Path) -> str:
    """The token asked for; empty when there is no such file. Raises TokenUnusable."""
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    if mode & 0o077:
        raise TokenUnusable(f"Others can read the token. Run: chmod 600 keys/{path.name}")
    if len(token) < SHORTEST_TOKEN:
        raise TokenUnusable(f"The token is short. Write {SHORTEST_TOKEN} or more signs.")
    return token


def _only_here(request: HttpRequest) -> bool:
    """Whether the node is known to this machine alone, and the question comes from it."""
    known_as = urlsplit(settings.NODE.url).hostname
    return known_as in LOOPBACK and request.META.get("REMOTE_ADDR") in LOOPBACK


def _plain(status: int, said: str) -> HttpResponse:
    return HttpResponse(f"{said}\n", status=status, content_type="text/plain; charset=utf-8")


def text() -> str:
    """The node's figures in the exposition format."""
    links = health.links()
    delays = histogram(
        "zhengtong_link_delay_seconds",
        "From a letter's sealing here to its storing at the neighbour.",
        BOUNDS,
        _delays(),
    )
    return write([*_links(links), *_work()]) + delays


def _links(links: Sequence[health.Link]) -> Iterable[Family]:
    now = moment.now()
    backlog: list[Sample] = []
    oldest: list[Sample] = []
    for link in links:
        for lane in Lane:
            row = {"neighbour": link.node.name, "lane": lane.name.lower()}
            found = link.standing.backlog.get(lane)
            since = found.oldest if found else None
            backlog.append(({**row, "stage": "waiting"}, found.waiting if found else 0))
            backlog.append(({**row, "stage": "underway"}, found.underway if found else 0))
            oldest.append((row, (now - since).total_seconds() if since else 0))
    yield Family("zhengtong_link_backlog", "gauge", "Letters without a receipt.", backlog)
    yield Family("zhengtong_link_oldest_seconds", "gauge", "Age of the oldest of them.", oldest)
    yield _by_link("failures", "Failed dials in a row.", links, lambda it: it.node.failures)
    yield _by_link(
        "last_contact_timestamp_seconds",
        "When the neighbour was last heard.",
        links,
        lambda it: it.node.last_contact.timestamp() if it.node.last_contact else 0,
    )
    yield _by_link(
        "clock_skew_seconds",
        "The neighbour's clock minus ours.",
        (link for link in links if link.node.skew_ms is not None),
        lambda it: (it.node.skew_ms or 0) / 1000,
    )
    yield _by_link(
        "certificate_expiry_timestamp_seconds",
        "Until when the neighbour's certificate is good.",
        (link for link in links if link.node.certificate_until is not None),
        lambda it: it.node.certificate_until.timestamp() if it.node.certificate_until else 0,
    )
    alarms = [
        ({"neighbour": link.node.name, "code": alarm.code}, 1.0)
        for link in links
        for alarm in link.alarms
    ]
    yield Family("zhengtong_link_alarm", "gauge", "Open alarms of the links.", alarms)


def _by_link(
    name: str, help: str, links: Iterable[health.Link], value: Callable[[health.Link], float]
) -> Family:
    samples = [({"neighbour": link.node.name}, float(value(link))) for link in links]
    return Family(f"zhengtong_link_{name}", "gauge", help, samples)


def _delays() -> Iterable[Histogram]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
    sums: dict[str, float] = defaultdict(float)
    for name, bucket, letters, seconds in health.totals():
        counts[name][bucket] += letters
        sums[name] += seconds
    return [Histogram({"neighbour": name}, row, sums[name]) for name, row in counts.items()]


def _work() -> Iterable[Family]:
    """What waits for people and for the worker."""
    open_tasks = Task.objects.unlabelled("counting for the metrics").filter(closed_at=None)
    counted = dict(open_tasks.order_by().values_list("reading").annotate(Count("pk")))
    yield Family(
        "zhengtong_tasks_open",
        "gauge",
        "Things that wait for a person.",
        [({"kind": word}, counted.get(reading, 0)) for reading, word in KINDS.items()],
    )
    waiting: list[Sample] = [
        ({"job": "reactions"}, Message.objects.filter(pending=True).count()),
        ({"job": "audit"}, AuditEntry.objects.filter(leaf=None).count()),
        ({"job": "extraction"}, StoredFile.objects.filter(extracted=False).count()),
        ({"job": "indexing"}, Changed.objects.count()),
    ]
    yield Family("zhengtong_worker_waiting", "gauge", "What waits for the worker.", waiting)
    failed: list[Sample] = [
        ({"kind": "reaction"}, Handling.objects.filter(dead=True, done=False).count()),
        ({"kind": "refused"}, commands.refused().count()),
        ({"kind": "unsealed"}, commands.stuck().count()),
    ]
    yield Family("zhengtong_failed", "gauge", "What was given up and waits for somebody.", failed)
    lease = Lease.objects.filter(name=LEASE).first()
    looked = (lease.until - 3 * EVERY).timestamp() if lease else 0.0
    yield _single("worker_looked_timestamp_seconds", "When a worker last looked round.", looked)
    free = shutil.disk_usage(settings.NODE.home).free
    yield _single("disk_free_bytes", "Room on the node's disk.", free)


def _single(name: str, help: str, value: float) -> Family:
    return Family(f"zhengtong_{name}", "gauge", help, [({}, value)])
