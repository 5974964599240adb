"""The doorbell: a child keeps this stream open and is told when letters wait for it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator

from django.conf import settings

from zhengtong.faces.server.streams import Request, Stream
from zhengtong.faces.wake import wake
from zhengtong.kernel import moment
from zhengtong.kernel.messages.exchange import has_mail
from zhengtong.kernel.messages.identity import finder
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire.batch import decode_batch, require_fresh
from zhengtong.wire.errors import WireError

LOOK_AGAIN = 5.0
HEADERS = (("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"))


async def listen(request: Request) -> Stream:
    """A line `mail` whenever letters wait for the node that signed the request's batch."""
    scheme, _, proof = request.headers.get("authorization", "").partition(" ")
    try:
        name = await request.in_thread(_caller, proof if scheme == "Batch" else "")
    except (WireError, binascii.Error) as error:
        return Stream(_once(f"refused: {error}\n".encode()), status=401, headers=HEADERS)
    return Stream(_mail(request, name), headers=HEADERS, heartbeat=b"\n", idle_limit=3600)


def _caller(proof: str) -> str:
    """The neighbour that signed an empty batch for us just now. Raises WireError."""
    neighbours = Neighbour.objects.filter(suspended=False)
    data = base64.b64decode(proof, altchars=b"-_", validate=True)
    batch = decode_batch(data, finder(*neighbours), receiver=settings.NODE.name)
    require_fresh(batch, 0, moment.now())
    return batch.sender


async def _mail(request: Request, name: str) -> AsyncIterator[bytes]:
    while True:
        if await request.in_thread(has_mail, name):
            yield b"mail\n"
        await wake.wait(LOOK_AGAIN)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
