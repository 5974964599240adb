"""What every page of the office shell needs to know."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from zhengtong.kernel import tasks
from zhengtong.kernel.capability import Navigation, capabilities
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.ui.pieces import NavItem, Site

MINE, HOUSE = "我的工作", "管理"
# The kernel's own pages: they belong to no capability.
FIRST = (Navigation("待办事项", "/"), Navigation("搜索", "/search"))
LAST = (
    Navigation("审计", "/audit/", ("audit.read",)),
    Navigation("节点监控", "/links/", ("links.read",)),
    Navigation("入网节点", "/nodes/", ("nodes.read",)),
    Navigation("摆渡", "/ferry/", ("ferry.export", "ferry.import")),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Navigation from the registry, the to-do count and who is signed in."""
    node = settings.NODE
    actor: Actor | None = getattr(request, "actor", None)
    base: dict[str, Any] = {"node": node, "actor": actor}
    if settings.PUBLIC_FACE:
        return base | {"face": "public"}
    base |= {"face": "office", "site": Site(node.title, demo=node.demo)}
    if actor is None or actor.anonymous:
        return base
    return base | {
        "nav": SimpleLazyObject(lambda: navigation(actor, request.path)),
        "todo_count": SimpleLazyObject(lambda: tasks.to_do(actor).count()),
        "todo_url": "/",
        "search_url": "/search",
        "sign_out_url": "/sign-out",
        "organisation": SimpleLazyObject(
            lambda: Organisation.objects.filter(pk__in=actor.organisations[:1]).first() or ""
        ),
        "person": {"name": actor.name, "post": actor.title, "key": str(actor.person)},
        "said": SimpleLazyObject(lambda: request.session.pop("said", None) or {}),
    }


def navigation(actor: Actor, path: str) -> list[NavItem]:
    """The entries this actor's duties open: the to-do list, each capability's, the house's."""
    parts = sorted(
        (part for part in capabilities() if part.navigation),
        key=lambda part: min(item.order for item in part.navigation),
    )
    groups = [
        (MINE, FIRST),
        *((part.title, sorted(part.navigation, key=lambda item: item.order)) for part in parts),
        (HOUSE, LAST),
    ]
    return [
        NavItem(item.title, item.url, active=_active(item.url, path), group=group)
        for group, items in groups
        for item in items
        if not item.duties or any(actor.has(duty) for duty in item.duties)
    ]


def _active(url: str, path: str) -> bool:
    return path == url or (url != "/" and path.startswith(url))
