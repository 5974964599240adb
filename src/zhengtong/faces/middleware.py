"""What every request passes through: policy headers, who is signed in, errors in plain words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, logout
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.crypto import constant_time_compare

from zhengtong.faces import errors
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor, anonymous, person_actor
from zhengtong.kernel.directory.signin import Backend, session_over
from zhengtong.kernel.errors import HouseError

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
PERMISSIONS = "camera=(), microphone=(), geolocation=()"
SIGN_IN = "/sign-in"
NO_POST = "您目前没有在任岗位，不能查看或办理业务。请联系本单位管理员办理任职。"

Next = Callable[[HttpRequest], HttpResponse]


class ContentSecurity:
    """No script, style, font or frame but our own files (ASVS 3.4.3)."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response


class SignedIn:
    """`request.actor` is always present: the person signed in, or the anonymous public.

    A session ends when idle or too old; it is then forgotten on the server, not just in the page.
    In the office every view asks for a sign-in unless it is marked `login_not_required`.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = anonymous()  # type: ignore[attr-defined]
        if request.session.get(SESSION_KEY):
            actor = actor_of(request.session, request.META.get("REMOTE_ADDR", ""))
            if actor is None:
                logout(request)
            else:
                request.actor = actor  # type: ignore[attr-defined]
                if not _in_background(request):
                    _seen(request)
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Turn away who may not see this page at all."""
        if settings.PUBLIC_FACE or not getattr(view, "login_required", True):
            return None
        actor: Actor = request.actor  # type: ignore[attr-defined]
        if not actor.anonymous:
            return None if actor.organisations else errors.page(request, 403, NO_POST)
        if _in_background(request):
            return HttpResponse(status=401)  # htmx leaves the page as it is
        query = urlencode({"next": request.get_full_path()}) if request.method == "GET" else ""
        return HttpResponseRedirect(f"{SIGN_IN}?{query}" if query else SIGN_IN)


def actor_of(session: SessionBase, address: str = "") -> Actor | None:
    """The person whose session this is, or None when it is over.

    A changed password ends every session opened with the old one.
    """
    person = Backend().get_user(session.get(SESSION_KEY))
    if person is None or _over(session.get("signed_in"), session.get("seen")):
        return None
    if not constant_time_compare(session.get(HASH_SESSION_KEY, ""), person.get_session_auth_hash()):
        return None
    return person_actor(person, address=address)


def _over(signed_in: str | None, seen: str | None) -> bool:
    if not signed_in or not seen:
        return True
    return session_over(datetime.fromisoformat(signed_in), datetime.fromisoformat(seen))


def _in_background(request: HttpRequest) -> bool:
    """A page renewing a part of itself is no sign that anybody sits before it."""
    return request.method == "GET" and request.headers.get("HX-Request") == "true"


def _seen(request: HttpRequest) -> None:
    """Note activity at most once a minute, so that reading pages does not write each time."""
    now = moment.now()
    if (now - datetime.fromisoformat(request.session["seen"])).total_seconds() > 60:
        request.session["seen"] = now.isoformat()


class PlainErrors:
    """Typed errors become designed pages that say what to do."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, HouseError):
            return errors.page(request, error.status, error.message)
        return None
