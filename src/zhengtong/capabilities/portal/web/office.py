"""网站发布: what waits for review, one article with its findings, what is online."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from zhengtong.capabilities.portal import queries
from zhengtong.capabilities.portal.commands import offering, releasing
from zhengtong.capabilities.portal.domain.text import to_html
from zhengtong.capabilities.portal.forms import ReasonForm, ReleaseForm, ReviseForm
from zhengtong.kernel.commands import must_find
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied, HouseError, Invalid, NotFound
from zhengtong.kernel.files import open_file
from zhengtong.kernel.labels import Level
from zhengtong.ui.formats import chinese_date, chinese_time
from zhengtong.ui.pieces import Tone

PER_PAGE = 20
TABS = {"waiting": "待审", "out": "已发布", "rejected": "已退回"}
TONES: dict[str, Tone] = {
    "offered": "wait",
    "second": "wait",
    "rejected": "bad",
    "released": "info",
    "published": "ok",
    "leaving": "info",
    "withdrawn": "idle",
}


def actor_of(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return actor


@require_GET
def listing(request: HttpRequest) -> HttpResponse:
    """What waits for review, what is online, what was refused."""
    actor = actor_of(request)
    tab = request.GET.get("state", "")
    tab = tab if tab in TABS else "waiting"
    page = Paginator(queries.articles(actor, tab), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "rows": [(item, standing(item)) for item in page.object_list],
        "page": page,
        "tab": tab,
        "tabs": [(key, word, queries.articles(actor, key).count()) for key, word in TABS.items()],
    }
    return render(request, "portal/office/list.html", context)


def standing(article: Any) -> tuple[str, Tone]:
    """Where an article stands, in a word and its tone."""
    return article.get_state_display(), TONES[article.state]


@require_GET
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One article as it would be seen, and what can be done with it."""
    return _page(request, _find(request, pk))


