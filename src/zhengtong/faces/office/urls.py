"""The addresses of the office that belong to no capability."""

from __future__ import annotations

from django.urls import path

from zhengtong.faces.office import (
    audit,
    ferry,
    ferry_upload,
    home,
    link_letter,
    link_log,
    links,
    members,
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
    path("nodes/", members.members),
    path("nodes/invite", members.invite),
    path("nodes/<str:node>/", members.member),
    *(
        path(f"nodes/<uuid:invitation>/{verb}", members.decide, {"verb": verb})
        for verb in ("approve", "refuse", "withdraw")
    ),
    *(
        path(f"nodes/<str:node>/{verb}", members.change, {"verb": verb})
        for verb in ("suspend", "resume", "expel")
    ),
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
