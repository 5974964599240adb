"""`/livez` and `/readyz`: whether the process runs, and whether the node can do its work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from zhengtong.kernel.messages.models import Neighbour

PROBE = bytes(4096)  # a disk without room for one block has none for a letter


@require_GET
def alive(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked."""
    return _said(200, "ok")


@require_GET
def ready(request: HttpRequest) -> HttpResponse:
    """200 when database and disk work, 503 with the reason when one does not.

    Nothing secret is said: the question needs no sign-in.
    """
    found = {"database": _tried(_ask_database), "disk": _tried(_write_files)}
    status = 503 if any(found.values()) else 200
    return _said(status, "\n".join(f"{name}: {fault or 'ok'}" for name, fault in found.items()))


def _tried(probe: Callable[[], None]) -> str:
    """The fault that a probe met, in one word."""
    try:
        probe()
    except DatabaseError:
        connection.close()  # the next question shall find out anew
        return "failed"
    except OSError as error:
        return os.strerror(error.errno or 0)
    return ""


def _ask_database() -> None:
    Neighbour.objects.exists()


def _write_files() -> None:
    """Write where the node keeps its own things and its files."""
    for folder in {settings.NODE.run, settings.NODE.files}:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            probe.write(PROBE)
            os.fsync(probe.fileno())


def _said(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
