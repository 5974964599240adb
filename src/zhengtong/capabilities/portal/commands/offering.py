"""公开审查, its beginning: an offered document becomes an article, is corrected or rejected."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from zhengtong.capabilities.documents.messages import Offered
from zhengtong.capabilities.portal.domain.address import file_name
from zhengtong.capabilities.portal.domain.text import clean, opening
from zhengtong.capabilities.portal.models import Article, ArticleFile, State
from zhengtong.kernel import notices
from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.directory.actors import people_with
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import Invalid
from zhengtong.kernel.file_types import ALLOWED
from zhengtong.kernel.messages.facts import FileRef
from zhengtong.kernel.records import grant
from zhengtong.kernel.tasks import close_tasks, new_task, open_tasks

RELEASE, CONFIRM = "portal.release", "portal.confirm_release"
EXTENSIONS = {kind.media_type: kind.extension for kind in ALLOWED}
REVISABLE = (State.OFFERED, State.SECOND, State.REJECTED, State.RELEASED, State.PUBLISHED)


@command("portal.take_offer", title="接收公开送审")
def take_offer(act: Act, fact: Offered) -> Article:
    """Lay an offered document before the office that releases; offered again, it is corrected."""
    article = (
        Article.objects.unlabelled("an offer belongs to the article of its document")
        .filter(document=fact.document)
        .first()
    )
    if article is None:
        article = Article(document=fact.document, owner_id=fact.issuing_office)
    article.level = fact.level
    article.title, article.body = clean(fact.title), clean(fact.body)
    article.summary = clean(fact.summary).strip() or opening(article.body)
    article.source, article.offered_by = fact.issuing_name, fact.offered_by
    article.document_number, article.document_kind = fact.number, fact.document_kind
    article.issued_on = fact.issued_on
    _begin_review(article)
    put_files(article, fact.files)
    act.touched(article)
    return article


@command("portal.revise", title="修改公开文稿")
def revise(act: Act, article: Article, *, title: str, summary: str, body: str) -> Article:
    """Change what would be published, for instance to mask personal data; it is reviewed anew.

    What is online stays there until the corrected text is released.
    """
    article.require(*REVISABLE, State.WITHDRAWN)
    faults = {}
    if not title.strip():
        faults["title"] = "请填写标题。"
    if len(title.strip()) > 200:
        faults["title"] = "标题不能超过 200 字。"
    if len(summary.strip()) > 300:
        faults["summary"] = "摘要不能超过 300 字。"
    if not body.strip():
        faults["body"] = "请填写正文。"
    if faults:
        raise Invalid(faults)
    article.title, article.summary = clean(title).strip(), clean(summary).strip()
    article.body = clean(body)
    _begin_review(article)
    return article


@command("portal.reject", title="不予公开")
def reject(act: Act, article: Article, reason: str) -> Article:
    """Refuse to publish, with the reason, which the offering office reads."""
    article.require(State.OFFERED, State.SECOND)
    article.reason = require_reason(reason, "请写明不予公开的理由。")
    article.state = State.REJECTED
    article.save()
    close_reviews(article, by=act.actor.person)
    notices.notify(
        article.owner_id, "portal", "送审的文稿未获公开，请查看理由。", subject=article.urn
    )
    return article


def require_reason(reason: str, otherwise: str) -> str:
    """The reason as it is kept. Raises Invalid when there is none."""
    if not reason.strip():
        raise Invalid({"reason": otherwise})
    return reason.strip()[:300]


def _begin_review(article: Article) -> None:
    article.state, article.open = State.OFFERED, False
    article.released_by = article.second_by = None
    article.released_by_name = article.second_by_name = ""
    article.remarks, article.reason = [], ""
    article.save()
    office = release_office(article.owner_id)
    grant(article, [office], "release")
    close_reviews(article, by=None)
    ask(article, office.pk, RELEASE, "公开审查")


def ask(article: Article, office: UUID, duty: str, what: str) -> None:
    """Give the release office its task."""
    task = new_task(
        article,
        owner=office,
        duty=duty,
        kind="release",
        title=article.title,
        page=f"/portal/{article.pk}/",
        note=what,
    )
    open_tasks([task])


def close_reviews(article: Article, *, by: UUID | None) -> None:
    """End the tasks of a review that is over."""
    office = release_office(article.owner_id)
    close_tasks(article, owner=office.pk, duties=(RELEASE, CONFIRM), by=by)


def release_office(issuer: UUID) -> Organisation:
    """Who releases for an organisation: itself, or the nearest above it with somebody to do it."""
    first = office = Organisation.objects.get(pk=issuer)
    while not people_with(RELEASE, [office.pk]):
        if office.parent_id is None:
            return first
        office = Organisation.objects.get(pk=office.parent_id)
    return office


def put_files(article: Article, files: Iterable[FileRef]) -> None:
    """Make these the article's files, in this order."""
    ArticleFile.objects.filter(article=article).delete()
    ArticleFile.objects.bulk_create(
        [
            ArticleFile(
                article=article,
                file_id=item.sha256,
                name=clean(item.name)[:250],
                url_name=file_name(clean(item.name), EXTENSIONS.get(item.media_type, "txt")),
                order=order,
            )
            for order, item in enumerate(files)
        ]
    )
