"""The one page of the public site that is not baked: search."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from zhengtong.capabilities.portal import queries
from zhengtong.capabilities.portal.web.shell import shell
from zhengtong.kernel.directory.actors import anonymous
from zhengtong.kernel.moment import CHINA
from zhengtong.kernel.records import pk_of
from zhengtong.kernel.search import Results, SearchError
from zhengtong.kernel.search.indexer import index, reader

PER_PAGE = 10
DEEPEST = 1000  # pages; the index goes no further


@dataclass(frozen=True, slots=True)
class Asked:
    """What a visitor typed. `place` is a site's key, or site/column; `wrong` names bad dates."""

    text: str
    place: str
    since: date | None
    until: date | None
    order: str
    wrong: dict[str, str]

    @property
    def narrowed(self) -> bool:
        return bool(self.place or self.since or self.until or self.wrong)

    @property
    def single(self) -> bool:
        return sum(character.isalnum() for character in self.text) == 1


@login_not_required
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """A page of hits; or hints, when nothing was asked, nothing found, or the index is away."""
    asked = parse(request)
    number = _number(request.GET.get("page", "1"))
    context = _around(asked, request)
    if not any(character.isalnum() for character in asked.text) or asked.wrong:
        return render(request, TEMPLATE, context | {"state": "empty"})
    try:
        ready = index().ready
        results = _find(asked, number) if ready else Results()
    except SearchError:
        ready, results = False, Results()
    if not ready:
        return render(request, TEMPLATE, context | {"state": "broken"}, status=503)
    if not results.total:
        return render(request, TEMPLATE, context | {"state": "none"})
    page = Paginator(range(min(results.total, PER_PAGE * DEEPEST)), PER_PAGE).get_page(number)
    return render(
        request,
        TEMPLATE,
        context | {"state": "found", "results": results, "hits": _hits(results), "page": page},
    )


TEMPLATE = "portal/public/search.html"
urlpatterns = [path("search", search)]


def parse(request: HttpRequest) -> Asked:
    """The question in a request; what cannot be read is named, never guessed."""
    given = request.GET
    dates: dict[str, date | None] = {"since": None, "until": None}
    wrong = {}
    for name in dates:
        if typed := given.get(name, "").strip():
            try:
                dates[name] = date.fromisoformat(typed)
            except ValueError:
                wrong[name] = f"“{typed[:20]}”不是日期，请写成 2026-11-23。"
    if dates["since"] and dates["until"] and dates["since"] > dates["until"]:
        wrong["until"] = "结束日期早于开始日期。"
    place = given.get("in", "") or given.get("site", "")
    order = "newest" if given.get("order") == "newest" else "relevance"
    text = given.get("q", "").strip()[:200]
    return Asked(text, place[:70], dates["since"], dates["until"], order, wrong)


def _find(asked: Asked, number: int) -> Results:
    site, _, column = asked.place.partition("/")
    return index().search(
        asked.text,
        reader(anonymous()),
        kinds=["article"],
        site=site,
        column=column,
        since=datetime.combine(asked.since, time(), CHINA) if asked.since else None,
        until=_end_of(asked.until),
        order="newest" if asked.order == "newest" else "relevance",
        offset=(number - 1) * PER_PAGE,
        limit=PER_PAGE,
    )


def _end_of(day: date | None) -> datetime | None:
    if day is None or day == date.max:
        return None
    return datetime.combine(day + timedelta(days=1), time(), CHINA)


def _hits(results: Results) -> list[tuple[Any, Any]]:
    """Hits with their articles; what was withdrawn a moment ago is left out."""
    keys = [pk_of(hit.urn) for hit in results.hits]
    found = {str(item.pk): item for item in queries.online().filter(pk__in=keys)}
    return [(hit, found[key]) for hit, key in zip(results.hits, keys, strict=True) if key in found]


def _around(asked: Asked, request: HttpRequest) -> dict[str, Any]:
    structure = queries.structure()
    main = structure.main
    if main is None:
        return {"query": asked.text, "state": "broken"}
    return shell(structure, main, here="/search") | {
        "query": asked.text,
        "asked": {
            "site": asked.place.partition("/")[0],
            "column": asked.place.partition("/")[2],
            "since": asked.since.isoformat() if asked.since else request.GET.get("since", ""),
            "until": asked.until.isoformat() if asked.until else request.GET.get("until", ""),
            "order": asked.order,
        },
        "wrong": asked.wrong,
        "narrowed": asked.narrowed or asked.order == "newest",
        "widened": f"/search?{urlencode({'q': asked.text})}",
        "single": asked.single,
        "places": structure.sites,
        "suggested": structure.columns(main),
        "crumbs": [{"title": "首页", "url": "/"}, {"title": "搜索", "url": ""}],
    }


def _number(text: str) -> int:
    return min(max(int(text), 1), DEEPEST) if text.isdecimal() and len(text) < 6 else 1
