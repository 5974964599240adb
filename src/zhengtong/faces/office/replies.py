"""Saying on the next page what has just been done."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect


def said(
    request: HttpRequest, url: str, text: str, *, details: Sequence[str] = (), tone: str = "ok"
) -> HttpResponse:
    """Go to `url` and say `text` there, once. `tone` is "ok", or "bad" when something failed."""
    request.session["said"] = {"text": text, "details": list(details), "tone": tone}
    return HttpResponseRedirect(url)
