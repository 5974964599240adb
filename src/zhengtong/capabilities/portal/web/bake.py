"""The baker: writes what has changed, removes what is gone, reports both, and checks it all.

Incremental: a batch of topics names the pages to look at, those that stood on a topic and those a
topic may have brought into being. Each is rendered from the tables; one that no longer renders is
removed. Full: every page is compared with what it should be, nightly and after the templates
changed, and repaired; a difference then is a fault of ours and is kept as such.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable, Iterator
from datetime import time
from functools import cache
from pathlib import Path
from threading import Event
from uuid import UUID

from django.conf import settings

from zhengtong.capabilities.portal import queries
from zhengtong.capabilities.portal.commands import baking, online
from zhengtong.capabilities.portal.commands.seed import seed
from zhengtong.capabilities.portal.web import pages
from zhengtong.kernel import leases, moment
from zhengtong.kernel.baked import CONTENT_TYPES, BakedStore, relative_file, suffix_of
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.engine import leave_no_trace
from zhengtong.kernel.files import StoredFile, path_of
from zhengtong.kernel.messages.models import Arrival, Message
from zhengtong.kernel.search.queue import rebuild_waiting

LEASE, LEASE_SECONDS = "portal-bake", 30
AT_ONCE = 200
NIGHT = time(2, 30)
NOT_OURS = "/static/"


def work() -> bool:
    """The worker's job; whether there was anything to do. One worker bakes at a time."""
    worked = _seed_once()
    if not settings.PUBLIC_FACE or not (baking.waiting() or check_is_due()):
        return worked
    if not leases.take(LEASE, _holder(), LEASE_SECONDS):
        return worked
    try:
        if bake_waiting():
            return True
        if check_is_due():
            check()
            return True
        return worked
    finally:
        leases.give_back(LEASE, _holder())


def _seed_once() -> bool:
    """Bring sites and columns up to date, once in the life of a worker; whether this was it."""
    if _seeded.is_set():
        return False
    seed(node_actor())
    _seeded.set()
    return True


_seeded = Event()


def bake_waiting() -> bool:
    """Bake what one batch of changed topics asks for, then report; whether there was any."""
    if not baking.waiting():
        return False
    batch = baking.take()
    bake(_affected(batch.topics))
    _unlink_files(batch.topics)
    if (baking.SCRUB in batch.topics or baking.removal_waiting()) and not _scrubbed():
        return False  # once more at the next turn; nothing has been reported yet
    _report(batch.topics)
    baking.done(batch)
    return True


def _affected(topics: Iterable[str]) -> set[str]:
    wanted, sites = set(topics), queries.structure()
    return queries.needing(wanted).union(*(pages.of_topic(topic, sites) for topic in wanted))


def bake(paths: Iterable[str], store: BakedStore | None = None) -> list[str]:
    """Make these addresses hold what they should; the paths at which anything changed."""
    store = store or BakedStore(settings.NODE.baked)
    sites, changed = queries.structure(), []
    for some in _batched(sorted(paths), AT_ONCE):
        needs = {}
        for path in some:
            page = pages.render(path, sites)
            if _put(store, path, page):
                changed.append(path)
            needs[path] = page.topics if page else frozenset()
        baking.record(needs)
        leases.take(LEASE, _holder(), LEASE_SECONDS)  # still at it
    return changed


def _put(store: BakedStore, path: str, page: pages.Page | None) -> bool:
    """Write or remove one page; whether that changed anything."""
    if page is None:
        return store.remove(path)
    if _same(store, path, page):
        return False
    body = page.file.read_bytes() if page.file else page.body
    store.write(path, body, CONTENT_TYPES[suffix_of(path)])
    return True


def _batched(paths: list[str], size: int) -> Iterator[list[str]]:
    """The list in stretches of at most `size`."""
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


def rebake_all(store: BakedStore | None = None) -> list[str]:
    """Compare every page with what it should be and repair it; the paths that differed."""
    store = store or BakedStore(settings.NODE.baked)
    standing = {path for path in store.paths() if not path.startswith(NOT_OURS)}
    return bake(standing.union(pages.every_path(queries.structure())), store)


def differences(store: BakedStore | None = None) -> list[str]:
    """The paths at which something else stands than should, without touching anything."""
    store = store or BakedStore(settings.NODE.baked)
    standing = {path for path in store.paths() if not path.startswith(NOT_OURS)}
    found, sites = [], queries.structure()
    for path in sorted(standing.union(pages.every_path(sites))):
        page = pages.render(path, sites)
        if (page is None and path in standing) or (page and not _same(store, path, page)):
            found.append(path)
    return found


def examine() -> Iterator[str]:
    """What `zhengtong doctor` says of the baked pages of a public node."""
    if settings.PUBLIC_FACE and (wrong := differences()):
        yield f"{len(wrong)} public pages are not as they should be, {wrong[0]} among them"


def check_is_due() -> bool:
    """Once a night, and whenever the templates have changed since the last time."""
    last = queries.last_check()
    if last is None or last.look != _look():
        return True
    here = moment.now().astimezone(moment.CHINA)
    return last.at.astimezone(moment.CHINA).date() < here.date() and here.time() >= NIGHT


def check() -> list[str]:
    """Compare and repair everything, and keep the outcome; the paths that differed."""
    differed = rebake_all()
    total = sum(not path.startswith(NOT_OURS) for path in BakedStore(settings.NODE.baked).paths())
    baking.note_check(total, differed, _look())
    return differed


def _same(store: BakedStore, path: str, page: pages.Page) -> bool:
    if page.file is not None:  # named by its content: the size tells a whole copy from none
        there = store.root / relative_file(path)
        return there.is_file() and there.stat().st_size == page.file.stat().st_size
    found = store.read(path)
    return found is not None and found.body == page.body


def _unlink_files(topics: Iterable[str]) -> None:
    """Delete files that no row names any more."""
    for topic in topics:
        kind, _, sha256 = topic.partition(":")
        if kind == "file" and not StoredFile.objects.filter(pk=sha256).exists():
            path_of(sha256).unlink(missing_ok=True)


def _scrubbed() -> bool:
    """Whether nothing of what was deleted is left in the index and the database's files."""
    return not rebuild_waiting() and leave_no_trace(
        Message, Arrival, StoredFile, *queries.withdrawable()
    )


def _report(topics: Iterable[str]) -> None:
    shown = [UUID(topic[8:]) for topic in topics if topic.startswith("article:")]
    if queries.online().filter(pk__in=shown).exists():
        online.report_online(node_actor(), shown)
    if baking.removal_waiting():
        online.report_removed(node_actor())


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@cache
def _look() -> str:
    """A digest of everything pages are made with: the templates here and those of the house."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    house = here.parents[2] / "ui" / "templates"
    for folder in (here.parent / "templates", house, here):
        for file in sorted(folder.rglob("*.*")):
            if file.suffix in {".html", ".xml", ".atom", ".py"}:
                digest.update(file.read_bytes())
    return digest.hexdigest()
