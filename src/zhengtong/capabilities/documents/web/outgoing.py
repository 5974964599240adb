"""The documents we issue: the list, one document with its progress, what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.capabilities.documents.forms import OfferForm, OpinionForm, RemindForm, blame
from zhengtong.capabilities.documents.web import pages, recalling
from zhengtong.capabilities.documents.web.pages import Failure, actor_of, said, uuids
from zhengtong.kernel.commands import must_find
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied, HouseError, NotFound
from zhengtong.kernel.flow.procedure import ActionKind
from zhengtong.kernel.labels import Level
from zhengtong.ui.pieces import Cell, Tone

PER_PAGE = 20
STATES: dict[str, tuple[str, Tone]] = {
    "drafting": ("办理中", "info"),
    "dropped": ("已作废", "idle"),
    "issued": ("已签发", "wait"),
    "dispatched": ("已发送", "ok"),
    "received": ("来文", "info"),
}
NOTHING = Cell("idle", "")
COLUMNS = ("送达", "签收", "批阅", "退回", "撤回", "时限")
DECISIONS = {
    "review": outgoing.review,
    "countersign": outgoing.countersign,
    "issue": outgoing.issue,
}


@require_GET
def listing(request: HttpRequest) -> HttpResponse:
    """Our documents, newest first, by state."""
    actor = actor_of(request)
    chosen = request.GET.get("state", "")
    counts = queries.state_counts(actor)
    found = queries.outgoing(actor)
    if chosen in STATES:
        found = found.filter(state=chosen)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    steps, tallies = queries.current_steps(shown), queries.tallies(actor, shown)
    rows = [
        {
            "document": item,
            "state": STATES[item.state],
            "step": steps.get(item.urn, ""),
            "tally": tallies.get(item.pk),
            "urgency": pages.URGENCY[item.urgency],
        }
        for item in shown
    ]
    tabs = [("", "全部", sum(counts.values()))]
    tabs += [(key, word, counts.get(key, 0)) for key, word in queries.states()]
    context = {
        "rows": rows,
        "page": page,
        "tabs": tabs,
        "chosen": chosen,
        "may_draft": actor.has("documents.draft"),
    }
    return render(request, "documents/outgoing.html", context)


@require_GET
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One document. An addressee is led to their own incoming record of it."""
    actor = actor_of(request)
    document = must_find(queries.documents(actor), pk=pk)
    if document.owner_id not in actor.organisations:
        received = queries.incoming_of(actor, document.pk)
        if received is not None:
            return HttpResponseRedirect(f"/documents/incoming/{received.pk}/")
    return _page(request, document)


