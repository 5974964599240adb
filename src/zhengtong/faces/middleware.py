"""What every request passes through: the policy headers, who is signed in, errors in plain words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.contrib.auth import get_user, logout
from django.http import HttpRequest, HttpResponse

from zhengtong.faces import errors
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import anonymous, person_actor
from zhengtong.kernel.directory.signin import session_over
from zhengtong.kernel.errors import HouseError

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)

Next = Callable[[HttpRequest], HttpResponse]


class ContentSecurity:
    """No script, style, font or frame but our own files (ASVS 3.4.3)."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response


class SignedIn:
    """`request.actor` is always present: the person signed in, or the anonymous public.

    A session ends when idle or too old; it is then forgotten on the server, not just in the page.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = anonymous()  # type: ignore[attr-defined]
        if request.session.get("_auth_user_id"):
            person = get_user(request)
            times = request.session.get("signed_in"), request.session.get("seen")
            if not person.is_authenticated or not all(times) or _over(times):
                logout(request)
            else:
                address = request.META.get("REMOTE_ADDR", "")
                request.actor = person_actor(person, address=address)  # type: ignore
                _seen(request)
        return self.get_response(request)


def _over(times: tuple[str, str]) -> bool:
    signed_in, seen = (datetime.fromisoformat(item) for item in times)
    return session_over(signed_in, seen)


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
