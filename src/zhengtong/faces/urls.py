"""What this node answers to: the exchange always, then the face of its zone."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path

from zhengtong.faces import exchange, joining, liveness, metrics
from zhengtong.kernel.capability import capabilities

Route = URLPattern | URLResolver


def routes(face: str) -> list[Route]:
    """The addresses of one face. What runs a node is asked at both, its figures at the office's."""
    figures: list[Route] = [path("metrics", login_not_required(metrics.metrics))]
    return [
        path("exchange", login_not_required(exchange.dial)),  # signed by the neighbour's own key
        path("exchange/join", login_not_required(joining.join)),  # signed, with a one-time token
        path("exchange/rekey", login_not_required(joining.rekey)),  # signed by a recovery key
        path("livez", login_not_required(liveness.alive)),
        path("readyz", login_not_required(liveness.ready)),
        *(figures if face == "office" else []),
        *(
            path(prefix, include(urlconf))
            for capability in capabilities()
            for name, prefix, urlconf in capability.urls
            if name == face
        ),
        path("", include(f"zhengtong.faces.{face}.urls")),
    ]


urlpatterns = routes("public" if settings.PUBLIC_FACE else "office")

handler404 = "zhengtong.faces.errors.not_found"
handler500 = "zhengtong.faces.errors.server_error"
