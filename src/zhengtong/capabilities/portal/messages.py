"""What passes between the node where officers release and the node that the public reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from zhengtong.kernel.messages.facts import Fact, FileRef, fact


@fact("portal.published", "文章上网")
@dataclass(frozen=True)
class Published(Fact):
    """An article was released to the public: everything its page shows, and its files.

    `version` counts the releases of this article; a higher one replaces the page.
    `published_at` is the time of the first release and never changes.
    """

    article: UUID
    version: int
    site: str
    column: str
    title: str
    summary: str
    body: str
    owner: UUID
    source: str
    document_number: str
    document_kind: str
    issued_on: date | None
    index_number: str
    published_at: datetime
    updated_at: datetime
    files: tuple[FileRef, ...]


@fact("portal.withdrawn", "文章撤下")
@dataclass(frozen=True)
class Withdrawn(Fact):
    """An article must leave the public site, up to and including this version."""

    article: UUID
    version: int


@fact("portal.baked", "上网回报")
@dataclass(frozen=True)
class Baked(Fact):
    """The public site shows a version of an article at this address since then."""

    article: UUID
    version: int
    url: str
    at: datetime


@fact("portal.removed", "撤下回报")
@dataclass(frozen=True)
class Removed(Fact):
    """The public node holds nothing of an article any more."""

    article: UUID
    version: int
    at: datetime


@fact("portal.lacking", "请求补发附件")
@dataclass(frozen=True)
class Lacking(Fact):
    """The public node cannot show an article: it does not hold these files (SHA-256 in hex).

    It happens when they were deleted there with another article while this one was on its way.
    """

    article: UUID
    version: int
    missing: tuple[str, ...]