@require_GET
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The matrix alone, for a page that renews it."""
    actor = actor_of(request)
    document = must_find(queries.outgoing(actor), pk=pk)
    return render(request, "documents/progress.html", _matrix(actor, document, None))


@require_POST
def act(request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
    """Do one thing with a document; what is refused comes back with everything that was typed."""
    actor = actor_of(request)
    if verb not in VERBS:
        raise NotFound("没有这项操作。")
    document = must_find(queries.documents(actor), pk=pk)
    try:
        text = VERBS[verb](actor, document, request.POST)
    except (Denied, NotFound):
        raise
    except HouseError as error:
        return _page(request, document, Failure(verb, error, request.POST))
    return said(request, f"/documents/{pk}/", text)


def _submit(actor: Actor, document: Any, data: QueryDict) -> str:
    outgoing.submit(actor, document)
    return "已送核稿。"


def _drop(actor: Actor, document: Any, data: QueryDict) -> str:
    outgoing.drop(actor, document, data.get("reason", ""))
    return "已作废。"


def _decide(actor: Actor, document: Any, data: QueryDict) -> str:
    step = data.get("step", "")
    if step not in DECISIONS:
        raise NotFound("没有这项操作。")
    agree = data.get("decision") == "agree"
    opinion, back = data.get("opinion", ""), data.get("to_step") or "draft"
    DECISIONS[step](actor, document, agree=agree, opinion=opinion, to_step=back)
    if not agree:
        return "已退回。"
    return {"review": "核稿通过。", "countersign": "已会签同意。", "issue": "已签发并编号。"}[step]


def _dispatch(actor: Actor, document: Any, data: QueryDict) -> str:
    outgoing.dispatch(actor, document)
    return "已发送。各单位送达、签收情况见下表，会自动更新。"


def _remind(actor: Actor, document: Any, data: QueryDict) -> str:
    if "all" in data:
        rows = queries.matrix(actor, document)
        units = [row.delivery.organisation_id for row in rows if row.late]
    else:
        units = uuids(data.getlist("unit"))
    outgoing.remind(actor, document, units, data.get("text", ""))
    return "已催办。"


def _offer(actor: Actor, document: Any, data: QueryDict) -> str:
    outgoing.offer(actor, document, data.get("summary", ""))
    return "已送公开审查。"


VERBS: dict[str, Callable[[Actor, Any, QueryDict], str]] = {
    "submit": _submit,
    "drop": _drop,
    "decide": _decide,
    "dispatch": _dispatch,
    "remind": _remind,
    "recall": recalling.take_back,
    "resend": recalling.send_again,
    "offer": _offer,
}


def _page(request: HttpRequest, document: Any, failure: Failure | None = None) -> HttpResponse:
    actor = actor_of(request)
    standing = queries.standing(actor, document)
    mine = document.owner_id in actor.organisations
    context = pages.paper(document) | pages.course(standing)
    context |= {
        "state": STATES[document.state],
        "step_title": standing.step.title if standing and standing.key else "",
        "facts": [*pages.facts(document), ("拟稿人", document.drafter_name)],
        "decide_step": standing.key if standing else "",
        "source": queries.answered(actor, document),
        "failure": failure,
        **_actions(actor, document, standing, failure),
    }
    if mine and document.state == "dispatched":
        context |= _matrix(actor, document, failure)
    status = failure.error.status if failure else 200
    return render(request, "documents/document.html", context, status=status)


def _actions(
    actor: Actor, document: Any, standing: queries.Standing | None, failure: Failure | None
) -> dict[str, Any]:
    """What this person may do now: the procedure offers it and a duty permits it."""
    mine = document.owner_id in actor.organisations
    may: dict[str, bool] = {}
    forms: dict[str, Any] = {}
    if standing is not None and standing.key == "draft":
        offered = standing.offers(ActionKind.AGREE)
        may["submit"] = offered and actor.has("documents.submit")
        may["drop"] = standing.offers(ActionKind.CLOSE) and actor.has("documents.drop")
    if standing is not None and standing.key in DECISIONS:
        may["decide"] = standing.offers(ActionKind.AGREE) and actor.has(f"documents.{standing.key}")
        forms["decide"] = _opinion_form(standing, failure)
        forms["agree_word"] = standing.step.word(ActionKind.AGREE)
    if mine and document.state == "drafting":
        may["revise"] = standing is not None and standing.mine and actor.has("documents.revise")
    if mine and document.state == "issued":
        may["dispatch"] = actor.has("documents.dispatch")
        forms["addressee_count"] = queries.addressees(document).count()
    if mine and document.state in ("issued", "dispatched") and document.level == Level.PUBLIC:
        may["offer"] = actor.has("documents.offer") and document.offered_at is None
        forms["offer"] = _bound(OfferForm, "offer", failure)
    if document.state in ("issued", "dispatched", "received"):
        may["export_evidence"] = actor.has("documents.export_evidence")
    return {"may": {key for key, value in may.items() if value}, "forms": forms}


def _opinion_form(standing: queries.Standing, failure: Failure | None) -> OpinionForm:
    steps = [(key, standing.procedure.step(key).title) for key in standing.options.return_to]
    if failure is None or failure.verb != "decide":
        return OpinionForm(steps=steps)
    form = OpinionForm(failure.data, steps=steps)
    blame(form, failure.error)
    return form


def _bound(form: type[Any], verb: str, failure: Failure | None) -> Any:
    if failure is None or failure.verb != verb:
        return form()
    bound = form(failure.data)
    blame(bound, failure.error)
    return bound


def _matrix(actor: Actor, document: Any, failure: Failure | None) -> dict[str, Any]:
    rows = queries.matrix(actor, document)
    ticked = set(failure.data.getlist("unit")) if failure else set()
    return {
        "document": document,
        "recalling": recalling.sender_actions(actor, rows, failure),
        "recall_reasons": recalling.reasons(rows),
        "columns": COLUMNS,
        "matrix": [
            {
                "row": row,
                "cells": _cells(row),
                "ticked": str(row.delivery.organisation_id) in ticked,
            }
            for row in rows
        ],
        "late": sum(row.late for row in rows),
        "units": sum(not row.delivery.replaced for row in rows),
        "signed": sum(row.signed for row in rows),
        "may_remind": actor.has("documents.remind") and any(row.late for row in rows),
        "remind": _bound(RemindForm, "remind", failure),
    }


def _cells(row: queries.Progress) -> list[Cell]:
    """One cell for each column: the state in a word, and when it was reached."""
    delivery = row.delivery
    over = row.over
    delivered = Cell("bad", row.word) if row.refusal else Cell("info", "发送中")
    if row.delivered_at:
        delivered = Cell("ok", "已送达", row.delivered_at)
    signed = NOTHING if over else Cell("wait", "未签收")
    if delivery.signed_for_at:
        signed = Cell("ok", "已签收", delivery.signed_for_at)
    read = NOTHING if over else Cell("idle", "未批阅")
    if delivery.read_at:
        read = Cell("ok", "已批阅", delivery.read_at)
    back = delivery.returned_at
    returned = Cell("bad", "已退回", back) if back else NOTHING
    return [delivered, signed, read, returned, recalling.cell(row), _due(row)]


def _due(row: queries.Progress) -> Cell:
    delivery = row.delivery
    if row.over:
        return NOTHING
    if delivery.due_at is None:
        return Cell("idle", "不限时")
    if delivery.read_at:
        return Cell("ok", "已办理", delivery.due_at)
    if delivery.overdue:
        return Cell("bad", "已逾期", delivery.due_at)
    return Cell("info", "未到期", delivery.due_at)
