"""What can be asked about the portal: by officers under their label, and by the public pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from uuid import UUID

from django.conf import settings
from django.db.models import Max, Min, Model, Q, QuerySet

from zhengtong.capabilities.portal.domain.address import (
    article_path,
    last_archived,
    page_of,
    places_on,
)
from zhengtong.capabilities.portal.domain.release import Part, Remark, examine
from zhengtong.capabilities.portal.models import (
    Article,
    ArticleFile,
    BakeCheck,
    Column,
    Need,
    Site,
    State,
)
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor, anonymous
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.records import Grant
from zhengtong.kernel.search import Entry
from zhengtong.kernel.search.queue import enqueue

# ── officers ─────────────────────────────────────────────────────────────────

WAITING = (State.OFFERED, State.SECOND)
OUT = (State.RELEASED, State.PUBLISHED, State.WITHDRAWING, State.WITHDRAWN)
TABS = {"waiting": WAITING, "out": OUT, "rejected": (State.REJECTED,)}


def articles(actor: Actor, tab: str = "") -> QuerySet[Article]:
    """What this actor's office offers or reviews, newest first; `tab` is a key of TABS."""
    granted = Grant.objects.filter(organisation__in=actor.organisations).values("record")
    found = (
        Article.objects.visible_to(actor)
        .filter(Q(owner__in=actor.organisations) | Q(pk__in=granted))
        .select_related("column__site")
    )
    if tab:
        found = found.filter(state__in=TABS[tab])
    return (
        found.order_by("-updated_at", "-created_at")
        if tab == "out"
        else found.order_by("-created_at")
    )


def files(article: Article) -> QuerySet[ArticleFile]:
    """The files of an article that the reader has already been shown."""
    return ArticleFile.objects.filter(article=article).select_related("file")


def unchecked(article: Article) -> list[str]:
    """The names of files whose text has not been extracted yet."""
    return [item.name for item in files(article) if not item.file.extracted]


def remarks(article: Article, summary: str = "") -> list[Remark]:
    """What a second person must look at before this article becomes public."""
    parts = [
        Part("标题", article.title),
        Part("摘要", summary or article.summary),
        Part("正文", article.body),
    ]
    for item in files(article):
        text = item.file.text
        readable = bool(text.strip()) and not item.file.problem
        parts.append(Part("附件名称", item.name))
        parts.append(Part(f"附件“{item.name}”", text, readable or not item.file.extracted))
    return examine(parts, today=moment.today())


def portal_node() -> Neighbour | None:
    """The neighbour in the public zone that shows what is released here."""
    return Neighbour.objects.filter(zone="public", suspended=False).order_by("pk").first()


def columns() -> QuerySet[Column]:
    """Every column in which an article can stand, site by site."""
    return Column.objects.select_related("site").order_by("site__order", "order")


# ── the public pages ─────────────────────────────────────────────────────────


def online() -> QuerySet[Article]:
    """What the public may read on this node."""
    return (
        Article.objects.visible_to(anonymous())
        .filter(state=State.PUBLISHED)
        .select_related("column__site")
    )


@dataclass(frozen=True, slots=True)
class Structure:
    """All sites with their columns in order, read once for a run over many pages."""

    sites: tuple[tuple[Site, tuple[Column, ...]], ...]

    @property
    def main(self) -> Site | None:
        return next((site for site, _ in self.sites if site.main), None)

    def columns(self, site: Site) -> tuple[Column, ...]:
        return next(found for each, found in self.sites if each.pk == site.pk)

    def site(self, key: str) -> Site | None:
        """The sub-site with a key, or the main site for an empty one.

        The main site stands at the root, and nowhere under its own key.
        """
        if not key:
            return self.main
        return next((site for site, _ in self.sites if site.key == key and not site.main), None)

    def column(self, site_key: str, key: str) -> Column | None:
        site = self.site(site_key)
        if site is None:
            return None
        return next((column for column in self.columns(site) if column.key == key), None)

    def column_by_id(self, pk: str) -> Column | None:
        return next((c for _, found in self.sites for c in found if str(c.pk) == pk), None)


def structure() -> Structure:
    by_site: dict[int, list[Column]] = {}
    for column in Column.objects.select_related("site"):
        by_site.setdefault(column.site_id, []).append(column)
    return Structure(tuple((site, tuple(by_site.get(site.pk, ()))) for site in Site.objects.all()))


