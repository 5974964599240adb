"""The answer for an address at which nothing stands."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from zhengtong.kernel.baked import BakedStore

PAGE = "/404.html"
"""Baked like any other page, so that a web server in front of us answers with the same."""


@login_not_required
def missing(request: HttpRequest) -> HttpResponse:
    """The baked 404 page; before anything is baked, a word that the site is being prepared."""
    page = BakedStore(settings.NODE.baked).read(PAGE)
    if page is not None:
        return HttpResponse(page.body, status=404, content_type=page.content_type)
    context = {"heading": "网站正在准备", "message": "页面正在生成，请过一会儿再来。"}
    answer = render(request, "ui/error.html", context, status=503)
    answer["Retry-After"] = "5"
    return answer
