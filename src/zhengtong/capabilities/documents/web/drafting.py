"""Writing a draft and changing it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.capabilities.documents.forms import DraftForm
from zhengtong.capabilities.documents.web import uploads
from zhengtong.capabilities.documents.web.pages import actor_of, said, uuids
from zhengtong.kernel.commands import must_find
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied, HouseError, Invalid, Refused
from zhengtong.kernel.moment import CHINA

FOLDED = ("copy_to", "countersigners")


def new(request: HttpRequest) -> HttpResponse:
    """A fresh draft, or one that forwards or answers a document (`?answers=`, `?as=forward`)."""
    actor = actor_of(request)
    _require(actor, "documents.draft", "拟稿")
    if request.method == "POST":
        return _submitted(request, actor, None)
    form = DraftForm(actor=actor, initial=_prefilled(request, actor))
    return _page(request, form, None, uploads.Uploads())


def edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The same form for a draft that is being handled."""
    actor = actor_of(request)
    _require(actor, "documents.revise", "修改公文稿")
    document = must_find(queries.outgoing(actor), pk=pk)
    if request.method == "POST":
        return _submitted(request, actor, document)
    standing = queries.standing(actor, document)
    if document.state != "drafting" or standing is None or not standing.mine:
        raise Refused("公文现在不由您办理，或已签发、作废，不能修改。")
    kept = uploads.Uploads(keep=[item.pk for item in queries.attachments(document)])
    form = DraftForm(actor=actor, initial=_values(document), asked=_asked(actor, document))
    return _page(request, form, document, kept)


def _require(actor: Actor, duty: str, title: str) -> None:
    if not actor.has(duty):
        raise Denied(f"您的岗位没有“{title}”的职责。")


def _submitted(request: HttpRequest, actor: Actor, document: Any | None) -> HttpResponse:
    form = DraftForm(request.POST, actor=actor, asked=_asked(actor, document))
    taken = uploads.take(request, actor, document)
    form.is_valid()
    for problem in taken.problems:
        form.add_error("attachments", problem)
    if form.errors:
        return _page(request, form, document, taken, status=422)
    attached = [(item.file, item.name) for item in taken.waiting]
    try:
        if document is None:
            saved = outgoing.draft(actor, form.draft(), attached)
        else:
            saved = outgoing.revise(actor, document, form.draft(), attached, keep=taken.keep)
    except Denied:
        raise
    except HouseError as error:
        form.blame(error.fields if isinstance(error, Invalid) else {"": error.message})
        return _page(request, form, document, taken, status=error.status)
    return _saved(request, actor, saved)


def _asked(actor: Actor, document: Any | None) -> tuple[UUID, ...] | None:
    """Whom a draft that has left its drafter asks to countersign; None while that can change."""
    if document is None:
        return None
    standing = queries.standing(actor, document)
    if standing is None or standing.key == "draft":
        return None
    return tuple(uuids(queries.countersigners(document)))


def _saved(request: HttpRequest, actor: Actor, document: Any) -> HttpResponse:
    """Go to the document; if the clerk asked so, hand it to review on the way."""
    url = f"/documents/{document.pk}/"
    if "submit" not in request.POST:
        return said(request, url, "已保存。")
    try:
        outgoing.submit(actor, document)
    except HouseError as error:
        return said(request, url, f"已保存，但没有送出：{error.message}", tone="bad")
    return said(request, url, "已保存并送核稿。")


def _page(
    request: HttpRequest,
    form: DraftForm,
    document: Any | None,
    taken: uploads.Uploads,
    *,
    status: int = 200,
) -> HttpResponse:
    kept = queries.attachments(document).filter(pk__in=taken.keep) if document else ()
    step = queries.standing(actor_of(request), document) if document else None
    return render(
        request,
        "documents/draft.html",
        {
            "form": form,
            "document": document,
            "kept": kept,
            "waiting": taken.waiting,
            "more": {name: _open(form, name) for name in FOLDED if name in form.fields},
            "may_submit": actor_of(request).has("documents.submit")
            and (step is None or step.key == "draft"),
        },
        status=status,
    )


def _open(form: DraftForm, name: str) -> bool:
    """Whether a folded group has something to show: a choice made, or a fault."""
    return bool(form[name].value() or form[name].errors)


def _values(document: Any) -> dict[str, Any]:
    """A document as the form's first values."""
    addressed = list(queries.addressees(document))
    due = document.due_at.astimezone(CHINA) if document.due_at else None
    return {
        "document_kind": document.document_kind,
        "title": document.title,
        "body": document.body,
        "urgency": document.urgency,
        "level": document.level,
        "addressees": [str(item.organisation_id) for item in addressed if not item.copy],
        "copy_to": [str(item.organisation_id) for item in addressed if item.copy],
        "countersigners": queries.countersigners(document),
        "note": document.note,
        "due_date": due and due.date(),
        "due_time": due and due.time(),
        "answers": document.answers,
    }


def _prefilled(request: HttpRequest, actor: Actor) -> dict[str, Any]:
    """The first values of a draft that forwards or answers a document the drafter may see."""
    asked = uuids([request.GET.get("answers", "")])
    source = queries.documents(actor).filter(pk__in=asked).first()
    if source is None:
        return {"document_kind": "通知"}
    common = {"answers": source.pk, "urgency": source.urgency, "level": source.level}
    if request.GET.get("as") == "forward":
        title = f"转发{source.issuing_name}{source.title}"
        body = (
            f"现将《{source.issuing_name}{source.title}》（{source.number}）转发给你们，"
            "请认真贯彻落实。"
        )
        if not title.endswith("通知"):
            title += "的通知"
        return common | {"document_kind": "通知", "title": title, "body": body}
    kind = "批复" if source.document_kind == "请示" else "报告"
    return common | {
        "document_kind": kind,
        "title": source.title.removesuffix(source.document_kind) + kind,
        "body": f"{source.title}（{source.number}）收悉。",
        "addressees": [str(source.owner_id)],
    }
