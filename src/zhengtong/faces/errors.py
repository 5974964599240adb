"""Error pages of both faces."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

TEMPLATES = {403: "403.html", 404: "404.html", 413: "413.html"}


def page(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """The designed page for a status, with the error's own words."""
    template = TEMPLATES.get(status, "ui/error.html")
    return render(request, template, {"message": message, "status": status}, status=status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return page(request, 403, "页面已过期。请返回上一页刷新后重试，已填写的内容请先复制保存。")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 404, "没有找到您要的页面。")


def server_error(request: HttpRequest) -> HttpResponse:
    return render(request, "500.html", status=500)
