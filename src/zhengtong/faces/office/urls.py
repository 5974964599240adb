"""The addresses of the office that belong to no capability."""

from __future__ import annotations

from django.urls import path

from zhengtong.faces.office import audit, home, links, members, search, signing

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
]
