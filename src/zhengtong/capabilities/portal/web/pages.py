"""From an address to the page that stands there: every baked page is made here, from the tables.

`render` is a function of the tables alone: the same rows give the same bytes, so a page may be
baked again at any time, and a comparison shows whether anything was forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from zhengtong.capabilities.portal import queries
from zhengtong.capabilities.portal.domain.address import file_path, last_archived, link, places_on
from zhengtong.capabilities.portal.domain.colour import stylesheet
from zhengtong.capabilities.portal.domain.text import title_parts, to_html
from zhengtong.capabilities.portal.queries import Structure
from zhengtong.capabilities.portal.web import feeds
from zhengtong.capabilities.portal.web.shell import shell
from zhengtong.kernel.files import path_of

Values = dict[str, Any]
ON_HOME = 5


@dataclass(frozen=True, slots=True)
class Page:
    """What stands at an address: bytes, or a file to be copied; and the topics it shows."""

    topics: frozenset[str]
    body: bytes = b""
    file: Path | None = None


def render(path: str, sites: Structure) -> Page | None:
    """The page at a path, or None when nothing is to stand there."""
    for pattern, make in _ROUTES:
        if found := pattern.fullmatch(path):
            return make(sites, **found.groupdict())
    return None


def of_topic(topic: str, sites: Structure) -> list[str]:
    """The addresses that a topic may have brought into being."""
    kind, _, name = topic.partition(":")
    if kind == "article":
        article = queries.online().filter(pk=name).first()
        return _article_paths(article) if article else []
    if kind in ("list", "archive"):
        key, _, number = name.partition(":")
        column = sites.column_by_id(key)
        if column is None:
            return []
        if number:
            return [f"{column.path}{number}.html"]
        return [column.path, f"{column.path}feed.atom"]
    if kind == "month":
        return [f"/sitemap-{name}.xml"]
    if kind == "months":
        return ["/sitemap.xml"]
    if kind == "site":
        return _site_paths(name, sites)
    return []


def every_path(sites: Structure) -> Iterator[str]:
    """The addresses of all pages that are to stand."""
    for site, columns in sites.sites:
        yield from _site_paths(site.key, sites)
        for column in columns:
            for number in range(1, last_archived(column.last_place) + 1):
                yield f"{column.path}{number}.html"
    for month in queries.months():
        yield f"/sitemap-{month}.xml"
    for article in queries.online().iterator():
        yield from _article_paths(article)


def _article_paths(article: Any) -> list[str]:
    return [article.path, *(file_path(f.file_id, f.url_name) for f in queries.files(article))]


def _site_paths(key: str, sites: Structure) -> list[str]:
    """The pages of one site that stand whether or not it has any article."""
    found: list[str] = []
    site = next((each for each, _ in sites.sites if each.key == key), None)
    if site is None:
        return found
    columns = [column.path for column in sites.columns(site)]
    found += [site.path, *columns, *(f"{path}feed.atom" for path in columns)]
    if site.accent:
        found.append(f"/{site.key}/site.css")
    if site.main:
        found += ["/404.html", "/map/", "/sitemap.xml", "/sitemap-columns.xml", "/robots.txt"]
    return found


# ── pages ────────────────────────────────────────────────────────────────────


def _page(template: str, context: Values, topics: set[str]) -> Page:
    return Page(frozenset(topics), render_to_string(template, context).encode())


def _home(sites: Structure, site_key: str = "") -> Page | None:
    site = sites.site(site_key)
    if site is None:
        return None
    columns = sites.columns(site)
    shown = [column for column in columns if column.on_home]
    lists = [(column, queries.latest(column, ON_HOME)) for column in shown]
    filled = [(column, articles) for column, articles in lists if articles]
    context = shell(sites, site, here=site.path) | {
        "asks": _asks(columns) if site.main else [],
        "lists": filled or lists,
        "subsites": [each for each, _ in sites.sites if not each.main] if site.main else [],
    }
    topics = {f"site:{site.key}", *(f"list:{column.pk}" for column in shown)}
    return _page("portal/public/home.html", context, topics)


def _front(sites: Structure, column_key: str) -> Page | None:
    """One name at the root: a sub-site's home, or a column of the main site."""
    return _home(sites, column_key) or _column(sites, column_key)


def _asks(columns: Iterable[Any]) -> list[tuple[str, list[Any]]]:
    """The questions a visitor comes with, and the columns that answer each."""
    by_question: dict[str, list[Any]] = {}
    for column in columns:
        by_question.setdefault(column.get_ask_display(), []).append(column)
    return list(by_question.items())


def _column(sites: Structure, column_key: str, site_key: str = "", number: str = "") -> Page | None:
    column = sites.column(site_key, column_key)
    if column is None:
        return None
    newest = last_archived(column.last_place)
    if number:
        page = int(number)
        articles = queries.on_page(column, page)
        if not articles:
            return None
        newer, older = queries.newer_page(column, page), queries.older_page(column, page)
    else:
        page, articles, newer = 0, queries.on_front(column), None
        older = queries.older_page(column, newest + 1)
    context = shell(sites, column.site, here=column.path) | {
        "column": column,
        "articles": articles,
        "number": page,
        "places": places_on(page) if page else None,
        "newer": f"{column.path}{newer}.html" if newer else column.path,
        "older": f"{column.path}{older}.html" if older else "",
        "empty_hint": EMPTY.get(column.type, EMPTY[""]),
        "crumbs": [
            {"title": "首页", "url": column.site.path},
            {"title": column.name, "url": "" if not page else column.path},
            *([{"title": f"往期 {page}", "url": ""}] if page else []),
        ],
    }
    topics = {f"site:{column.site.key}"}
    topics.add(f"archive:{column.pk}:{page}" if page else f"list:{column.pk}")
    return _page("portal/public/column.html", context, topics)


