"""The ferry's pages, for the person who carries: make a disc, bring one, see what to do next."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from zhengtong.faces.office.replies import said
from zhengtong.kernel.commands import must_find
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied, HouseError, NotFound, Refused
from zhengtong.kernel.labels import Level, Zone
from zhengtong.kernel.messages.identity import own_keys
from zhengtong.kernel.messages.roads import commands, ferry, hold, queries
from zhengtong.kernel.messages.roads.models import State, Voyage
from zhengtong.ui.pieces import Tone
from zhengtong.wire.errors import Refusal, WireError

BACK = "/ferry/"
SHOWN = 50
LANES = {0: "特急", 1: "加急", 2: "普通", 3: "大宗"}
MEDIA = (
    ("650", "光盘 CD（650 MB）"),
    ("4300", "光盘 DVD（4.3 GB）"),
    ("15000", "U 盘（16 GB）"),
    ("60000", "移动硬盘（每卷 60 GB）"),
)
TONES: dict[str, Tone] = {
    State.MAKING: "info",
    State.MADE: "wait",
    State.RETURNED: "ok",
    State.LOST: "idle",
    State.ARRIVING: "info",
    State.IMPORTED: "ok",
}


def actor_who(request: HttpRequest, *duties: str) -> Actor:
    """The person asking, who has one of these duties. Raises Denied."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if not any(actor.has(duty) for duty in (*duties, "links.read")):
        raise Denied("您的岗位没有查看或办理摆渡的职责。")
    return actor


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Who waits for a disc, where to bring one, and the log of voyages."""
    actor = actor_who(request, "ferry.export", "ferry.import")
    log = [_voyage(row) for row in queries.voyages()[:SHOWN]]
    return render(
        request,
        "face/ferry.html",
        {
            "waiting": [_waiting(row) for row in queries.waiting()],
            "log": log,
            "busy": any(row["busy"] for row in log),
            "media": MEDIA,
            "may_export": actor.has("ferry.export"),
            "may_import": actor.has("ferry.import"),
        },
    )


def _waiting(row: queries.Waiting) -> dict[str, Any]:
    return {
        "node": row.neighbour,
        "zone": Zone(row.neighbour.zone).word,
        "ceiling": Level(row.neighbour.ceiling).word,
        "letters": row.letters,
        "size": row.size,
        "lanes": _lanes(row.lanes),
        "newest": _voyage(row.newest) if row.newest else None,
    }


def _lanes(lanes: dict[int, list[int]]) -> list[dict[str, Any]]:
    return [
        {"word": LANES.get(lane, f"第 {lane} 道"), "letters": letters, "size": size}
        for lane, (letters, size) in lanes.items()
    ]


def _voyage(voyage: Voyage) -> dict[str, Any]:
    problem = bool(voyage.problem) and voyage.state == State.ARRIVING
    return {
        "voyage": voyage,
        "way": "发往" if voyage.leaving else "来自",
        "word": "导入受阻" if problem else State(voyage.state).label,
        "tone": "bad" if problem else _tone(voyage),
        "next": queries.next_step(voyage),
        "busy": voyage.state == State.MAKING or (voyage.state == State.ARRIVING and not problem),
    }


def _tone(voyage: Voyage) -> Tone:
    """A voyage without letters has nothing to wait for."""
    answered = voyage.state == State.MADE and not voyage.letters
    return "idle" if answered else TONES[voyage.state]


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One voyage: its volumes to be fetched or still to be brought, and the next step."""
    actor = actor_who(request, "ferry.export", "ferry.import")
    voyage = must_find(queries.voyages(), pk=pk)
    return render(
        request,
        "face/ferry_voyage.html",
        _voyage(voyage)
        | {
            "volumes": _volumes(voyage),
            "lanes": _lanes({int(lane): count for lane, count in voyage.cargo.items()}),
            "level": Level(voyage.level).word,
            "notes": [
                {"number": number, "reason": _reason(code), "detail": text}
                for number, code, text in voyage.notes
            ],
            "may_lose": voyage.leaving
            and voyage.state in (State.MAKING, State.MADE)
            and actor.has("ferry.lose"),
            "may_export": actor.has("ferry.export"),
            "printable": voyage.leaving and bool(voyage.volumes),
        },
    )


def _volumes(voyage: Voyage) -> list[dict[str, Any]]:
    files = _files(voyage)
    rows = []
    for number, (size, _, fingerprint) in enumerate(voyage.volumes, 1):
        file = files.get(number)
        taken = voyage.state == State.IMPORTED or number < voyage.volume
        here = not voyage.leaving and ferry.landed(voyage, number).exists()
        word = "已导入" if taken else "已读入，待导入" if here else "未带来"
        rows.append(
            {
                "number": number,
                "size": size,
                "fingerprint": fingerprint,
                "file": file.name if file and file.exists() else "",
                "word": word,
                "tone": "ok" if taken else "info" if here else "wait",
            }
        )
    return rows