@require_POST
def act(request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
    """Do one thing; what is refused comes back with everything that was typed."""
    if verb not in VERBS:
        raise NotFound("没有这项操作。")
    article = _find(request, pk)
    try:
        text = VERBS[verb](request, article)
    except Refill as refill:
        return _page(request, article, verb, refill.form, status=422)
    except (Denied, NotFound):
        raise
    except HouseError as error:
        return _page(request, article, verb, problem=error.message, status=error.status)
    return _said(request, f"/portal/{pk}/", text)


@require_http_methods(["GET", "POST"])
def revise(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Correct the words of an article."""
    article = _find(request, pk)
    kept = {"title": article.title, "summary": article.summary, "body": article.body}
    form = ReviseForm(request.POST or None, initial=kept)
    if request.method == "POST" and form.is_valid():
        try:
            offering.revise(actor_of(request), article, **form.cleaned_data)
        except Invalid as error:
            _blame(form, error)
        else:
            return _said(request, f"/portal/{pk}/", "已保存，请重新审查。")
    status = 422 if form.errors else 200
    context = {"article": article, "form": form, "state": standing(article)}
    return render(request, "portal/office/revise.html", context, status=status)


@require_GET
def file(request: HttpRequest, pk: UUID, number: int) -> FileResponse:
    """A file of an article, by its place in the list."""
    found = must_find(queries.files(_find(request, pk)), order=number)
    answer = FileResponse(
        open_file(found.file_id),
        as_attachment=found.file.media_type != "application/pdf",
        filename=found.name,
        content_type=found.file.media_type,
    )
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


urlpatterns = [
    path("", listing),
    path("<uuid:pk>/", detail),
    path("<uuid:pk>/revise", revise),
    path("<uuid:pk>/files/<int:number>", file),
    path("<uuid:pk>/<slug:verb>", act),
]


class Refill(Exception):
    """A form to be shown again with its faults."""

    def __init__(self, form: forms.Form) -> None:
        super().__init__()
        self.form = form


def _release(request: HttpRequest, article: Any) -> str:
    form = ReleaseForm(request.POST, careful=bool(queries.remarks(article)))
    values = _checked(form)
    done = _run(form, lambda: releasing.release(actor_of(request), article, **values))
    if done.state == "second":
        return "已初审，转交第二人复核。"
    return f"已批准公开，正在上网。索引号：{done.index_number}。"


def _confirm(request: HttpRequest, article: Any) -> str:
    done = releasing.confirm_release(actor_of(request), article)
    return f"已复核，正在上网。索引号：{done.index_number}。"


def _reject(request: HttpRequest, article: Any) -> str:
    form = ReasonForm(request.POST)
    reason = _checked(form)["reason"]
    _run(form, lambda: offering.reject(actor_of(request), article, reason))
    return "已退回，送审单位可看到理由。"


def _withdraw(request: HttpRequest, article: Any) -> str:
    form = ReasonForm(request.POST)
    reason = _checked(form)["reason"]
    _run(form, lambda: releasing.withdraw(actor_of(request), article, reason))
    return "已通知外网节点撤下，几秒后这里会显示结果。"


VERBS: dict[str, Callable[[HttpRequest, Any], str]] = {
    "release": _release,
    "confirm": _confirm,
    "reject": _reject,
    "withdraw": _withdraw,
}


def _checked(form: forms.Form) -> dict[str, Any]:
    if not form.is_valid():
        raise Refill(form)
    return form.cleaned_data


def _run(form: forms.Form, command: Callable[[], Any]) -> Any:
    """Run a command; what it finds wrong with a value is said at that value."""
    try:
        return command()
    except Invalid as error:
        _blame(form, error)
        raise Refill(form) from error


def _blame(form: forms.Form, error: Invalid) -> None:
    for name, text in error.fields.items():
        form.add_error(name if name in form.fields else None, text)


def _find(request: HttpRequest, pk: UUID) -> Any:
    return must_find(queries.articles(actor_of(request)), pk=pk)


def _page(
    request: HttpRequest,
    article: Any,
    verb: str = "",
    form: forms.Form | None = None,
    *,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    found = queries.remarks(article) if article.state in queries.WAITING else []
    initial = {"column": article.column_id or "", "summary": article.summary}
    release = ReleaseForm(initial=initial, careful=bool(found))
    context = {
        "article": article,
        "html": to_html(article.body),
        "files": queries.files(article),
        "state": standing(article),
        "remarks": found,
        "waiting": queries.unchecked(article) if article.state == "offered" else [],
        "portal": queries.portal_node(),
        "facts": _facts(article),
        "may": may(actor_of(request), article),
        "verb": verb,
        "problem": problem,
        "faulty": form,
        "release": form if verb == "release" and form else release,
        "reject": form if verb == "reject" and form else ReasonForm(),
        "withdraw": form if verb == "withdraw" and form else ReasonForm(),
    }
    return render(request, "portal/office/article.html", context, status=status)


def may(actor: Actor, article: Any) -> frozenset[str]:
    """What the page offers this actor: the commands' own conditions, told beforehand."""
    found = set()
    if article.state == "offered" and article.level == Level.PUBLIC and actor.has("portal.release"):
        found.add("release")
    second = actor.has("portal.confirm_release") and actor.has("portal.release")
    if article.state == "second" and second and actor.person != article.released_by:
        found.add("confirm")
    if article.state in queries.WAITING and actor.has("portal.reject"):
        found.add("reject")
    leaving = article.state in ("leaving", "withdrawn")
    if article.version and not leaving and actor.has("portal.withdraw"):
        found.add("withdraw")
    if article.state != "leaving" and actor.has("portal.revise"):
        found.add("revise")
    return frozenset(found)


def _facts(article: Any) -> Sequence[tuple[str, object]]:
    second = f"，复核 {article.second_by_name}" if article.second_by_name else ""
    return [
        ("送审单位", article.source),
        ("送审人", article.offered_by),
        ("发文字号", article.document_number),
        ("文种", article.document_kind),
        ("成文日期", chinese_date(article.issued_on)),
        ("索引号", article.index_number or "（发布时编号）"),
        ("审查人", f"{article.released_by_name}{second}"),
        ("首次发布", chinese_time(article.published_at)),
        ("版本", article.version or ""),
    ]


def _said(request: HttpRequest, url: str, text: str) -> HttpResponse:
    request.session["said"] = {"text": text, "details": [], "tone": "ok"}
    return HttpResponseRedirect(url)
