"""What every page of the office shell needs to know."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from zhengtong.kernel import tasks
from zhengtong.kernel.capability import capabilities
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Organisation


def shell(request: HttpRequest) -> dict[str, Any]:
    """Navigation from the registry, the to-do count and who is signed in."""
    actor: Actor | None = getattr(request, "actor", None)
    base = {"node": settings.NODE, "actor": actor}
    if actor is None or actor.anonymous:
        return base
    return base | {
        "nav": SimpleLazyObject(lambda: navigation(actor, request.path)),
        "todo_count": SimpleLazyObject(lambda: tasks.to_do(actor).count()),
        "organisation": SimpleLazyObject(
            lambda: Organisation.objects.filter(pk__in=actor.organisations).first()
        ),
    }


def navigation(actor: Actor, path: str) -> list[dict[str, Any]]:
    """The entries this actor's duties open, in their order."""
    entries = sorted(
        (item for part in capabilities() for item in part.navigation),
        key=lambda item: item.order,
    )
    return [
        {"title": item.title, "url": item.url, "active": path.startswith(item.url)}
        for item in entries
        if not item.duties or any(actor.has(duty) for duty in item.duties)
    ]
