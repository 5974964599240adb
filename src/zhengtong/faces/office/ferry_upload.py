"""Volumes of any size from a browser, a slice at a time; ferry.js sends them.

`begin` gets the head of a volume and answers where to send the rest and from which byte on, so an
upload that broke off is continued, even on another day. The last slice is answered once the whole
volume has been read and found right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST

from zhengtong.faces.office.ferry import in_words
from zhengtong.kernel.bell import ring
from zhengtong.kernel.commands import must_find
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied, HouseError, Refused
from zhengtong.kernel.messages.roads import commands, ferry, hold, queries
from zhengtong.kernel.messages.roads.models import Voyage
from zhengtong.wire.errors import WireError
from zhengtong.wire.ferry import HEAD

SLICE = 8 * 1024 * 1024
Answer = dict[str, Any]


def answered(view: Callable[..., Answer]) -> Callable[..., JsonResponse]:
    """The view's answer as JSON, or the reason why there is none."""

    @require_POST
    @wraps(view)
    def wrapped(request: HttpRequest, **given: int) -> JsonResponse:
        actor: Actor = request.actor  # type: ignore[attr-defined]
        try:
            if not actor.has("ferry.import"):
                raise Denied("您的岗位没有“导入摆渡光盘”的职责。")
            return JsonResponse(view(request, actor, **given))
        except HouseError as error:
            return JsonResponse({"text": error.message}, status=error.status)
        except (WireError, OSError) as error:
            return JsonResponse({"text": in_words(error)}, status=422)

    return wrapped


@answered
def begin(request: HttpRequest, actor: Actor) -> Answer:
    """Where the rest of the volume with this head goes."""
    head = ferry.read_head(request.read(HEAD + 1)[:HEAD])
    voyage = commands.bring(actor, head)
    number, size = head.volume, head.extent.size
    name = f"第 {voyage.number} 航次第 {number} 卷（共 {len(voyage.volumes)} 卷）"
    if not ferry.needs(voyage, number):
        return {"done": True, "text": f"{name}：已经读入过，不必再传。", "size": size}
    url = f"/ferry/{voyage.pk}/volumes/{number}"
    return {"url": url, "at": _length(voyage, number), "size": size, "slice": SLICE, "text": name}


@answered
def slice_of(request: HttpRequest, actor: Actor, *, pk: int, number: int) -> Answer:
    """The next bytes of a volume; `?at=` says from where on."""
    voyage = must_find(queries.voyages().filter(leaving=False), pk=pk)
    if not 1 <= number <= len(voyage.volumes):
        raise Refused("没有这一卷。")
    size = voyage.volumes[number - 1][0]
    if not ferry.needs(voyage, number):
        return {"done": True, "text": "已经读入过，不必再传。"}
    at = _length(voyage, number)
    if request.GET.get("at") != str(at):
        return {"at": at}
    part = hold.part_of(ferry.landed(voyage, number))
    part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with part.open("ab") as out:
        out.write(request.read(min(SLICE, size - at)))
        hold.sync(out)
        at = out.tell()
    if at < size:
        return {"at": at}
    hold.adopt(part, ferry.read_head_of(part), ferry.landed(voyage, number))
    ring()
    return {"at": at, "done": True, "text": f"第 {number} 卷完好，已读入。"}


def _length(voyage: Voyage, number: int) -> int:
    part = hold.part_of(ferry.landed(voyage, number))
    return part.stat().st_size if part.exists() else 0