def _files(voyage: Voyage) -> dict[int, Path]:
    """The files of a voyage that this node keeps for download."""
    if not voyage.leaving or voyage.folder or voyage.state != State.MADE:
        return {}
    return dict(enumerate(sorted(ferry.folder_of(voyage).glob(f"*{hold.ENDING}")), 1))


def _reason(code: str) -> str:
    try:
        return WireError(Refusal(code)).zh
    except ValueError:
        return code


@require_GET
def sheet(request: HttpRequest, pk: int) -> HttpResponse:
    """The carrier's sheet (摆渡单), to be printed, carried with the discs and signed."""
    actor_who(request, "ferry.export")
    voyage = must_find(queries.voyages(), pk=pk)
    if not voyage.leaving or not voyage.volumes:
        raise NotFound("这一航次还没有制成，没有摆渡单。")
    return render(
        request,
        "face/ferry_sheet.html",
        _voyage(voyage)
        | {
            "level": Level(voyage.level).word,
            "zone": settings.NODE.zone.word,
            "peer_zone": Zone(voyage.neighbour.zone).word,
            "key": own_keys().signing_kid.hex(),
            "volumes": _volumes(voyage),
            "signers": ("制作人", "递送人", "接收人", "回盘递送人"),
        },
    )


@require_GET
def download(request: HttpRequest, pk: int, number: int) -> FileResponse:
    """One volume as a file, streamed."""
    actor_who(request, "ferry.export")
    voyage = must_find(queries.voyages(), pk=pk)
    file = _files(voyage).get(number)
    if file is None:
        raise NotFound("本节点没有保存这一卷，请重新制作。")
    response = FileResponse(file.open("rb"), as_attachment=True, filename=file.name)
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Order a disc; the worker makes it."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    try:
        limit = int(request.POST.get("media", "")) * commands.MEGABYTE
    except ValueError:
        return said(request, BACK, "请选择介质。", tone="bad")
    try:
        voyage = commands.export(actor, request.POST.get("node", ""), limit=limit)
    except Denied:
        raise
    except HouseError as error:
        return said(request, BACK, error.message, tone="bad")
    return said(request, f"{BACK}{voyage.pk}", "已开始制作，本页会自动更新。")


@require_POST
def lose(request: HttpRequest, pk: int) -> HttpResponse:
    """A disc was lost: give its voyage up, so that the next one carries everything again."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    try:
        voyage = commands.lose(actor, pk, "光盘遗失或损坏，已作废。")
    except Denied:
        raise
    except HouseError as error:
        return said(request, f"{BACK}{pk}", error.message, tone="bad")
    ferry.discard(voyage)
    return said(request, BACK, f"第 {voyage.number} 航次已作废，信件会随下一航次重新装载。")


@require_POST
def bring(request: HttpRequest) -> HttpResponse:
    """Volumes in one form, for a browser without scripts; uploads.py takes larger ones."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if not actor.has("ferry.import"):
        raise Denied("您的岗位没有“导入摆渡光盘”的职责。")
    uploads = request.FILES.getlist("volume")
    if not uploads:
        return said(request, BACK, "请选择光盘上的卷文件（以 .ferry 结尾）。", tone="bad")
    good, bad = [], []
    for upload in uploads:
        try:
            good.append(_bring_one(actor, upload))
        except Denied:
            raise
        except (HouseError, WireError, OSError) as error:
            bad.append(f"{upload.name}：{in_words(error)}")
    if bad:
        text = f"有 {len(bad)} 个文件没有导入。"
        return said(request, BACK, text, details=[*bad, *good], tone="bad")
    return said(request, BACK, "已读入，正在导入。", details=good)


def _bring_one(actor: Actor, upload: UploadedFile[Any]) -> str:
    with tempfile.NamedTemporaryFile(dir=settings.NODE.run) as copy:
        for chunk in upload.chunks(1 << 20):
            copy.write(chunk)
        copy.flush()
        voyage, head = ferry.land(actor, Path(copy.name))
    return (
        f"{upload.name}：第 {voyage.number} 航次第 {head.volume} 卷（共 {len(voyage.volumes)} 卷）"
    )


def in_words(error: Exception) -> str:
    """What went wrong with a volume, for people."""
    if isinstance(error, WireError):
        return error.zh
    if isinstance(error, HouseError):
        return error.message
    return ferry.full_or(error, Refused("本节点暂时不能保存，请稍后再试。")).message
