"""The addresses of the office that belong to no capability."""

from __future__ import annotations

from django.urls import path

from zhengtong.faces.office import audit, home, links, search, signing

urlpatterns = [
    path("", home.home),
    path("read", home.read),
    path("notices/count", home.count),
    path("sign-in", signing.sign_in),
    path("sign-out", signing.sign_out),
    path("search", search.search),
    path("audit/", audit.audit),
    path("links/", links.links),
    path("links/resend/<int:letter>", links.resend),
    path("links/retry/<int:handling>", links.retry),
]
