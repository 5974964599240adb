"""What happens elsewhere reaches the open page: server-sent events from the table of notices.

Runs outside Django's request cycle. The session is looked at anew before every event, so a page
left open after sign-out or expiry hears nothing more; and hearing does not keep a session alive.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections
from django.http import parse_cookie

from zhengtong.faces.middleware import actor_of
from zhengtong.faces.server.streams import Request, Stream
from zhengtong.faces.watch import Watch
from zhengtong.kernel import notices, tasks
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.notices import Notice

PLAIN = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))


@dataclass(frozen=True, slots=True)
class News:
    """What one page is to hear: for which organisations, up to which notice, and the events."""

    organisations: tuple[UUID, ...]
    last: int
    text: bytes


async def listen(request: Request) -> Stream:
    """Events after `Last-Event-ID` (or `?last=`); 401 when nobody is signed in."""
    cookies = parse_cookie(request.headers.get("cookie", ""))
    session = cookies.get(settings.SESSION_COOKIE_NAME, "")
    asked = request.headers.get("last-event-id") or _query(request.query, "last")
    first = await request.in_thread(news, session, int(asked) if asked.isdecimal() else None)
    if first is None:
        return Stream(_nothing(), status=401, headers=PLAIN)
    return Stream(_events(request, session, first))


async def _events(request: Request, session: str, first: News) -> AsyncIterator[bytes]:
    yield first.text
    last = first.last
    async for _ in _board.changes(first.organisations, request.in_thread):
        heard: News | None = await request.in_thread(news, session, last)
        if heard is None:
            return
        last = heard.last
        if heard.text:
            yield heard.text


async def _nothing() -> AsyncIterator[bytes]:
    for line in list[bytes]():
        yield line


def news(session: str, last: int | None) -> News | None:
    """What the holder of this session has not heard yet; None when the session is over.

    A page that does not say where it stopped starts at the newest notice, with its to-do count.
    """
    close_old_connections()
    actor = _holder(session)
    if actor is None:
        return None
    if last is None:
        newest = notices.newest()
        return News(actor.organisations, newest, _event(newest, todo=_todo(actor)))
    waiting = list(notices.after(actor, last))
    lines = [_notice(item) for item in waiting]
    if waiting:  # the count once, with the newest
        lines[-1] = _notice(waiting[-1], todo=_todo(actor))
        last = waiting[-1].pk
    return News(actor.organisations, last, b"".join(lines))


def _holder(session: str) -> Actor | None:
    return actor_of(import_module(settings.SESSION_ENGINE).SessionStore(session or None))


def _todo(actor: Actor) -> int:
    return tasks.to_do(actor).count()


def _notice(notice: Notice, **more: Any) -> bytes:
    return _event(notice.pk, kind=notice.kind, text=notice.text, **more)


def _event(number: int, **message: Any) -> bytes:
    return f"id: {number}\ndata: {json.dumps(message, ensure_ascii=False)}\n\n".encode()


def _query(query: str, name: str) -> str:
    return parse_qs(query).get(name, [""])[0]


def _look(mark: int | None) -> tuple[int, frozenset[UUID] | None]:
    """The organisations that have got notices since the last look."""
    close_old_connections()
    if mark is None:
        return notices.newest(), None
    fresh = Notice.objects.filter(id__gt=mark).order_by("id").values_list("id", "organisation")
    found = list(fresh)
    return (found[-1][0] if found else mark), frozenset(place for _, place in found)


_board: Watch[UUID, int] = Watch("notices", _look)
