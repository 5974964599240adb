"""The node page (节点监控): how this node stands with its neighbours, and what has failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from zhengtong.faces.office import link_words as words
from zhengtong.faces.office.replies import said
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied, HouseError, NotFound
from zhengtong.kernel.labels import Level, Zone
from zhengtong.kernel.messages import commands, health, link_commands
from zhengtong.kernel.messages.alarms import Backlog
from zhengtong.kernel.messages.models import Arrival, Handling, LinkAlarm
from zhengtong.kernel.moment import CHINA
from zhengtong.ui import topology
from zhengtong.ui.pieces import Tone

SHOWN = 50
PAST_ALARMS = 20
HOME = "/links/"
WORST_FIRST: tuple[Tone, ...] = ("bad", "wait", "ok", "info", "idle")


def administrator(request: HttpRequest) -> Actor:
    """Who looks at the links. Raises Denied for everybody without that duty."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if not actor.has("links.read"):
        raise Denied("您的岗位没有“查看节点与连接”的职责。需要查看的，请联系本单位管理员。")
    return actor


@require_GET
def links(request: HttpRequest) -> HttpResponse:
    """The whole neighbourhood: a picture, its data as a table, and what has failed."""
    actor = administrator(request)
    found, now = health.links(), moment.now()
    rows = [_row(link, now) for link in found]
    return render(
        request,
        "face/links.html",
        {
            "rows": sorted(rows, key=lambda row: WORST_FIRST.index(row["tone"])),
            "drawing": _drawing(rows) if rows else None,
            "summary": _summary(rows),
            "alarms": [words.advice(alarm) for link in found for alarm in link.alarms],
            "now": now,
        }
        | _failures(actor),
    )


@require_GET
def link(request: HttpRequest, name: str) -> HttpResponse:
    """One link: its delays, lanes and alarms, both logs, and what was refused."""
    actor = administrator(request)
    found = health.links(name)
    if not found:
        raise NotFound("没有这个相邻节点。请从节点监控页面进入。")
    now = moment.now()
    past = LinkAlarm.objects.filter(neighbour=found[0].node).exclude(cleared_at=None)
    return render(
        request,
        "face/link.html",
        {
            "row": _row(found[0], now),
            "facts": _facts(found[0], now),
            "lanes": _lanes(found[0], now),
            "charts": _charts(found[0]),
            "alarms": [words.advice(alarm) for alarm in found[0].alarms],
            "past": [words.advice(alarm) for alarm in past.order_by("-cleared_at")[:PAST_ALARMS]],
            "may_clear": actor.has(link_commands.CLEAR),
            "now": now,
        }
        | _failures(actor, name),
    )


def _row(found: health.Link, now: datetime) -> dict[str, Any]:
    node = found.node
    word, tone = words.state(found, now)
    return {
        "link": found,
        "node": node,
        "word": word,
        "tone": tone,
        "zone": Zone(node.zone).word,
        "ceiling": Level(node.ceiling).word,
        "p50": words.seconds(found.hour.p50),
        "p99": words.seconds(found.hour.p99),
        "waits": words.span(now - found.oldest) if found.oldest else "—",
        "clock": words.clock(node.skew_ms),
        "certificate": words.certificate(node.certificate_until, now),
    }


def _drawing(rows: list[dict[str, Any]]) -> topology.Drawing:
    """This node in the middle; a picture of what the table says."""
    places = [
        topology.Place(
            row["node"].title,
            f"{HOME}{row['node'].name}/",
            row["word"],
            row["tone"],
            f"积压 {row['link'].backlog}" if row["link"].backlog else "",
        )
        for row in rows
    ]
    above = next((at for at, row in enumerate(rows) if row["node"].is_parent), None)
    parent = places.pop(above) if above is not None else None
    here = topology.Place(settings.NODE.title, "", "本节点", "info")
    return topology.draw(here, parent, places)


def _summary(rows: list[dict[str, Any]]) -> str:
    """The picture in one sentence, for those who do not see it and those in a hurry."""
    bad = [row["node"].title for row in rows if row["tone"] == "bad"]
    waiting = sum(row["link"].backlog for row in rows)
    text = f"共 {len(rows)} 个相邻节点，{sum(row['tone'] == 'ok' for row in rows)} 个正常"
    if bad:
        text += f"，需要处理：{'、'.join(bad)}"
    return f"{text}；积压信件 {waiting} 封。"


def _lanes(found: health.Link, now: datetime) -> list[dict[str, Any]]:
    """Every lane in use, and those of the four that are not, so that the eye finds them."""
    used = set(found.lanes) | set(found.standing.backlog) | {0, 1, 2, 3}
    rows = []
    for number in sorted(used):
        backlog = found.standing.backlog.get(number, Backlog())
        rows.append(
            {
                "word": words.lane(number),
                "numbers": found.lanes.get(number),
                "backlog": backlog,
                "waits": words.span(now - backlog.oldest) if backlog.oldest else "—",
            }
        )
    return rows


