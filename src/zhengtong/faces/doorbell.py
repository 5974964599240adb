"""The doorbell: a neighbour keeps one stream open here and hears when mail waits for it.

It proves who it is with an empty batch of its own, in the header `Authorization: Batch <base64url>`
(the stream has no body). That batch takes no part in the exchange: its counter is not noted, so
it can neither overtake nor outdate a dial that runs at the same time.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from django.conf import settings
from django.db import close_old_connections
from django.db.models import Sum

from zhengtong.faces.exchange import caller
from zhengtong.faces.server.streams import Request, Stream
from zhengtong.faces.watch import Watch
from zhengtong.kernel import moment
from zhengtong.kernel.messages import exchange
from zhengtong.kernel.messages.identity import finder
from zhengtong.kernel.messages.models import LinkLane, Neighbour
from zhengtong.wire.batch import decode_batch
from zhengtong.wire.errors import WireError
from zhengtong.wire.standing import require_fresh

SCHEME = "Batch "
MAX_PROOF = 16 * 1024
TEXT = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))


async def listen(request: Request) -> Stream:
    """A line `mail 0 2`, at every new letter: the lanes in which mail waits for the neighbour."""
    proof = request.headers.get("authorization", "")
    name = await request.in_thread(who, proof, request.node, request.client)
    if name is None:
        return Stream(_nothing(), status=401, headers=TEXT)
    return Stream(_mail(request, name), headers=TEXT, life_limit=3600, idle_limit=3600)


def who(authorization: str, node: str, client: str) -> str | None:
    """The neighbour that signed this proof just now, or None; over TLS, `node` and no other."""
    close_old_connections()
    if not authorization.startswith(SCHEME) or len(authorization) > MAX_PROOF:
        return None
    try:
        proof = base64.urlsafe_b64decode(authorization.removeprefix(SCHEME).encode())
        by_certificate = caller(node, urlsplit(f"//{client}").hostname or "")
        neighbours = Neighbour.objects.filter(suspended=False)
        batch = decode_batch(proof, finder(*neighbours), receiver=settings.NODE.name)
        require_fresh(batch.standing, 0, moment.now())
    except (WireError, binascii.Error, UnicodeEncodeError):
        return None
    sender = batch.standing.sender
    return sender if by_certificate in (None, sender) else None


async def _mail(request: Request, name: str) -> AsyncIterator[bytes]:
    async for _ in _letters.changes([name], request.in_thread):
        if lanes := await request.in_thread(_waiting, name):
            yield b"mail %s\n" % " ".join(map(str, lanes)).encode()


async def _nothing() -> AsyncIterator[bytes]:
    for line in list[bytes]():
        yield line


def _waiting(name: str) -> tuple[int, ...]:
    close_old_connections()
    return exchange.to_say(name)


def _look(mark: dict[str, int] | None) -> tuple[dict[str, int], frozenset[str] | None]:
    """Which neighbours have been given new numbers since the last look."""
    close_old_connections()
    lanes = LinkLane.objects.values_list("neighbour__name").annotate(high=Sum("sealed"))
    sealed = dict(lanes.values_list("neighbour__name", "high"))
    if mark is None:
        return sealed, None
    return sealed, frozenset(name for name, high in sealed.items() if high > mark.get(name, 0))


_letters: Watch[str, dict[str, int]] = Watch("doorbell", _look)
