"""Pages that programs read: Atom feeds (RFC 4287), site maps (sitemaps.org 0.9), robots.txt."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from zhengtong.capabilities.portal import queries
from zhengtong.capabilities.portal.domain.address import PAGE_SIZE, link

Address = tuple[str, datetime | None]


def absolute(path: str) -> str:
    return str(settings.NODE.url) + link(path)


def atom(column: Any) -> bytes:
    """The newest articles of a column. Its time is that of the newest change, not of baking."""
    articles = queries.latest(column, PAGE_SIZE)
    context = {
        "column": column,
        "self": absolute(f"{column.path}feed.atom"),
        "page": absolute(column.path),
        "entries": [(item, absolute(item.path)) for item in articles],
        "updated": max((item.updated_at for item in articles if item.updated_at), default=None),
    }
    return render_to_string("portal/public/feed.atom", context).encode()


def column_addresses(structure: queries.Structure) -> list[Address]:
    """The fronts of all sites and columns."""
    found: list[Address] = []
    for site, columns in structure.sites:
        found.append((site.path, None))
        found += [(column.path, None) for column in columns]
    return found


def sitemap(addresses: Iterable[Address]) -> bytes:
    rows = [(absolute(path), changed) for path, changed in addresses]
    return render_to_string("portal/public/sitemap.xml", {"rows": rows}).encode()


def sitemap_index(names: Iterable[str]) -> bytes:
    rows = [absolute(f"/sitemap-{name}.xml") for name in names]
    return render_to_string("portal/public/sitemap_index.xml", {"rows": rows}).encode()


def robots() -> bytes:
    return f"User-agent: *\nDisallow: /search\nSitemap: {absolute('/sitemap.xml')}\n".encode()