EMPTY = {
    "": "本栏目建成不久，内容发布后会显示在这里。",
    "办事服务": "办事指南正在整理。急需办理的，请先到政务服务大厅窗口咨询。",
    "咨询投诉": "网上来信功能开通后，可在这里写信、查答复。",
    "征集调查": "目前没有正在征求意见的事项。",
}


def _article(sites: Structure, path: str) -> Page | None:
    article = queries.online().filter(path=path).first()
    if article is None or article.column is None:
        return None
    column, site = article.column, article.column.site
    files = [
        {
            "name": item.name,
            "url": link(file_path(item.file_id, item.url_name)),
            "size": item.file.size,
            "format": item.url_name.rpartition(".")[2].upper(),
        }
        for item in queries.files(article)
    ]
    facts = [
        ("索引号", article.index_number),
        ("发文机关", article.source),
        ("发文字号", article.document_number),
        ("公文种类", article.document_kind),
        ("成文日期", article.issued_on),
        ("发布日期", article.published_at),
    ]
    context = shell(sites, site, here=column.path) | {
        "article": article,
        "column": column,
        "title": title_parts(article.title),
        "html": to_html(article.body),
        "files": files,
        "facts": [(name, value) for name, value in facts if value],
        "url": settings.NODE.url + link(article.path),
        "crumbs": [
            {"title": "首页", "url": site.path},
            {"title": column.name, "url": column.path},
            {"title": "正文", "url": ""},
        ],
    }
    topics = {f"article:{article.pk}", f"site:{site.key}"}
    return _page("portal/public/article.html", context, topics)


def _file(sites: Structure, sha256: str, name: str) -> Page | None:
    found = queries.file_behind(sha256, name)
    if found is None:
        return None
    topics = {f"article:{pk}" for pk in queries.holders(sha256)}
    return Page(frozenset(topics), file=path_of(found.sha256))


def _map(sites: Structure) -> Page | None:
    site = sites.main
    if site is None:
        return None
    context = shell(sites, site, here="/map/") | {
        "sites": sites.sites,
        "crumbs": [{"title": "首页", "url": "/"}, {"title": "网站地图", "url": ""}],
    }
    return _page("portal/public/map.html", context, _every_site(sites))


def _not_found(sites: Structure) -> Page | None:
    site = sites.main
    if site is None:
        return None
    columns = sites.columns(site)
    return _page(
        "portal/public/404.html",
        shell(sites, site, here="") | {"suggested": columns[:6]},
        _every_site(sites),
    )


def _css(sites: Structure, site_key: str) -> Page | None:
    site = next((each for each, _ in sites.sites if each.key == site_key), None)
    if site is None or not site.accent:
        return None
    return Page(frozenset({f"site:{site.key}"}), stylesheet(site.accent).encode())


def _sitemap(sites: Structure) -> Page | None:
    names = ["columns", *queries.months()]
    return Page(frozenset({"months", *_every_site(sites)}), feeds.sitemap_index(names))


def _sitemap_columns(sites: Structure) -> Page | None:
    return Page(frozenset(_every_site(sites)), feeds.sitemap(feeds.column_addresses(sites)))


def _sitemap_month(sites: Structure, month: str) -> Page | None:
    addresses = [(item.path, item.updated_at) for item in queries.of_month(month)]
    if not addresses:
        return None
    return Page(frozenset({f"month:{month}"}), feeds.sitemap(addresses))


def _feed(sites: Structure, column_key: str, site_key: str = "") -> Page | None:
    column = sites.column(site_key, column_key)
    if column is None:
        return None
    topics = frozenset({f"list:{column.pk}", f"site:{column.site.key}"})
    return Page(topics, feeds.atom(column))


def _robots(sites: Structure) -> Page | None:
    return Page(frozenset(_every_site(sites)), feeds.robots())


def _every_site(sites: Structure) -> set[str]:
    return {f"site:{site.key}" for site, _ in sites.sites}


_KEY = "[a-z0-9-]+"
_ROUTES: tuple[tuple[re.Pattern[str], Callable[..., Page | None]], ...] = tuple(
    (re.compile(pattern), make)
    for pattern, make in (
        (r"/", _home),
        (r"/404\.html", _not_found),
        (r"/map/", _map),
        (r"/robots\.txt", _robots),
        (r"/sitemap\.xml", _sitemap),
        (r"/sitemap-columns\.xml", _sitemap_columns),
        (r"/sitemap-(?P<month>\d{6})\.xml", _sitemap_month),
        (r"(?P<path>/content/\d{6}/[a-z2-7]+\.html)", _article),
        (r"/files/(?P<sha256>[0-9a-f]{64})/(?P<name>[^/]+)", _file),
        (rf"/(?P<site_key>{_KEY})/site\.css", _css),
        (rf"/(?P<column_key>{_KEY})/", _front),
        (rf"/(?P<column_key>{_KEY})/feed\.atom", _feed),
        (rf"/(?P<column_key>{_KEY})/(?P<number>[1-9]\d*)\.html", _column),
        (rf"/(?P<site_key>{_KEY})/(?P<column_key>{_KEY})/", _column),
        (rf"/(?P<site_key>{_KEY})/(?P<column_key>{_KEY})/feed\.atom", _feed),
        (rf"/(?P<site_key>{_KEY})/(?P<column_key>{_KEY})/(?P<number>[1-9]\d*)\.html", _column),
    )
)
