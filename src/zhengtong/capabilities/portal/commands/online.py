"""The public node: what arrives is put online, what is withdrawn leaves no trace."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings

from zhengtong.capabilities.portal import messages, queries
from zhengtong.capabilities.portal.commands.baking import SCRUB, topics_of, touch
from zhengtong.capabilities.portal.commands.offering import put_files
from zhengtong.capabilities.portal.domain.address import link
from zhengtong.capabilities.portal.domain.text import clean
from zhengtong.capabilities.portal.models import Article, ArticleFile, Column, Removal, State
from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.engine import locked_for_update, overwrite_deleted
from zhengtong.kernel.errors import NotFound, Refused
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages import purge
from zhengtong.kernel.search.queue import enqueue_rebuild


@command("portal.put_online", title="上网")
def put_online(act: Act, fact: messages.Published, origin: str) -> Article | None:
    """Show an article, or replace its page by a newer version. An older version changes nothing."""
    removal = Removal.objects.filter(pk=fact.article).first()
    if removal is not None and fact.version <= removal.version:
        return None
    article = _known(fact.article, origin)
    if article is not None and fact.version <= article.version:
        return None
    if not Organisation.objects.filter(pk=fact.owner).exists():
        raise NotFound("本节点还没有这个发文机关的名录，稍后再试。")
    column = _column(fact)
    stale: set[str] = set()
    before = _files_of(article) if article else set()
    if article is None:
        article = Article(pk=fact.article, origin=origin)
    else:
        stale |= _leave_page(article, column)
        overwrite_deleted()
        purge.forget(article.urn)
        enqueue_rebuild()  # a correction may have been made because of what the page said
        stale.add(SCRUB)
    if article.column_id != column.pk:
        column.last_place += 1
        column.save(update_fields=["last_place"])
        article.place = column.last_place
    _write(article, fact, column)
    put_files(article, fact.files)
    assert article.place is not None
    stale |= topics_of(article, column, article.place)
    stale |= _drop_files(before - _files_of(article))
    touch(stale)
    act.note(version=fact.version, origin=origin)
    return article


def _write(article: Article, fact: messages.Published, column: Column) -> None:
    article.column, article.owner_id = column, fact.owner
    article.level, article.open, article.state = Level.PUBLIC, True, State.PUBLISHED
    article.title, article.summary = clean(fact.title), clean(fact.summary)
    article.body, article.source = clean(fact.body), clean(fact.source)
    article.document_number = clean(fact.document_number)
    article.document_kind = clean(fact.document_kind)
    article.issued_on, article.index_number = fact.issued_on, clean(fact.index_number)
    article.version, article.online_version = fact.version, fact.version
    article.published_at, article.updated_at = fact.published_at, fact.updated_at
    article.save()


def _leave_page(article: Article, column: Column) -> set[str]:
    """The topics of the column an article is moved out of."""
    if article.column is None or article.column_id == column.pk or article.place is None:
        return set()
    old, place = article.column, article.place
    Article.objects.unlabelled("moved to another column").filter(pk=article.pk).update(place=None)
    return topics_of(article, old, place)


@command("portal.ask_files", title="请求补发附件")
def ask_files(act: Act, fact: messages.Published, origin: str, files: Sequence[str]) -> None:
    """An article cannot be shown without files that were deleted here: ask for them again."""
    act.note(files=list(files))
    act.tell(messages.Lacking(fact.article, fact.version, tuple(files)), to=[origin])


@command("portal.take_offline", title="撤下")
def take_offline(act: Act, fact: messages.Withdrawn, origin: str) -> None:
    """Forget an article: its row, its files, its letters and envelopes; the baker does the rest."""
    known = Removal.objects.filter(pk=fact.article).first()
    article = _known(fact.article, origin)
    if known is not None and fact.version <= known.version and article is None:
        return
    Removal.objects.update_or_create(
        article=fact.article,
        defaults={"version": fact.version, "origin": origin, "at": act.now, "reported": False},
    )
    act.note(version=fact.version, origin=origin)
    if article is None or article.version > fact.version:
        return
    overwrite_deleted()
    stale = {SCRUB}
    files = _files_of(article)
    ArticleFile.objects.filter(article=article).delete()
    Article.objects.unlabelled("withdrawn by the node it came from").filter(pk=article.pk).delete()
    assert article.column is not None and article.place is not None
    stale |= topics_of(article, article.column, article.place)
    stale |= _drop_files(files)
    purge.forget(article.urn)
    enqueue_rebuild()
    touch(stale)


@command("portal.report_online", title="回报上网结果")
def report_online(act: Act, articles: Sequence[UUID]) -> None:
    """The pages of these articles stand: let the node they came from know."""
    for article in queries.online().filter(pk__in=articles):
        act.touched(article)
        act.tell(
            messages.Baked(
                article=article.pk,
                version=article.version,
                url=settings.NODE.url + link(article.path),
                at=act.now,
            ),
            to=[article.origin],
            about=article,
        )


@command("portal.report_removed", title="回报撤下结果")
def report_removed(act: Act) -> None:
    """What was withdrawn is gone from every file of this node: let its node know."""
    for removal in Removal.objects.filter(reported=False):
        act.tell(messages.Removed(removal.pk, removal.version, act.now), to=[removal.origin])
        removal.reported = True
        removal.save(update_fields=["reported"])


def _known(article: UUID, origin: str) -> Article | None:
    """The article as it stands here; refuses a node that tries to change another node's."""
    found = (
        Article.objects.unlabelled("the sender's own article, checked here")
        .select_related("column__site")
        .filter(pk=article)
        .first()
    )
    if found is not None and found.origin != origin:
        raise Refused(f"本文由节点 {found.origin} 发布，{origin} 无权更改。")
    return found


def _column(fact: messages.Published) -> Column:
    rows = Column.objects.filter(site__key=fact.site, key=fact.column).select_related("site")
    column = locked_for_update(rows).first()
    if column is None:
        raise NotFound(f"本节点没有栏目 {fact.site}/{fact.column}，稍后再试。")
    return column


def _files_of(article: Article) -> set[str]:
    return set(ArticleFile.objects.filter(article=article).values_list("file_id", flat=True))


def _drop_files(candidates: set[str]) -> set[str]:
    """Forget the files nobody shows any more; their topics, so that the baker unlinks them."""
    return {f"file:{sha256}" for sha256 in sorted(candidates) if purge.forget_file(sha256)}
