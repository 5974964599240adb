"""The home page is the to-do list: 待办, 待阅, 已办, 我发起."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.module_loading import import_string
from django.views.decorators.http import require_GET, require_POST

from zhengtong.faces.office.replies import said
from zhengtong.kernel import moment, tasks
from zhengtong.kernel.capability import capabilities
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Person
from zhengtong.kernel.errors import HouseError
from zhengtong.kernel.messages import health
from zhengtong.kernel.records import pk_of
from zhengtong.kernel.tasks import Task
from zhengtong.ui.pieces import Tone

PER_PAGE = 20
URGENCY: dict[int, tuple[str, Tone]] = {
    0: ("平件", "idle"),
    1: ("加急", "wait"),
    2: ("特急", "bad"),
}


def started(actor: Actor) -> QuerySet[Task]:
    """我发起: each matter once, at the step it has come to."""
    mine = tasks.started(actor)
    newest = mine.filter(subject=OuterRef("subject")).order_by("-created_at", "-pk").values("pk")
    return mine.filter(pk=Subquery(newest[:1]))


TABS: dict[str, tuple[str, Callable[[Actor], QuerySet[Task]], str, str]] = {
    "todo": ("待办", tasks.to_do, "没有待办事项", "新的公文和事项到达后会显示在这里。"),
    "reading": ("待阅", tasks.to_read, "没有待阅文件", "传阅给您的文件会显示在这里。"),
    "done": ("已办", tasks.done, "还没有办理过事项", "您办理过的事项会按时间列在这里。"),
    "started": ("我发起", started, "还没有发起过事项", "您起草的公文办到哪一步，可以在这里查看。"),
}


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """One tab of the list, twenty to a page."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    tab = request.GET.get("tab", "todo")
    tab = tab if tab in TABS else "todo"
    title, query, nothing, hint = TABS[tab]
    page = Paginator(query(actor), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "title": title,
        "tab": tab,
        "tabs": [
            {"key": key, "title": word, "count": _count(actor, rows, page if key == tab else None)}
            for key, (word, rows, _, _) in TABS.items()
        ],
        "page": page,
        "rows": _rows(list(page.object_list)),
        "nothing": nothing,
        "hint": hint,
        "link_alarms": health.open_alarms() if actor.has("links.read") else (),
    }
    return render(request, "face/home.html", context)


def _count(actor: Actor, rows: Callable[[Actor], QuerySet[Task]], page: Page[Task] | None) -> int:
    """The shown tab has been counted already by its paginator."""
    return page.paginator.count if page is not None else rows(actor).count()


def _rows(found: list[Task]) -> list[dict[str, Any]]:
    starters = {task.started_by for task in found if task.started_by}
    names = dict(Person.objects.filter(pk__in=starters).values_list("pk", "name"))
    return [
        {
            "task": task,
            "urgency": URGENCY.get(task.urgency, URGENCY[0]),
            "starter": names.get(task.started_by, "") if task.started_by else "",
            "late": bool(task.due_at and not task.closed_at and task.due_at < moment.now()),
        }
        for task in found
    ]


@require_GET
def count(request: HttpRequest) -> JsonResponse:
    """How much waits, for pages that cannot keep a stream open."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return JsonResponse({"todo": tasks.to_do(actor).count(), "read": tasks.to_read(actor).count()})


@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Mark the ticked readings as read. Each is its own command: one that fails stops no other."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    marks = {kind: import_string(path) for part in capabilities() for kind, path in part.task_kinds}
    chosen = [pk for text in request.POST.getlist("task") if (pk := _uuid(text))]
    found = list(tasks.to_read(actor).filter(pk__in=chosen))
    gone, failed = len(chosen) - len(found), []
    for task in found:
        try:
            marks[task.kind](actor, pk_of(task.subject))
        except HouseError as error:
            failed.append(f"《{task.title}》：{error.message}")
        except KeyError:
            failed.append(f"《{task.title}》：这类事项请打开后办理。")
    back = "/?tab=reading"
    if not chosen:
        return said(request, back, "没有选中文件。请先勾选要标记为已阅的文件。", tone="bad")
    if gone:
        failed.append(f"{gone} 件已不在待阅列表中。")
    text = f"{len(found) - len(failed) + bool(gone)} 件已阅。"
    if failed:
        text = text.removesuffix("。") + "，其余未成功："
    return said(request, back, text, details=failed, tone="bad" if failed else "ok")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
