"""公开审查, its end: release, the second person's confirmation, withdrawal, and what came of it."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict

from zhengtong.capabilities.portal import messages, queries
from zhengtong.capabilities.portal.commands.offering import (
    CONFIRM,
    RELEASE,
    ask,
    close_reviews,
    release_office,
    require_reason,
)
from zhengtong.capabilities.portal.domain.address import index_number
from zhengtong.capabilities.portal.domain.text import clean
from zhengtong.capabilities.portal.models import Article, Column, State
from zhengtong.kernel import files, moment, notices, numbering
from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import AboveCeiling, Denied, Invalid, Refused
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages import purge
from zhengtong.kernel.messages.facts import FileRef
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.messages.outbox import Lane


@command("portal.release", title="公开审查")
def release(
    act: Act,
    article: Article,
    column: Column,
    summary: str = "",
    confirm_personal_data: bool = False,
) -> Article:
    """Let an article become public (条例 arts 14–17: reviewed before it is published).

    Only 公开 passes. Where personal data seem to be in it, or a file cannot be read by a program,
    the first person must say so and a second one decides.
    """
    article.require(State.OFFERED)
    _refuse_unless_public(article)
    article.summary = _summary(summary or article.summary)
    article.column = column
    if waiting := queries.unchecked(article):
        raise Refused(f"附件正在检查：{'、'.join(waiting)}。请稍候几秒再办理。")
    found = queries.remarks(article)
    article.released_by, article.released_by_name = act.actor.person, act.actor.name
    if not found:
        _publish(act, article)
        return article
    if not confirm_personal_data:
        words = (
            f"有 {len(found)} 处须核对（疑似个人信息或无法自动检查的附件）。"
            "请先改稿隐去；确需公开的，勾选后交第二人复核。"
        )
        raise Invalid({"confirm_personal_data": words})
    article.state, article.remarks = State.SECOND, [asdict(item) for item in found]
    article.save()
    act.note(remarks=len(found))
    close_reviews(article, by=act.actor.person)
    ask(article, release_office(article.owner_id).pk, CONFIRM, "公开复核")
    return article


@command("portal.confirm_release", title="公开复核")
def confirm_release(act: Act, article: Article) -> Article:
    """A second person with the same duty agrees to what the first was warned of."""
    article.require(State.SECOND)
    if not act.actor.has(RELEASE):
        raise Denied("复核人也须有公开审查的职责。")
    if act.actor.person == article.released_by:
        raise Refused("须由初审以外的另一人复核。")
    _refuse_unless_public(article)
    article.second_by, article.second_by_name = act.actor.person, act.actor.name
    _publish(act, article)
    return article


@command("portal.withdraw", title="撤下网页")
def withdraw(act: Act, article: Article, reason: str) -> Article:
    """Take an article off the public site, with everything of it that lies there."""
    if article.version == 0 or article.state in (State.WITHDRAWING, State.WITHDRAWN):
        raise Refused("本文不在网上，无须撤下。")
    node = _portal_node()
    released = copy(article)  # the letter bears the label of what is out there
    released.open, released.level = True, Level.PUBLIC
    article.reason = require_reason(reason, "请写明撤下的理由。")
    article.state, article.open = State.WITHDRAWING, False
    article.save()
    close_reviews(article, by=act.actor.person)
    act.note(version=article.version, reason=article.reason)
    act.tell(
        messages.Withdrawn(article.pk, article.version),
        to=[node.name],
        about=released,
        lane=Lane.URGENT,
    )
    return article


@command("portal.note_online", title="登记上网结果")
def note_online(act: Act, fact: messages.Baked) -> Article:
    """The public node shows a version: officers see since when, and where."""
    article = must_find(Article.objects.visible_to(act.actor), pk=fact.article)
    current = article.state in (State.RELEASED, State.PUBLISHED)
    if current and fact.version == article.version:
        article.state = State.PUBLISHED
    if article.state not in (State.WITHDRAWING, State.WITHDRAWN):
        article.online_version, article.online_at = fact.version, fact.at
        article.online_url = fact.url
        article.save()
        _let_know(article, "文稿已上网。")
    act.touched(article)
    return article


@command("portal.note_removed", title="登记撤下结果")
def note_removed(act: Act, fact: messages.Removed) -> Article:
    """The public node holds nothing of the article any more."""
    article = must_find(Article.objects.visible_to(act.actor), pk=fact.article)
    if article.state == State.WITHDRAWING and fact.version >= article.version:
        article.state, article.online_version = State.WITHDRAWN, 0
        article.online_at, article.online_url = fact.at, ""
        article.save()
        _let_know(article, "文稿已从网上撤下。")
    act.touched(article)
    return article


@command("portal.send_files_again", title="补发网页附件")
def send_files_again(act: Act, fact: messages.Lacking) -> Article:
    """The public node has deleted files that this article needs: they travel once more."""
    article = must_find(Article.objects.visible_to(act.actor), pk=fact.article)
    act.touched(article)
    if article.state != State.RELEASED or fact.version != article.version:
        return article
    lost = [name for name in fact.missing if not files.exists(name)]
    if lost:
        raise Refused(f"附件在本节点也找不到：{'、'.join(lost)}。请从备份恢复。")
    purge.allow_resending(fact.missing)
    act.tell(_published(article), to=[_portal_node().name], about=article)
    return article


def _refuse_unless_public(article: Article) -> None:
    if article.level != Level.PUBLIC:
        raise AboveCeiling(f"本文密级为“{Level(article.level).word}”，只有“公开”的文稿才能上网。")


def _summary(text: str) -> str:
    text = clean(text).strip()
    if len(text) > 300:
        raise Invalid({"summary": "摘要不能超过 300 字。"})
    return text


def _portal_node() -> Neighbour:
    node = queries.portal_node()
    if node is None:
        raise Refused("外网节点未接入，暂时不能办理。请联系网络管理员。")
    return node


def _publish(act: Act, article: Article) -> None:
    """Number it, let it be known, and send it to the public node."""
    node = _portal_node()
    if not article.index_number:
        article.index_number = _next_index_number(article)
    article.state, article.open = State.RELEASED, True
    article.version += 1
    article.published_at = article.published_at or act.now
    article.updated_at = act.now
    article.save()
    close_reviews(article, by=act.actor.person)
    act.note(version=article.version, index_number=article.index_number)
    act.tell(_published(article), to=[node.name], about=article)


def _next_index_number(article: Article) -> str:
    """索引号: unique and without gaps for each organisation and year."""
    assert article.column is not None
    owner = Organisation.objects.get(pk=article.owner_id)
    year = moment.today().year
    serial = numbering.next_number(owner.pk, "索引号", year)
    return index_number(
        article.column.site.index_template, code=owner.code, year=year, serial=serial
    )


def _published(article: Article) -> messages.Published:
    assert article.column is not None and article.published_at and article.updated_at
    return messages.Published(
        article=article.pk,
        version=article.version,
        site=article.column.site.key,
        column=article.column.key,
        title=article.title,
        summary=article.summary,
        body=article.body,
        owner=article.owner_id,
        source=article.source,
        document_number=article.document_number,
        document_kind=article.document_kind,
        issued_on=article.issued_on,
        index_number=article.index_number,
        published_at=article.published_at,
        updated_at=article.updated_at,
        files=tuple(
            FileRef(item.file_id, item.name, item.file.size, item.file.media_type)
            for item in queries.files(article)
        ),
    )


def _let_know(article: Article, words: str) -> None:
    office = release_office(article.owner_id)
    for organisation in {office.pk, article.owner_id}:
        notices.notify(organisation, "portal", words, subject=article.urn)