def latest(column: Column, count: int) -> list[Article]:
    """The newest articles of a column."""
    return list(online().filter(column=column).order_by("-place")[:count])


def on_front(column: Column) -> list[Article]:
    """What the column's front shows: all that has no numbered page yet, newest first."""
    _, end = places_on(last_archived(column.last_place))
    return list(online().filter(column=column, place__gt=end).order_by("-place"))


def on_page(column: Column, page: int) -> list[Article]:
    """What a numbered page shows, newest first; nothing while the front still shows it."""
    if not 1 <= page <= last_archived(column.last_place):
        return []
    return list(online().filter(column=column, place__range=places_on(page)).order_by("-place"))


def older_page(column: Column, page: int) -> int | None:
    """The next numbered page, before `page`, that shows anything."""
    found = online().filter(column=column, place__lt=places_on(page)[0])
    place = found.aggregate(found=Max("place"))["found"]
    return page_of(place) if place else None


def newer_page(column: Column, page: int) -> int | None:
    """The next numbered page after `page` that shows anything; None: the front follows."""
    found = online().filter(column=column, place__gt=places_on(page)[1])
    place = found.aggregate(found=Min("place"))["found"]
    newest = last_archived(column.last_place)
    return page_of(place) if place and page_of(place) <= newest else None


def file_behind(sha256: str, url_name: str) -> StoredFile | None:
    """The stored file at an address, as long as an article that is online shows it."""
    found = (
        ArticleFile.objects.filter(file=sha256, url_name=url_name, article__in=online())
        .select_related("file")
        .first()
    )
    return found.file if found else None


def holders(sha256: str) -> list[UUID]:
    """The articles online that show a file."""
    found = ArticleFile.objects.filter(file=sha256, article__in=online())
    return list(found.values_list("article", flat=True))


def months() -> list[str]:
    """The months (202611) whose addresses hold articles, oldest first."""
    paths = online().order_by("path").values_list("path", flat=True).distinct()
    return sorted({path.split("/")[2] for path in paths.iterator()})


def of_month(month: str) -> Iterator[Article]:
    """The articles whose address lies in a month, by address."""
    return online().filter(path__startswith=f"/content/{month}/").order_by("path").iterator()


def needing(topics: set[str]) -> set[str]:
    """The baked pages that show something of these topics."""
    return set(Need.objects.filter(topic__in=topics).values_list("path", flat=True))


def withdrawable() -> tuple[type[Model], ...]:
    """The tables that hold words of articles."""
    return (Article, ArticleFile)


def last_check() -> BakeCheck | None:
    return BakeCheck.objects.first()


# ── search ───────────────────────────────────────────────────────────────────


def page_in_search(pk: str) -> str:
    """Where a found article stands: for officers its review page, for the public its address."""
    return article_path(UUID(pk)) if settings.PUBLIC_FACE else f"/portal/{pk}/"


def search_entry(article: Article) -> Entry | None:
    """An article as the index sees it. On the public node only what is online is there at all."""
    public = article.open and article.state == State.PUBLISHED
    if settings.PUBLIC_FACE and not (public and article.level == Level.PUBLIC):
        return None
    column = (
        Column.objects.select_related("site").get(pk=article.column_id)
        if article.column_id
        else None
    )
    grants = Grant.objects.filter(record=article.pk).values_list("organisation", flat=True)
    texts = [f"{item.name}\n{item.file.text}" for item in files(article)]
    return Entry(
        urn=article.urn,
        kind="article",
        title=f"{article.title} {article.document_number}".strip(),
        body="\n".join([article.summary, article.body, *texts]),
        organisation=str(article.owner_id),
        date=(article.published_at or article.created_at).astimezone(UTC),
        site=column.site.key if column else "",
        column=column.key if column else "",
        level=article.level,
        share=article.share,
        open=article.open,
        grants=tuple(str(item) for item in grants),
    )


def reindex_holders(file: StoredFile) -> None:
    """A file's text has been read: index again the articles that show it."""
    showing = ArticleFile.objects.filter(file=file).values("article")
    enqueue(Article.objects.unlabelled("indexing").filter(pk__in=showing))
