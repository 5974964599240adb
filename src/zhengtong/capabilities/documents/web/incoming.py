"""The documents we receive: the list, the document, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming
from zhengtong.capabilities.documents.forms import InstructForm, ReasonForm, RemarkForm, blame
from zhengtong.capabilities.documents.web import pages, recalling
from zhengtong.capabilities.documents.web.pages import Failure, actor_of, said, uuids
from zhengtong.kernel import moment
from zhengtong.kernel.commands import must_find
from zhengtong.kernel.directory.actors import Actor, people_with
from zhengtong.kernel.errors import Denied, HouseError, NotFound
from zhengtong.kernel.flow.procedure import ActionKind
from zhengtong.ui.formats import chinese_time
from zhengtong.ui.pieces import Tone

PER_PAGE = 20
TABS = {
    "waiting": "待签收",
    "handling": "办理中",
    "closed": "已办结",
    "returned": "已退回",
    "recalled": "已撤回",
}
STEPS: dict[str, tuple[str, Tone]] = {
    "签收": ("待签收", "wait"),
    "登记": ("待登记", "info"),
    "拟办批示": ("待批示", "info"),
    "传阅": ("传阅中", "info"),
    "办结": ("待办结", "info"),
}
OUTCOMES: dict[str, tuple[str, Tone]] = {
    "closed": ("已办结", "ok"),
    "returned": ("已退回", "bad"),
    "recalled": ("已撤回", "idle"),
}
WORK = {
    "sign_for": "documents.sign_for",
    "register": "documents.register",
    "instruct": "documents.instruct",
    "circulate": "documents.read",
    "close": "documents.close",
}


def standing_word(received: Any, step: str) -> tuple[str, Tone]:
    """Where an incoming document stands, in a word."""
    if received.outcome:
        return OUTCOMES[received.outcome]
    return STEPS.get(step, (step, "info"))


@require_GET
def listing(request: HttpRequest) -> HttpResponse:
    """What has come in, 待签收 first."""
    actor = actor_of(request)
    chosen = request.GET.get("state", "")
    found = everything = queries.incoming(actor)
    if chosen in TABS:
        found = everything.filter(queries.STANDINGS[chosen])
    page = Paginator(queries.waiting_first(found), PER_PAGE).get_page(request.GET.get("page"))
    shown = list(page.object_list)
    steps = queries.current_steps(shown)
    now = moment.now()
    rows = [
        {
            "incoming": item,
            "state": standing_word(item, steps.get(item.urn, "")),
            "urgency": pages.URGENCY[item.document.urgency],
            "late": bool(item.due_at and item.due_at < now and not item.outcome),
        }
        for item in shown
    ]
    counts = queries.standing_counts(actor)
    tabs = [("", "全部", sum(counts.values()))]
    tabs += [(key, word, counts[key]) for key, word in TABS.items()]
    context = {"rows": rows, "page": page, "tabs": tabs, "chosen": chosen}
    return render(request, "documents/incoming.html", context)


@require_GET
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One incoming document with what has to be done about it."""
    return _page(request, must_find(queries.incoming(actor_of(request)), pk=pk))


