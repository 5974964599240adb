"""The style guide: every pattern with sample data, and whole sample pages of both faces."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from zhengtong.ui import samples

Context = dict[str, Any]

PAGES: dict[str, tuple[str, Callable[[], Context], Callable[[], Context]]] = {
    "": ("ui/styleguide.html", samples.office, samples.patterns),
    "list": ("ui/samples/list.html", samples.office, samples.todo_list),
    "detail": ("ui/samples/detail.html", samples.office, samples.document),
    "home": ("ui/samples/home.html", samples.portal, samples.home),
    "article": ("ui/samples/article.html", samples.portal, samples.article),
    "sign-in": ("ui/samples/sign_in.html", samples.office, dict),
}


def styleguide(request: HttpRequest) -> HttpResponse:
    """Show every pattern, or the whole page named by ``?sample=``."""
    try:
        template, shell, content = PAGES[request.GET.get("sample", "")]
    except KeyError:
        raise Http404("no such sample page") from None
    return render(request, template, {**shell(), **content()})
