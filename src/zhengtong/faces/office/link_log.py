"""The log of the links (收发日志): every letter sent and received, to browse, search and export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from zhengtong.faces.office import link_words as words
from zhengtong.faces.office.links import administrator
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.messages import facts, journal, subjects
from zhengtong.kernel.messages.journal import RECEIVED, SENT, Asked, Line, Place
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.moment import CHINA
from zhengtong.ui.pieces import Tone

PER_PAGE = 50
MOST_EXPORTED = 50_000
DIRECTIONS = {SENT: "发出", RECEIVED: "收到"}
STATES: dict[str, tuple[str, Tone]] = {
    "waiting": ("待封装", "wait"),
    "stuck": ("不能封装", "bad"),
    "underway": ("在途", "info"),
    "forwarded": ("已到中转节点", "info"),
    "delivered": ("已送达", "ok"),
    "refused": ("被拒收", "bad"),
    "withheld": ("未交出", "bad"),
    "taken": ("已接收", "ok"),
    "rejected": ("本节点拒收", "bad"),
    "dead": ("处理失败", "bad"),
}
HEADINGS = (
    "时间 方向 相邻节点 缓急 序号 类型 标题 大小（字节） 状态 时延（秒） 原因 对象标识".split()
)


def _all(choices: dict[str, str]) -> list[tuple[str, str]]:
    return [("", "全部"), *choices.items()]


class LogForm(forms.Form):
    """What to show of the log."""

    q = forms.CharField(
        label="查找",
        required=False,
        max_length=80,
        help_text="标题中的词语、序号、对象标识或拒收原因。只会找到您有权查看的标题。",
    )
    neighbour = forms.ChoiceField(label="相邻节点", required=False)
    direction = forms.ChoiceField(label="方向", required=False, choices=_all(DIRECTIONS))
    state = forms.ChoiceField(
        label="状态", required=False, choices=_all({key: word for key, (word, _) in STATES.items()})
    )
    kind = forms.ChoiceField(label="类型", required=False)
    since = forms.DateField(
        label="起始日期", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="截止日期", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = dict(Neighbour.objects.order_by("name").values_list("name", "title"))
        self.fields["neighbour"].choices = _all(known)  # type: ignore[attr-defined]
        self.fields["kind"].choices = _all(facts.words())  # type: ignore[attr-defined]

    def asked(self, actor: Actor, after: str = "") -> Asked:
        """The valid part of what was asked, as the journal understands it."""
        given = self.cleaned_data
        since, until, text = given.get("since"), given.get("until"), given.get("q") or ""
        return Asked(
            neighbour=given.get("neighbour") or "",
            direction=given.get("direction") or "",
            state=given.get("state") or "",
            kind=given.get("kind") or "",
            since=since and datetime.combine(since, time(), CHINA),
            until=until and datetime.combine(until + timedelta(days=1), time(), CHINA),
            text=text.strip(),
            subjects=subjects.titled(actor, text.strip()) if text.strip() else (),
            after=Place.parse(after),
        )


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    """One page of the log, newest first."""
    actor = administrator(request)
    form = LogForm(request.GET)
    valid = form.is_valid()
    after = request.GET.get("after", "")
    lines, following = journal.page(form.asked(actor, after), PER_PAGE) if valid else ([], None)
    return render(
        request,
        "face/link_log.html",
        {
            "form": form,
            "rows": _rows(actor, lines),
            "following": following,
            "later": bool(after),
            "filtered": any(form.cleaned_data.values()) or not valid,
        },
        status=200 if valid else 422,
    )


def _rows(actor: Actor, lines: list[Line]) -> list[dict[str, Any]]:
    """Lines with their words, and the titles that this reader may see."""
    seen = subjects.seen(actor, {line.subject for line in lines})
    return [
        {
            "line": line,
            "direction": DIRECTIONS[line.direction],
            "lane": words.lane(line.lane),
            "kind": words.kind(line.kind),
            "title": seen[line.subject].title if line.subject in seen else "",
            "word": STATES[line.state][0],
            "tone": STATES[line.state][1],
            "delay": words.seconds(line.delay),
            "reason": words.reason(line.reason) if line.reason else line.detail,
            "url": f"/links/log/{line.direction}/{line.pk}/",
        }
        for line in lines
    ]


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The same letters as a table for a spreadsheet (RFC 4180, UTF-8 with its mark)."""
    actor = administrator(request)
    form = LogForm(request.GET)
    form.is_valid()
    lines = journal.everything(form.asked(actor), MOST_EXPORTED)
    response = StreamingHttpResponse(_table(actor, lines), content_type="text/csv; charset=utf-8")
    name = f"收发日志-{moment.today():%Y%m%d}.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    return response


def _table(actor: Actor, lines: Iterator[Line]) -> Iterator[str]:
    yield "\ufeff" + _csv(HEADINGS)
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) == 500:
            yield "".join(_csv(_cells(row)) for row in _rows(actor, batch))
            batch = []
    yield "".join(_csv(_cells(row)) for row in _rows(actor, batch))


def _cells(row: dict[str, Any]) -> list[str]:
    line: Line = row["line"]
    return [
        f"{line.at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}",
        row["direction"],
        line.title,
        row["lane"],
        str(line.number or ""),
        row["kind"],
        row["title"],
        str(line.size or ""),
        row["word"],
        "" if line.delay is None else f"{line.delay:.3f}",
        row["reason"],
        line.subject,
    ]


def _csv(cells: list[str]) -> str:
    sink = io.StringIO()
    csv.writer(sink).writerow([_harmless(cell) for cell in cells])
    return sink.getvalue()


def _harmless(cell: str) -> str:
    """A cell that a spreadsheet will show and not calculate."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
