"""The door for other nodes: one signed batch in, one signed batch out."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from zhengtong.kernel.bell import ring
from zhengtong.kernel.engine import plain_errors
from zhengtong.kernel.errors import Unavailable
from zhengtong.kernel.messages.exchange import answer
from zhengtong.wire.batch import MAX_BATCH
from zhengtong.wire.errors import Refusal, WireError

STATUS = {
    Refusal.OVERSIZED: 413,
    Refusal.UNKNOWN_SENDER: 403,
    Refusal.NOT_A_NEIGHBOUR: 403,
    Refusal.UNSIGNED: 401,
    Refusal.BAD_SIGNATURE: 401,
}


@csrf_exempt  # no cookie plays a part here: the batch's own signature is the authority
@require_POST
def dial(request: HttpRequest) -> HttpResponse:
    """Take a neighbour's batch and answer with ours, or with a typed refusal it can act on."""
    try:
        data = request.read(MAX_BATCH + 1)
        if len(data) > MAX_BATCH:
            raise WireError(Refusal.OVERSIZED, f"more than {MAX_BATCH} bytes")
        with plain_errors():
            response = answer(data)
    except WireError as error:
        return _refuse(error.code.value, error.zh, STATUS.get(error.code, 409))
    except Unavailable as error:
        return _refuse("unavailable", error.message, 503)
    ring()
    return HttpResponse(response, content_type="application/cbor")


def _refuse(code: str, text: str, status: int) -> HttpResponse:
    body = json.dumps({"refused": code, "text": text}, ensure_ascii=False)
    return HttpResponse(body, content_type="application/json; charset=utf-8", status=status)
