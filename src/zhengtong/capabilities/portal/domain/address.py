"""Where things stand on the public site. Pure; an address once given does not change."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from pathlib import PurePath
from urllib.parse import quote
from uuid import UUID

PAGE_SIZE = 20
LONGEST_NAME = 150
"""Bytes of a file's name in its address; the folder of a web server takes 255."""
RESERVED = frozenset({"content", "exchange", "files", "map", "search", "static"})
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\?#%\"'<>|*:\ufffd]+")


def article_path(article: UUID) -> str:
    """`/content/202611/xxxxxxxxxxxx.html`, from the time and chance inside the identifier.

    It names neither site nor column, so an article that is moved keeps its address.
    """
    made = datetime.fromtimestamp((article.int >> 80) / 1000, UTC)
    token = base64.b32encode((article.int & ((1 << 60) - 1)).to_bytes(10, "big"))
    return f"/content/{made:%Y%m}/{token.decode().lower()[-12:]}.html"


def file_name(name: str, extension: str) -> str:
    """A file's name as it may stand in an address: no separators, not hidden, not too long."""
    stem = PurePath(_UNSAFE.sub("_", name)).stem.strip(" .") or "attachment"
    while len(stem.encode(errors="replace")) > LONGEST_NAME:
        stem = stem[:-1]
    return f"{stem}.{extension}"


def file_path(sha256: str, url_name: str) -> str:
    return f"/files/{sha256}/{url_name}"


def link(path: str) -> str:
    """A path as it stands in an href."""
    return quote(path, safe="/")


def page_of(place: int) -> int:
    """The numbered list page of the article at `place` (from 1), counted from the oldest."""
    return (place - 1) // PAGE_SIZE + 1


def places_on(page: int) -> tuple[int, int]:
    """The first and last place on a numbered list page."""
    return (page - 1) * PAGE_SIZE + 1, page * PAGE_SIZE


def last_archived(last_place: int) -> int:
    """The newest numbered page. What is newer, 20 to 40 articles, stands on the column's front.

    So an article is published by rewriting the front alone, and every twentieth time one page.
    """
    return max(0, page_of(last_place) - 2) if last_place else 0


def index_number(template: str, *, code: str, year: int, serial: int) -> str:
    """索引号 after the site's own template, such as `{code}/{year}-{serial:05}`.

    There is no national form; it is unique and gapless for each organ and year.
    """
    return template.format(code=code, year=year, serial=serial)
