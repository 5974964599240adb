"""The addresses of documents, under /documents/."""

from __future__ import annotations

from django.urls import path

from zhengtong.capabilities.documents.web import drafting, files, incoming, outgoing

urlpatterns = [
    path("outgoing/", outgoing.listing),
    path("incoming/", incoming.listing),
    path("incoming/<uuid:pk>/", incoming.detail),
    path("incoming/<uuid:pk>/<slug:verb>", incoming.act),
    path("new", drafting.new),
    path("<uuid:pk>/", outgoing.detail),
    path("<uuid:pk>/edit", drafting.edit),
    path("<uuid:pk>/progress", outgoing.progress),
    path("<uuid:pk>/files/<str:sha256>", files.download),
    path("<uuid:pk>/evidence", files.evidence),
    path("<uuid:pk>/<slug:verb>", outgoing.act),
]
