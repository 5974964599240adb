"""What the pages of both sides show of a recall (撤回) and of sending again (补发)."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands.recall import answer_recall, recall
from zhengtong.capabilities.documents.commands.resend import resend_to
from zhengtong.capabilities.documents.forms import AnswerForm, RecallForm, ResendForm, blame
from zhengtong.capabilities.documents.web.pages import Failure
from zhengtong.kernel.directory.actors import Actor
from zhengtong.ui.pieces import Cell, Tone

TONES: dict[str, Tone] = {
    "撤回中": "wait",
    "请求撤回": "wait",
    "已撤回": "ok",
    "未同意": "bad",
}


def cell(row: queries.Progress) -> Cell:
    """The cell of the matrix that says what became of the recall."""
    if not row.recall_word:
        return Cell("idle", "")
    at = row.delivery.recall_answered_at or row.delivery.recall_asked_at
    return Cell(TONES[row.recall_word], row.recall_word, at)


def reasons(rows: list[queries.Progress]) -> list[str]:
    """Why it was recalled, each reason once, however many units were told it."""
    return list(dict.fromkeys(row.delivery.recall_reason for row in rows if row.recall_word))


def take_back(actor: Actor, document: Any, data: QueryDict) -> str:
    """The button 撤回 on the page of a dispatched document."""
    form = RecallForm(data, units=_recallable(queries.matrix(actor, document)))
    recall(actor, document, form.chosen(), data.get("reason", ""))
    return "已发出撤回。各单位的结果见下表，会自动更新。"


def send_again(actor: Actor, document: Any, data: QueryDict) -> str:
    """The button 补发 on the page of a dispatched document."""
    units = _resendable(actor, queries.matrix(actor, document))
    resend_to(actor, document, ResendForm(data, units=units).chosen())
    return "已补发。各单位送达、签收情况见下表，会自动更新。"


def sender_actions(
    actor: Actor, rows: list[queries.Progress], failure: Failure | None
) -> dict[str, Any]:
    """The forms a sender may use now, by the name of their button."""
    found: dict[str, Any] = {}
    if actor.has("documents.recall") and (units := _recallable(rows)):
        found["recall"] = _form(RecallForm, "recall", failure, units)
    if actor.has("documents.resend_to") and (units := _resendable(actor, rows)):
        found["resend"] = _form(ResendForm, "resend", failure, units)
    return found


def _form(
    form: type[RecallForm | ResendForm], verb: str, failure: Failure | None, units: Any
) -> RecallForm | ResendForm:
    if failure is None or failure.verb != verb:
        return form(units=units)
    bound = form(failure.data, units=units)
    blame(bound, failure.error)
    return bound


def _recallable(rows: list[queries.Progress]) -> Any:
    units = [row.delivery.organisation for row in rows if row.held and not row.refusal]
    return [("holding", "收文单位", units)] if units else []


def _resendable(actor: Actor, rows: list[queries.Progress]) -> Any:
    over = {row.delivery.organisation_id for row in rows if row.over}
    have = {row.delivery.organisation_id for row in rows} - over
    groups = [
        (key, title, [item for item in group if item.pk not in have])
        for key, title, group in queries.units(actor)
    ]
    return [group for group in groups if group[2]]


def answer(actor: Actor, received: Any, data: QueryDict) -> str:
    """The buttons 同意撤回 and 不同意撤回 on the page of an incoming document."""
    agree = data.get("decision") == "agree"
    answer_recall(actor, received, agree=agree, reason=data.get("reason", ""))
    return "已同意撤回，本单位不再持有此件。" if agree else "已答复来文机关：不同意撤回。"


def receiver_actions(actor: Actor, received: Any, failure: Failure | None) -> dict[str, Any]:
    """The form in which a request is answered, if one waits and this person may answer it."""
    if received.recall != "asked" or not actor.has("documents.answer_recall"):
        return {}
    if failure is None or failure.verb != "recall":
        return {"answer": AnswerForm()}
    form = AnswerForm(failure.data)
    blame(form, failure.error)
    return {"answer": form}


def withdrawn_page(
    request: HttpRequest, received: Any, failure: Failure | None = None
) -> HttpResponse:
    """All that an addressee still sees of a document that was taken back: who, when and why."""
    status = failure.error.status if failure else 200
    context = {"incoming": received, "failure": failure}
    return render(request, "documents/withdrawn.html", context, status=status)
