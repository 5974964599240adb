"""The addresses of the office that belong to no capability."""

from __future__ import annotations

from django.urls import path

from zhengtong.faces.office import audit, ferry, ferry_upload, home, links, search, signing

urlpatterns = [
    path("", home.home),
    path("read", home.read),
    path("notices/count", home.count),
    path("sign-in", signing.sign_in),
    path("sign-out", signing.sign_out),
    path("search", search.search),
    path("audit/", audit.audit),
    path("ferry/", ferry.overview),
    path("ferry/export", ferry.export),
    path("ferry/import", ferry.bring),
    path("ferry/begin", ferry_upload.begin),
    path("ferry/<int:pk>", ferry.detail),
    path("ferry/<int:pk>/sheet", ferry.sheet),
    path("ferry/<int:pk>/lose", ferry.lose),
    path("ferry/<int:pk>/volumes/<int:number>", ferry_upload.slice_of),
    path("ferry/<int:pk>/files/<int:number>", ferry.download),
    path("links/", links.links),
    path("links/resend/<int:letter>", links.resend),
    path("links/retry/<int:handling>", links.retry),
]
