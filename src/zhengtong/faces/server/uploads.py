"""Request bodies: spooled, so that an upload costs disk and not memory, and limited."""

from __future__ import annotations

import asyncio
import errno
import io
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol
    from granian.rsgi import Scope

_IN_MEMORY = 256 * 1024
_SILENCE = 30.0
# After a refusal we still swallow this much: a browser that is cut off while it is sending shows
# a network error instead of our explanation.
_DRAIN_BYTES = 64 * 1024 * 1024
_DRAIN_SECONDS = 10.0


class UploadTooLarge(Exception):
    """The announced length exceeds the limit; what the client was sending has been drained."""


class LengthUnknown(Exception):
    """The body came in chunks without a length.

    The engine ends such a body in the same way whether it was complete or cut off, so half a
    form could pass for a whole one.
    """


class UploadBroken(Exception):
    """The client left before all of the body had arrived."""


class UploadTooSlow(Exception):
    """The client sent nothing for 30 seconds."""


class UploadNoRoom(Exception):
    """The disk for temporary files is full."""


async def receive(scope: Scope, proto: HTTPProtocol, limit: int) -> tuple[BinaryIO, int]:
    """The request body as a file at position 0, and its length in bytes.

    Raises UploadTooLarge, LengthUnknown, UploadTooSlow, UploadBroken and UploadNoRoom.
    """
    headers = scope.headers
    announced = headers.get("content-length")
    if announced is None and "transfer-encoding" not in headers:
        return io.BytesIO(), 0
    chunks: AsyncIterator[bytes] = proto.__aiter__()
    if announced is None or int(announced) > limit:
        if "expect" not in headers:  # who asks first is not sending yet
            await _drain(chunks)
        raise LengthUnknown if announced is None else UploadTooLarge
    body = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
    try:
        received = await _spool(chunks, body)
        if received != int(announced):
            raise UploadBroken
    except OSError as error:
        with suppress(OSError):  # closing writes what is left, which fails as well
            body.close()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UploadNoRoom from error
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body, received


async def _spool(chunks: AsyncIterator[bytes], body: BinaryIO) -> int:
    received = 0
    while True:
        try:
            async with asyncio.timeout(_SILENCE):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return received
        except TimeoutError as error:
            raise UploadTooSlow from error
        except RuntimeError as error:  # the engine's word for a closed or malformed request
            raise UploadBroken from error
        body.write(chunk)
        received += len(chunk)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    swallowed = 0
    with suppress(StopAsyncIteration, TimeoutError, RuntimeError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while swallowed < _DRAIN_BYTES:
                swallowed += len(await anext(chunks))
