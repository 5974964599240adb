"""The doors for nodes that are not neighbours yet, or not any more: joining, and a lost key.

Both take bytes that are signed, in one POST that may be repeated without harm. Failures are
counted by address; whoever fails too often is not listened to for a while.
"""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from zhengtong.faces.exchange import STATUS, refusal
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.engine import plain_errors
from zhengtong.kernel.errors import HouseError
from zhengtong.kernel.membership import queries
from zhengtong.kernel.membership.commands import joining, keys
from zhengtong.kernel.membership.models import Invitation, Stage
from zhengtong.kernel.membership.refusals import JoinRefused, Why
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.joining import MAX_REQUEST, read_request
from zhengtong.wire.vouching import MAX_VOUCHER, claimed_card


@csrf_exempt  # no cookie plays a part here
@require_POST
def join(request: HttpRequest) -> HttpResponse:
    """A request to join: taken, or where it stands, or the answer. The same bytes ask again."""
    address = request.META.get("REMOTE_ADDR", "")
    if queries.too_many_failures(address):
        return _refuse(JoinRefused(Why.TOO_MANY))
    try:
        with plain_errors():
            asked = read_request(_body(request, MAX_REQUEST))
            known = queries.invitation_of(asked.digest)
            if known is None:
                actor = node_actor({"membership.join_requested"})
                known = joining.join_requested(actor, asked)
            return _standing(known)
    except WireError as error:
        why = Why.OVERSIZED if error.code is Refusal.OVERSIZED else Why.MALFORMED
        problem = JoinRefused(why)
    except JoinRefused as error:
        problem = error
    except HouseError as error:
        return refusal("unavailable", error.message, error.status)
    queries.note_failure(address)
    return _refuse(problem)


@csrf_exempt  # no cookie plays a part here
@require_POST
def rekey(request: HttpRequest) -> HttpResponse:
    """A neighbour's new card after a loss, on the word of its recovery key."""
    address = request.META.get("REMOTE_ADDR", "")
    if queries.too_many_failures(address):
        return _refuse(JoinRefused(Why.TOO_MANY))
    try:
        with plain_errors():
            voucher = _body(request, MAX_VOUCHER)
            node = claimed_card(voucher).node
            keys.rekey(node_actor({"membership.rekey"}), voucher, node=node)
        return HttpResponse(status=204)
    except WireError as error:
        problem = refusal(error.code.value, error.zh, STATUS.get(error.code, 409))
    except HouseError as error:
        problem = refusal("refused", error.message, error.status)
    queries.note_failure(address)
    return problem


def _standing(found: Invitation) -> HttpResponse:
    """Where a request stands. A refusal that has been decided is no failure of the asker."""
    if found.stage == Stage.ADMITTED:
        return HttpResponse(bytes(found.answer), content_type="application/cbor")
    if found.stage == Stage.REFUSED:
        return _refuse(JoinRefused(Why.REFUSED, found.reason))
    if found.stage == Stage.WITHDRAWN:
        return _refuse(JoinRefused(Why.WITHDRAWN))
    state = {"state": "waiting", "approved": found.approvals.count(), "needed": joining.NEEDED}
    return HttpResponse(json.dumps(state), content_type="application/json", status=202)


def _body(request: HttpRequest, limit: int) -> bytes:
    data = request.read(limit + 1)
    if len(data) > limit:
        raise WireError(Refusal.OVERSIZED, f"more than {limit} bytes")
    return data


def _refuse(problem: JoinRefused) -> HttpResponse:
    return refusal(problem.why.code, problem.message, problem.status)