def _facts(found: health.Link, now: datetime) -> list[tuple[str, str]]:
    node = found.node
    theirs = f"{node.log_size:,} 条，已核对" if node.log_size else "尚未核对"
    ours = f"{node.witness_size:,} 条，已会签" if node.witness_size else "尚未会签"
    return [
        ("线路", words.ROADS.get(node.road, node.road)),
        ("对方存证日志", theirs),
        ("本节点存证日志", ours),
        ("其根哈希", node.log_root.hex()[:16]),
        ("软件版本", node.version),
        ("对方时钟", words.clock(node.skew_ms)[0]),
        ("证书", words.certificate(node.certificate_until, now)[0]),
        ("区域与密级", f"{Zone(node.zone).word}，最高{Level(node.ceiling).word}"),
        ("节点标识", node.name),
    ]


def _charts(found: health.Link) -> list[dict[str, Any]]:
    """The delays of a day, hour by hour, as two small charts."""
    hours = health.history(found.node)
    labels = [f"{at.astimezone(CHINA):%H:00}" for at, _ in hours]
    charts = []
    for title, key, day in (
        ("中位时延", "p50", found.day.p50),
        ("最慢百分之一（p99）", "p99", found.day.p99),
    ):
        values = [getattr(item, key) for _, item in hours]
        points = [
            (label, None if value is None else round(value, 2))
            for label, value in zip(labels, values, strict=True)
        ]
        desc = f"近 24 小时每小时的{title}；全天 {words.seconds(day)}，共 {found.day.letters} 封。"
        charts.append({"title": title, "points": points, "desc": desc})
    return charts


def _failures(actor: Actor, name: str = "") -> dict[str, Any]:
    """What was refused there, could not leave, was refused here, or failed here."""
    refused, stuck = commands.refused(), commands.stuck()
    rejected = Arrival.objects.exclude(refusal="").select_related("neighbour").defer("envelope")
    dead = Handling.objects.filter(dead=True, done=False).select_related("message")
    if name:
        refused, stuck = refused.filter(neighbour__name=name), stuck.filter(neighbour__name=name)
        rejected = rejected.filter(neighbour__name=name)
        dead = dead.filter(
            message__in=Arrival.objects.filter(neighbour__name=name).values("message")
        )
    return {
        "refused": [
            {
                "letter": item,
                "kind": words.kind(item.message.kind),
                "reason": words.reason(item.sent.refusal),
            }
            for item in refused[:SHOWN]
        ],
        "stuck": [
            {"letter": item, "kind": words.kind(item.message.kind)} for item in stuck[:SHOWN]
        ],
        "rejected": [
            {"arrival": item, "reason": words.reason(item.refusal)} for item in rejected[:SHOWN]
        ],
        "dead": [
            {"handling": item, "kind": words.kind(item.message.kind)}
            for item in dead.order_by("-id")[:SHOWN]
        ],
        "may_resend": actor.has("messages.resend"),
        "may_retry": actor.has("messages.retry"),
    }


@require_GET
def proof(request: HttpRequest, alarm: int) -> HttpResponse:
    """What the neighbour signed and was contradicted by: the very bytes, for an expert."""
    administrator(request)
    found = LinkAlarm.objects.select_related("neighbour").filter(pk=alarm).first()
    if found is None or not found.proof:
        raise NotFound("这条告警没有可以导出的证据。")
    response = HttpResponse(bytes(found.proof), content_type="application/octet-stream")
    name = f"{found.neighbour.title}-{found.code}-{found.pk}.bin"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    response["X-Content-Type-Options"] = "nosniff"
    return response


@require_POST
def resend(request: HttpRequest, letter: int) -> HttpResponse:
    """Send a refused letter once more."""
    return _do(request, lambda actor: commands.resend(actor, letter), "已重新发出。")


@require_POST
def retry(request: HttpRequest, handling: int) -> HttpResponse:
    """Let a failed reaction try once more."""
    return _do(request, lambda actor: commands.retry(actor, handling), "已重新排队处理。")


@require_POST
def clear(request: HttpRequest, alarm: int) -> HttpResponse:
    """End an alarm with what was found out about it."""
    reason = request.POST.get("reason", "")
    text = "告警已解除。如果原因仍在，几秒钟后会再次告警。"
    return _do(request, lambda actor: link_commands.clear(actor, alarm, reason), text)


def _do(request: HttpRequest, act: Callable[[Actor], object], text: str) -> HttpResponse:
    """Run a command and say on the page it was asked from what came of it."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    asked = request.POST.get("back", "")
    back = asked if asked.startswith(HOME) and "\\" not in asked else HOME
    try:
        act(actor)
    except Denied:
        raise
    except HouseError as error:
        return said(request, back, error.message, tone="bad")
    return said(request, back, text)
