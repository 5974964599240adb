"""Attachments of a draft between two tries: a file that has arrived is never asked for again.

An upload is stored at once. If the form then fails, the page carries a signed reference to the
stored file, bound to the person who uploaded it; so nobody can attach a file they never had.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.core import signing
from django.http import HttpRequest

from zhengtong.capabilities.documents import queries
from zhengtong.kernel import files
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Invalid
from zhengtong.kernel.files import StoredFile

HALF_A_DAY = 12 * 3600


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored file that is not yet attached."""

    token: str
    name: str
    file: StoredFile


@dataclass(slots=True)
class Uploads:
    """The attachments of one submitted form."""

    waiting: list[Waiting] = field(default_factory=list)
    keep: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def take(request: HttpRequest, actor: Actor, document: Any | None) -> Uploads:
    """Store what has come, find again what came before, leave out what was ticked away."""
    removed = set(request.POST.getlist("remove"))
    taken = Uploads()
    if document is not None:
        taken.keep = [
            item.pk for item in queries.attachments(document) if f"kept:{item.pk}" not in removed
        ]
    for token in request.POST.getlist("stored"):
        if token not in removed and (found := _read(token, actor)):
            taken.waiting.append(found)
    for upload in request.FILES.getlist("attachments"):
        name = upload.name or "未命名"
        try:
            stored = files.store(upload, name)
        except Invalid as error:
            taken.problems.append(error.message)
        else:
            taken.waiting.append(_sign(stored, name, actor))
    return taken


def _salt(actor: Actor) -> str:
    return f"documents.upload.{actor.person}"


def _sign(stored: StoredFile, name: str, actor: Actor) -> Waiting:
    return Waiting(signing.dumps([stored.pk, name], salt=_salt(actor)), name, stored)


def _read(token: str, actor: Actor) -> Waiting | None:
    try:
        sha256, name = signing.loads(token, salt=_salt(actor), max_age=HALF_A_DAY)
    except signing.BadSignature:
        return None
    stored = StoredFile.objects.filter(pk=sha256).first()
    return Waiting(token, name, stored) if stored else None
