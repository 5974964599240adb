"""The addresses of the office that belong to no capability."""

from __future__ import annotations

from django.urls import path

from zhengtong.faces.office import (
    audit,
    home,
    link_letter,
    link_log,
    links,
    search,
    signing,
)
from zhengtong.kernel.messages.journal import RECEIVED, SENT

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
    path("links/clear/<int:alarm>", links.clear),
    path("links/proof/<int:alarm>", links.proof),
    path("links/log/", link_log.log),
    path("links/log/export", link_log.export),
    *(
        path(f"links/log/{direction}/<int:pk>/{word}", view, {"direction": direction})
        for direction in (SENT, RECEIVED)
        for word, view in (("", link_letter.letter), ("evidence", link_letter.evidence))
    ),
    path("links/<slug:name>/", links.link),
]
