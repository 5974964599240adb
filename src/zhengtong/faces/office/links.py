"""Nodes and links: who was heard when, what waits, what was refused, what failed here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from zhengtong.faces.office.replies import said
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied, HouseError
from zhengtong.kernel.labels import Level, Zone
from zhengtong.kernel.messages import commands
from zhengtong.kernel.messages.models import Arrival, Handling, Letter, LinkLane, Neighbour
from zhengtong.ui.pieces import Tone
from zhengtong.wire.errors import Refusal, WireError

QUIET = timedelta(minutes=5)
SHOWN = 50
BACK = "/links/"


@require_GET
def links(request: HttpRequest) -> HttpResponse:
    """Everything an administrator of the network looks at, on one page."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if not actor.has("links.read"):
        raise Denied("您的岗位没有“查看节点与连接”的职责。")
    return render(
        request,
        "face/links.html",
        {
            "neighbours": [_neighbour(item) for item in _neighbours()],
            "refused": [
                {"letter": item, "reason": reason(item.sent.refusal)}
                for item in commands.refused()[:SHOWN]
            ],
            "stuck": commands.stuck()[:SHOWN],
            "rejected": [
                {"arrival": item, "reason": reason(item.refusal)}
                for item in Arrival.objects.exclude(refusal="")
                .select_related("neighbour")
                .order_by("-at")[:SHOWN]
            ],
            "dead": Handling.objects.filter(dead=True, done=False)
            .select_related("message")
            .order_by("-id")[:SHOWN],
            "may_resend": actor.has("messages.resend"),
            "may_retry": actor.has("messages.retry"),
        },
    )


def _neighbours() -> Any:
    waiting = (
        Letter.objects.filter(waiting=True)
        .values_list("neighbour")
        .annotate(number=Count("pk"))
        .values_list("neighbour", "number")
    )
    counted = dict(waiting)
    lanes = LinkLane.objects.values("neighbour").annotate(open=Sum(F("sealed") - F("receipted")))
    unreceipted = dict(lanes.values_list("neighbour", "open"))
    for item in Neighbour.objects.order_by("-is_parent", "name"):
        item.unreceipted = unreceipted.get(item.pk, 0)  # type: ignore[attr-defined]
        item.waiting = counted.get(item.pk, 0)  # type: ignore[attr-defined]
        yield item


def _neighbour(item: Any) -> dict[str, Any]:
    word, tone = _state(item)
    return {
        "node": item,
        "word": word,
        "tone": tone,
        "zone": Zone(item.zone).word,
        "ceiling": Level(item.ceiling).word,
        "waiting": item.waiting,
        "unreceipted": item.unreceipted,
    }


def _state(item: Neighbour) -> tuple[str, Tone]:
    if item.suspended:
        return "已停用", "idle"
    if item.last_contact is None:
        return "从未联系", "wait"
    if item.failures:
        return "联系失败", "bad"
    if moment.now() - item.last_contact > QUIET:
        return "久未联系", "wait"
    return "正常", "ok"


def reason(code: str) -> str:
    """A typed refusal in words for people."""
    try:
        return WireError(Refusal(code)).zh
    except ValueError:
        return code


@require_POST
def resend(request: HttpRequest, letter: int) -> HttpResponse:
    """Send a refused letter once more."""
    return _do(request, lambda actor: commands.resend(actor, letter), "已重新发出。")


@require_POST
def retry(request: HttpRequest, handling: int) -> HttpResponse:
    """Let a failed reaction try once more."""
    return _do(request, lambda actor: commands.retry(actor, handling), "已重新排队处理。")


def _do(request: HttpRequest, act: Any, text: str) -> HttpResponse:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    try:
        act(actor)
    except Denied:
        raise
    except HouseError as error:
        return said(request, BACK, error.message, tone="bad")
    return said(request, BACK, text)
