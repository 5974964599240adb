"""Notices as they happen: server-sent events, resumed from `Last-Event-ID` by the notice table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from urllib.parse import parse_qs

from django.conf import settings

from zhengtong.faces.server.streams import Request, Stream
from zhengtong.faces.wake import wake
from zhengtong.kernel import notices, tasks
from zhengtong.kernel.directory.actors import Actor, person_actor
from zhengtong.kernel.directory.models import Person

LOOK_AGAIN = 2.0


async def listen(request: Request) -> Stream:
    """The stream of whoever is signed in; 401 for anybody else."""
    actor = await request.in_thread(_actor, request.headers.get("cookie", ""))
    if actor is None:
        return Stream(_nothing(), status=401)
    last = request.headers.get("last-event-id") or _asked(request.query)
    start = int(last) if last.isdigit() else await request.in_thread(notices.newest)
    return Stream(_events(request, actor, start))


def _asked(query: str) -> str:
    """`?last=` of a page that had closed its stream while it was hidden."""
    return parse_qs(query).get("last", [""])[0]


def _actor(cookie_header: str) -> Actor | None:
    """Who the session cookie belongs to, if it is still alive."""
    try:
        cookie = SimpleCookie(cookie_header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    if cookie is None:
        return None
    session = import_module(settings.SESSION_ENGINE).SessionStore(cookie.value)
    person = Person.objects.filter(pk=session.get("_auth_user_id"), active=True).first()
    return person_actor(person) if person else None


def _after(actor: Actor, last: int) -> tuple[list[notices.Notice], int]:
    return list(notices.after(actor, last)), tasks.to_do(actor).count()


async def _events(request: Request, actor: Actor, last: int) -> AsyncIterator[bytes]:
    while True:
        found, waiting = await request.in_thread(_after, actor, last)
        for notice in found:
            last = notice.pk
            data = {"kind": notice.kind, "text": notice.text, "todo": waiting}
            body = json.dumps(data, ensure_ascii=False)
            yield f"id: {notice.pk}\ndata: {body}\n\n".encode()
        if not found:
            await wake.wait(LOOK_AGAIN)


async def _nothing() -> AsyncIterator[bytes]:
    for _ in ():
        yield b""
