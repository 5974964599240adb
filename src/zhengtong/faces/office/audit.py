"""Reading the audit log: who did what, when, to what, and where it stands in the sealed log."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from zhengtong.kernel.audit import AuditCheckpoint, AuditEntry, organisation_filter
from zhengtong.kernel.commands import registry
from zhengtong.kernel.directory import sessions
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied
from zhengtong.kernel.moment import CHINA
from zhengtong.ui.pieces import Tone

PER_PAGE = 50
MOST_RELATED = 60
OUTCOMES: dict[str, tuple[str, Tone]] = {"done": ("成功", "ok"), "denied": ("被拒绝", "bad")}
OBJECTS = {
    "document": "公文",
    "incoming": "收文",
    "delivery": "送达记录",
    "task": "待办",
    "case": "流程",
    "organisation": "机关",
}


def titles() -> dict[str, str]:
    """Every verb of the log in the words of the house."""
    return {name: command.title for name, command in registry.items()} | sessions.TITLES


class AuditForm(forms.Form):
    """What to show of the log."""

    verb = forms.ChoiceField(label="操作", required=False)
    person = forms.CharField(label="操作人", required=False, max_length=40)
    outcome = forms.ChoiceField(
        label="结果",
        required=False,
        choices=[("", "全部"), *((key, word) for key, (word, _) in OUTCOMES.items())],
    )
    object = forms.CharField(label="对象标识", required=False, max_length=120)
    since = forms.DateField(
        label="起始日期", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="截止日期", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        verbs = sorted(titles().items(), key=lambda item: item[0])
        self.fields["verb"].choices = [("", "全部"), *((v, t) for v, t in verbs)]  # type: ignore


@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """The log, newest first; one thing's whole story oldest first."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if not actor.has("audit.read"):
        raise Denied("您的岗位没有“查阅审计记录”的职责。")
    form = AuditForm(request.GET)
    form.is_valid()
    story = str(form.cleaned_data.get("object") or "").strip()
    entries = _entries(actor, form.cleaned_data, story)
    page = Paginator(entries, PER_PAGE).get_page(request.GET.get("page"))
    words = titles()
    return render(
        request,
        "face/audit.html",
        {
            "form": form,
            "page": page,
            "story": story,
            "filtered": any(form.cleaned_data.values()),
            "rows": [_row(entry, words) for entry in page.object_list],
            "sealed": AuditCheckpoint.objects.order_by("-size").first(),
            "unsealed": AuditEntry.objects.filter(leaf=None).count(),
        },
    )


def _entries(actor: Actor, asked: dict[str, Any], story: str) -> QuerySet[AuditEntry]:
    entries = AuditEntry.objects.filter(organisation_filter(actor.organisations))
    if verb := asked.get("verb"):
        entries = entries.filter(verb=verb)
    if person := asked.get("person"):
        entries = entries.filter(actor_name__contains=person)
    if outcome := asked.get("outcome"):
        entries = entries.filter(outcome=outcome)
    if since := asked.get("since"):
        entries = entries.filter(at__gte=datetime.combine(since, time(), CHINA))
    if until := asked.get("until"):
        entries = entries.filter(at__lt=datetime.combine(until + timedelta(days=1), time(), CHINA))
    if story:
        return _naming(entries, _related(story)).order_by("id")
    return entries.order_by("-id")


def _naming(entries: QuerySet[AuditEntry], urns: list[str]) -> QuerySet[AuditEntry]:
    """The entries that name any of these; urns have no sign that JSON would write otherwise."""
    condition = Q()
    for urn in urns:
        condition |= Q(named__contains=f'"{urn}"')
    return entries.alias(named=Cast("objects_named", TextField())).filter(condition)


def _related(urn: str) -> list[str]:
    """The thing itself and what acts named together with it, such as its incoming records."""
    found = {urn: None}
    for named in _naming(AuditEntry.objects.order_by("id"), [urn]).values_list(
        "objects_named", flat=True
    )[:MOST_RELATED]:
        found |= dict.fromkeys(named)
    return list(found)[:MOST_RELATED]


def _row(entry: AuditEntry, words: dict[str, str]) -> dict[str, Any]:
    word, tone = OUTCOMES.get(entry.outcome, (entry.outcome, "idle"))
    return {
        "entry": entry,
        "did": words.get(entry.verb, entry.verb),
        "word": word,
        "tone": tone,
        "objects": [
            {"urn": urn, "word": OBJECTS.get(urn.split(":")[2], urn.split(":")[2])}
            for urn in entry.objects_named[:3]
            if urn.count(":") >= 3
        ],
        "more": max(0, len(entry.objects_named) - 3),
    }
