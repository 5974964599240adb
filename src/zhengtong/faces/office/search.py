"""Searching everything the reader may see."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from zhengtong.kernel.capability import searchables
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.moment import CHINA
from zhengtong.kernel.records import pk_of
from zhengtong.kernel.search import Results, SearchError
from zhengtong.kernel.search.indexer import index, reader

PER_PAGE = 20
DEEPEST = 500  # pages


class SearchForm(forms.Form):
    """What to look for, and where."""

    q = forms.CharField(required=False, max_length=200)
    kind = forms.CharField(required=False, max_length=40)
    organisation = forms.UUIDField(required=False)
    since = forms.DateField(
        label="起始日期", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="截止日期", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """One page of hits with its facets; says plainly when there is nothing, and why."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    form = SearchForm(request.GET)
    form.is_valid()
    asked = form.cleaned_data
    text = str(asked.get("q") or "").strip()
    chosen = str(asked.get("organisation") or "")
    context: dict[str, Any] = {"form": form, "query": text, "asked": asked, "chosen": chosen}
    if not text:
        return render(request, "face/search.html", context | {"state": "empty"})
    if not any(character.isalnum() for character in text):
        return render(request, "face/search.html", context | {"state": "short"})
    number = _page(request.GET.get("page", "1"))
    try:
        if not index().ready:
            return render(request, "face/search.html", context | {"state": "building"})
        results = _search(actor, text, asked, number)
    except SearchError:
        return render(request, "face/search.html", context | {"state": "damaged"}, status=503)
    page = Paginator(range(min(results.total, PER_PAGE * DEEPEST)), PER_PAGE).get_page(number)
    return render(
        request, "face/search.html", context | {"state": "found", "page": page} | _shown(results)
    )


def _search(actor: Actor, text: str, asked: dict[str, Any], number: int) -> Results:
    since, until = asked.get("since"), asked.get("until")
    return index().search(
        text,
        reader(actor),
        kinds=[asked["kind"]] if asked.get("kind") else (),
        organisation=str(asked.get("organisation") or ""),
        since=since and datetime.combine(since, time(), CHINA),
        until=until and datetime.combine(until + timedelta(days=1), time(), CHINA),
        offset=(number - 1) * PER_PAGE,
        limit=PER_PAGE,
    )


def _shown(results: Results) -> dict[str, Any]:
    """Hits and facets with the names people know, from one query for all organisations."""
    kinds = {item.kind: item for item in searchables().values()}
    wanted = {hit.organisation for hit in results.hits}
    wanted |= {value for value, _ in results.facets["organisation"]}
    names = {
        str(pk): name
        for pk, name in Organisation.objects.filter(pk__in=wanted).values_list("pk", "short_name")
    }
    hits = [
        {
            "hit": hit,
            "kind": kinds[hit.kind].title,
            "url": kinds[hit.kind].page(pk_of(hit.urn)),
            "organisation": names.get(hit.organisation, ""),
        }
        for hit in results.hits
        if hit.kind in kinds
    ]
    return {
        "results": results,
        "hits": hits,
        "kinds": [
            (value, kinds[value].title, number)
            for value, number in results.facets["kind"]
            if value in kinds
        ],
        "organisations": [
            (value, names[value], number)
            for value, number in results.facets["organisation"]
            if value in names
        ],
    }


def _page(text: str) -> int:
    return min(max(int(text), 1), DEEPEST) if text.isdecimal() and len(text) < 6 else 1