@require_POST
def act(request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
    """Do one thing with it; what is refused comes back with everything that was typed."""
    actor = actor_of(request)
    if verb not in VERBS:
        raise NotFound("没有这项操作。")
    received = must_find(queries.incoming(actor), pk=pk)
    try:
        text = VERBS[verb](actor, received, request.POST)
    except (Denied, NotFound):
        raise
    except HouseError as error:
        return _page(request, received, Failure(verb, error, request.POST))
    return said(request, f"/documents/incoming/{pk}/", text)


def mark_read(actor: Actor, pk: str) -> None:
    """Mark a circulated document as read, without an opinion."""
    incoming.read(actor, must_find(queries.incoming(actor), pk=pk))


def _sign_for(actor: Actor, received: Any, data: QueryDict) -> str:
    incoming.sign_for(actor, received)
    return "已签收，来文机关已得到回执。"


def _return(actor: Actor, received: Any, data: QueryDict) -> str:
    incoming.return_document(actor, received, data.get("reason", ""), step=data.get("step", ""))
    return "已退回来文机关。"


def _register(actor: Actor, received: Any, data: QueryDict) -> str:
    done = incoming.register(actor, received)
    return f"已登记：{done.register_number}。"


def _instruct(actor: Actor, received: Any, data: QueryDict) -> str:
    readers = uuids(data.getlist("readers"))
    incoming.instruct(actor, received, data.get("opinion", ""), readers)
    return f"已批示，并送 {len(readers)} 人传阅。" if readers else "已批示。"


def _read(actor: Actor, received: Any, data: QueryDict) -> str:
    incoming.read(actor, received, data.get("opinion", ""))
    return "已阅。"


def _close(actor: Actor, received: Any, data: QueryDict) -> str:
    incoming.close(actor, received, data.get("opinion", ""))
    return "已办结。"


VERBS: dict[str, Callable[[Actor, Any, QueryDict], str]] = {
    "sign_for": _sign_for,
    "return": _return,
    "register": _register,
    "instruct": _instruct,
    "circulate": _read,
    "close": _close,
    "recall": recalling.answer,
}


def _page(request: HttpRequest, received: Any, failure: Failure | None = None) -> HttpResponse:
    actor = actor_of(request)
    if failure is not None:  # perhaps because it has changed since it was read
        received = must_find(queries.incoming(actor), pk=received.pk)
    if received.withdrawn:
        return recalling.withdrawn_page(request, received, failure)
    document = must_find(queries.documents(actor), pk=received.document_id)
    standing = queries.standing(actor, received)
    step = standing.step.title if standing and standing.key else ""
    context = pages.paper(document) | pages.course(standing)
    context |= {
        "incoming": received,
        "state": standing_word(received, step),
        "step": standing.key if standing else "",
        "facts": [*pages.facts(document), *_own_facts(received)],
        "may_draft": actor.has("documents.draft"),
        "failure": failure,
        "recalling": recalling.receiver_actions(actor, received, failure),
        **_actions(actor, standing, failure),
    }
    status = failure.error.status if failure else 200
    return render(request, "documents/received.html", context, status=status)


def _own_facts(received: Any) -> list[tuple[str, object]]:
    signed = ""
    if received.signed_for_at:
        signed = f"{chinese_time(received.signed_for_at)} {received.signed_for_by}"
    return [
        ("收文编号", received.register_number),
        ("到达时间", chinese_time(received.arrived_at)),
        ("签收", signed),
    ]


def _actions(
    actor: Actor, standing: queries.Standing | None, failure: Failure | None
) -> dict[str, Any]:
    """The one thing to do at this step, and the way back if the procedure gives one here."""
    if standing is None or not standing.key:
        return {"may": set(), "form": None, "reason": None}
    may = set()
    kind = ActionKind.CLOSE if standing.key == "close" else ActionKind.AGREE
    if standing.offers(kind) and actor.has(WORK[standing.key]):
        may.add(standing.key)
    # 退回 here means back to the sender: only where the procedure ends by it.
    if standing.options.return_ends and actor.has("documents.return"):
        may.add("return")
    form = _form(actor, standing.key, failure)
    reason = ReasonForm()
    if failure is not None and failure.verb == "return":
        reason = ReasonForm(failure.data)
        blame(reason, failure.error)
    elif failure is not None and form is not None:
        blame(form, failure.error)
    return {"may": may, "form": form, "reason": reason}


def _form(actor: Actor, step: str, failure: Failure | None) -> Any:
    data = failure.data if failure and failure.verb == step else None
    if step == "instruct":
        people = people_with("documents.read", actor.organisations)
        choices = [(str(item.pk), item.name) for item in people if item.pk != actor.person]
        return InstructForm(data, people=choices)
    return RemarkForm(data) if step in ("circulate", "close") else None
