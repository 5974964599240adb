"""`zhengtong doctor`: is this node sound? Every finding says what to do."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from typing import Any

from zhengtong.faces.cli.start import CommandFailed, enter, require_ready

LOW_DISK = 1 << 30


def add(words: Any) -> None:
    word = words.add_parser("doctor", help="examine the node and say what is wrong")
    word.add_argument("--audit", action="store_true", help="check the whole sealed audit log")
    word.add_argument("--rebuild-index", action="store_true", help="make the search index anew")
    word.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print one line per finding; 1 when something is wrong."""
    enter(chosen.node)
    if chosen.rebuild_index:
        return _rebuild()
    findings = list(_audit() if chosen.audit else examine())
    for finding in findings:
        print(f"✗ {finding}")
    if not findings:
        print("✓ the audit log is whole" if chosen.audit else "✓ the node is sound")
    return 1 if findings else 0


def _audit() -> Iterator[str]:
    from zhengtong.kernel import audit
    from zhengtong.kernel.messages.identity import own_cards

    yield from audit.problems(*own_cards())


def _rebuild() -> int:
    from zhengtong.kernel.search import IndexBusy
    from zhengtong.kernel.search.indexer import Indexer

    indexer = Indexer()
    try:
        print(f"✓ {indexer.rebuild()} records indexed")
    except IndexBusy as error:
        raise CommandFailed("a worker holds the index. Stop `serve`, then try again.") from error
    finally:
        indexer.close()
    return 0


def examine() -> Iterator[str]:
    """What is wrong with this node, most basic first."""
    from django.conf import settings
    from django.utils.module_loading import import_string

    from zhengtong.kernel import stamping
    from zhengtong.kernel.capability import capabilities
    from zhengtong.kernel.messages.identity import own_keys
    from zhengtong.wire.errors import WireError

    try:
        require_ready()
    except CommandFailed as error:
        yield str(error)
        return
    try:
        own_keys()
    except (FileNotFoundError, WireError) as error:
        yield f"the node's keys cannot be read ({error}). Restore keys/ from the backup."
        return
    mode = settings.NODE.keys.stat().st_mode & 0o077
    if mode:
        yield f"others can read {settings.NODE.keys}. Run: chmod 700 {settings.NODE.keys}"
    if shutil.disk_usage(settings.NODE.home).free < LOW_DISK:
        yield "less than 1 GiB of disk is free. Make room before documents are refused."
    yield from _certificate()
    yield from _links()
    yield from _certificates()
    yield from _reactions()
    yield from _files()
    yield from stamping.problems()
    for capability in capabilities():
        for check in capability.checks:
            yield from import_string(check)()
    yield from _audit()


def _certificate() -> Iterator[str]:
    from django.conf import settings

    from zhengtong.kernel.messages.identity import own_credentials

    if settings.NODE.needs_certificate:
        yield from own_credentials().problems(settings.NODE.name)


def _links() -> Iterator[str]:
    from zhengtong.kernel.messages import health
    from zhengtong.kernel.messages.link_commands import title_of
    from zhengtong.kernel.messages.models import Letter, Neighbour, Sent

    for alarm in health.open_alarms():
        yield f"alarm on the link to {alarm.neighbour.name}: {title_of(alarm.code)}. {alarm.detail}"
    for link in Neighbour.objects.order_by("name"):
        if link.failures:
            yield f"link to {link.name}: {link.failures} failures in a row, {link.last_error}"
    refused = Sent.objects.exclude(refusal="").count()
    if refused:
        yield f"{refused} letters were refused by their receivers; see the page 节点监控"
    stuck = Letter.objects.exclude(problem="").count()
    if stuck:
        yield f"{stuck} letters could not be sealed; see the page 节点监控"


def _certificates() -> Iterator[str]:
    """Those of the nodes below; our own is looked at as it is used."""
    from django.conf import settings

    from zhengtong.kernel.membership.queries import warnings

    for node, days in warnings():
        if node == settings.NODE.name:
            continue
        ends = f"ends in {days} days" if days >= 0 else "has ended"
        yield f"the certificate of {node} {ends}. Run there: zhengtong node renew-certificate"


def _reactions() -> Iterator[str]:
    from zhengtong.kernel.messages.models import Handling

    dead = Handling.objects.filter(dead=True).count()
    if dead:
        yield f"{dead} reactions have failed for good; see the page 节点监控"


def _files() -> Iterator[str]:
    from zhengtong.kernel.files import StoredFile, path_of

    for file in StoredFile.objects.iterator():
        path = path_of(file.sha256)
        if not path.exists() or path.stat().st_size != file.size:
            yield f"file {file.sha256} is missing or cut short. Restore files/ from the backup."
