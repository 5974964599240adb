"""The long-lived answers of this node, by path."""

from __future__ import annotations

from django.conf import settings

from zhengtong.faces import doorbell
from zhengtong.faces.server.streams import StreamHandler


def handlers() -> dict[str, StreamHandler]:
    """The doorbell for child nodes everywhere; notices where there is an office."""
    found: dict[str, StreamHandler] = {"/exchange/doorbell": doorbell.listen}
    if not settings.PUBLIC_FACE:
        from zhengtong.faces.office import stream

        found["/notices/stream"] = stream.listen
    return found
