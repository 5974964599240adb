"""The door for other nodes: one signed batch in, one signed batch out.

Over TLS the connection has already said which node dials; it may hand over its own batches only.
Without TLS nobody is received but from this very machine.
"""

from __future__ import annotations

import json

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from zhengtong.kernel.bell import ring
from zhengtong.kernel.engine import plain_errors
from zhengtong.kernel.errors import Unavailable
from zhengtong.kernel.messages import certified
from zhengtong.kernel.messages.exchange import answer_streamed
from zhengtong.kernel.messages.identity import finder
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.kernel.node import LOOPBACK
from zhengtong.wire import cbor, cose
from zhengtong.wire.batch import MAX_BATCH
from zhengtong.wire.beside import read_head
from zhengtong.wire.certificate_faults import BadCertificate, Fault
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.standing import MAX_STANDING

STATUS = {
    Refusal.OVERSIZED: 413,
    Refusal.UNKNOWN_SENDER: 403,
    Refusal.NOT_A_NEIGHBOUR: 403,
    Refusal.SUSPENDED: 403,
    Refusal.EXPELLED: 403,
    Refusal.UNSIGNED: 401,
    Refusal.BAD_SIGNATURE: 401,
    Refusal.BAD_CERTIFICATE: 403,
}

WITHOUT_CERTIFICATE = ("/exchange/join", "/exchange/rekey")
"""What a node asks that has no certificate yet, or has lost its keys; both are signed otherwise."""


@csrf_exempt  # no cookie plays a part here: the batch's own signature is the authority
@require_POST
def dial(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Take a neighbour's batch and answer with ours, or with a typed refusal it can act on."""
    try:
        data = read_head(request.read, MAX_BATCH)
        node = caller(request.META.get("zhengtong.node", ""), request.META["REMOTE_ADDR"])
        require_own(data, node)
        with plain_errors():
            response = answer_streamed(data, request.read)
            if node:
                certified.keep(node)
    except WireError as error:
        return refusal(error.code.value, error.zh, STATUS.get(error.code, 409))
    except Unavailable as error:
        return refusal("unavailable", error.message, 503)
    ring()
    if not response.bulks:
        return HttpResponse(response.head, content_type="application/cbor")
    return StreamingHttpResponse(iter(response), content_type="application/cbor")


def caller(node: str, address: str) -> str | None:
    """The node that dials, by its certificate; None on this machine's own plain port.

    Raises BadCertificate where a certificate is called for and none was shown.
    """
    if not node and (settings.NODE.receives_over_tls or address not in LOOPBACK):
        raise BadCertificate(Fault.MISSING)
    return node or None


def require_own(batch: bytes, node: str | None) -> None:
    """Refuse a batch that is not signed with a key of the node that brings it. Raises WireError."""
    if node is None:
        return
    signed, _ = cbor.read_bstr(batch, 0)
    key = cose.parse(signed, cose.STANDING, MAX_STANDING).kid
    if finder(*Neighbour.objects.filter(name=node))(key) is None:
        raise BadCertificate(Fault.WRONG_NODE, f"certificate of {node}, batch of another")


def refusal(code: str, text: str, status: int) -> HttpResponse:
    """A typed refusal: a code for the program, words for its administrator."""
    body = json.dumps({"refused": code, "text": text}, ensure_ascii=False)
    return HttpResponse(body, content_type="application/json; charset=utf-8", status=status)
