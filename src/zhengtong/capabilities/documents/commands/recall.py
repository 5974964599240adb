"""撤回: the sender takes a document back. Whether that is an act or a request, and what becomes of
it, is decided where the document lies, under the lock of its incoming record."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zhengtong.capabilities.documents import messages, queries
from zhengtong.capabilities.documents.commands.sending import (
    ADDRESSEE,
    lane_of,
    refuse_foreign,
)
from zhengtong.capabilities.documents.domain import recalling
from zhengtong.capabilities.documents.models import (
    WITHDRAWN,
    Delivery,
    Document,
    Incoming,
    Recall,
    State,
)
from zhengtong.kernel import notices
from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.errors import Invalid, Refused
from zhengtong.kernel.flow import cases
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.records import Grant
from zhengtong.kernel.tasks import close_tasks, new_task, open_tasks

ANSWERS = (Recall.RECALLED.value, Recall.AGREED.value, Recall.DECLINED.value)


@command("documents.recall", title="撤回公文")
def recall(
    act: Act, document: Document, organisations: Sequence[UUID], reason: str = ""
) -> Document:
    """Take a dispatched document back from these addressees. Raises Invalid naming the field.

    What each of them holds of it is known only there: the matrix says 撤回中 until they answer.
    """
    refuse_foreign(act, document)
    document.require(State.DISPATCHED)
    text = reason.strip()
    deliveries = {
        row.delivery.organisation_id: row.delivery
        for row in queries.matrix(act.actor, document)
        if not row.delivery.replaced and not row.refusal
    }
    against = {
        unit.pk: f"{unit.short_name}{words}" if words else ""
        for unit in queries.organisations(organisations)
        for words in [recalling.against_recall(deliveries.get(unit.pk))]
    }
    wrong = recalling.faults(organisations, against, "撤回") | recalling.reason_faults(text)
    if wrong:
        raise Invalid(wrong)
    chosen = [deliveries[pk] for pk in dict.fromkeys(organisations)]
    for delivery in chosen:
        delivery.recall, delivery.recall_asked_at = Recall.ASKED, act.now
        delivery.recall_reason = text
        delivery.recall_answered_at, delivery.recall_answer = None, ""
        delivery.save(update_fields=RECALL_FIELDS)
    units = [delivery.organisation for delivery in chosen]
    names = tuple(unit.pk for unit in units)
    act.tell(
        messages.Recalled(document.pk, names, act.actor.name, act.now, text),
        to=units,
        lane=lane_of(document),
    )
    act.note(organisations=[str(name) for name in names])
    return document


RECALL_FIELDS = "recall recall_asked_at recall_reason recall_answered_at recall_answer".split()


@command("documents.accept_recall", title="处理撤回")
def accept_recall(
    act: Act, fact: messages.Recalled, received: Sequence[Incoming]
) -> list[Incoming]:
    """At the addressees: take effect where it has not been signed for, ask where it has."""
    document = _document(received[0])
    for incoming in received:
        if incoming.withdrawn:
            _answer(act, incoming, document)
        elif incoming.recall != Recall.ASKED:
            incoming.recall_at, incoming.recall_by = fact.at, fact.by
            incoming.recall_reason = fact.reason
            if incoming.signed_for_at and incoming.outcome != "returned":
                _ask(incoming, document)
            else:
                _withdraw(act, incoming, document, Recall.RECALLED)
                _answer(act, incoming, document)
    return list(received)


def _document(incoming: Incoming) -> Document:
    documents = Document.objects.unlabelled("reached through its incoming record")
    return documents.select_related("owner").get(pk=incoming.document_id)


def _ask(incoming: Incoming, document: Document) -> None:
    """Let the registry answer the request."""
    incoming.recall = Recall.ASKED
    incoming.save(update_fields=INCOMING_FIELDS)
    open_tasks(
        [
            new_task(
                incoming,
                owner=incoming.owner_id,
                duty="documents.answer_recall",
                kind="recall",
                title=document.title,
                page=f"/documents/incoming/{incoming.pk}/",
                note="来文机关请求撤回",
                urgency=document.urgency,
            )
        ]
    )


def _withdraw(act: Act, incoming: Incoming, document: Document, how: Recall) -> None:
    """Nobody here works on it, opens it or finds it any more; the register keeps its entry."""
    incoming.recall, incoming.outcome = how, "recalled"
    incoming.save(update_fields=INCOMING_FIELDS)
    cases.cut_short(act, incoming)
    _close_to(document, incoming.owner_id)
    act.touched(document)
    notices.notify(
        incoming.owner_id,
        "task-closed",
        "来文机关撤回了一件公文。",
        duty="documents.sign_for",
        subject=incoming.urn,
    )


INCOMING_FIELDS = "recall recall_at recall_by recall_reason outcome".split()


def _close_to(document: Document, organisation: UUID) -> None:
    Grant.objects.filter(record=document.pk, organisation=organisation, purpose=ADDRESSEE).delete()


def _answer(act: Act, incoming: Incoming, document: Document, reason: str = "") -> None:
    act.tell(
        messages.RecallAnswered(
            document.pk, incoming.owner_id, str(incoming.recall), act.actor.name, act.now, reason
        ),
        to=[document.owner],
        about=document,
        lane=Lane.URGENT,
    )


@command("documents.answer_recall", title="答复撤回请求")
def answer_recall(act: Act, incoming: Incoming, *, agree: bool, reason: str = "") -> Incoming:
    """Agree that a document we have signed for is withdrawn here too, or decline with a reason."""
    if incoming.recall != Recall.ASKED:
        raise Refused("没有待答复的撤回请求，或者已经答复过。")
    document = _document(incoming)
    text = reason.strip()[: recalling.MAX_REASON]
    if not agree:
        text = cases.require_opinion(reason, "reason")
    close_tasks(
        incoming,
        owner=incoming.owner_id,
        duties=["documents.answer_recall"],
        by=act.actor.person,
    )
    if agree:
        _withdraw(act, incoming, document, Recall.AGREED)
    else:
        incoming.recall = Recall.DECLINED
        incoming.save(update_fields=["recall"])
    _answer(act, incoming, document, text)
    act.note(agree=agree)
    return incoming


@command("documents.note_recall", title="记录撤回结果")
def note_recall(act: Act, fact: messages.RecallAnswered) -> Delivery | None:
    """At the issuer: what an addressee's node answered. The first answer counts."""
    if fact.outcome not in ANSWERS:
        raise Refused(f"撤回的答复“{fact.outcome}”不在已知的几种之内，未予采信。")
    delivery = (
        Delivery.objects.visible_to(act.actor)
        .filter(
            document=fact.document,
            organisation=fact.organisation,
            replaced=False,
            recall=Recall.ASKED,
        )
        .select_related("organisation")
        .first()
    )
    if delivery is None:
        return None
    delivery.recall = fact.outcome
    delivery.recall_answered_at, delivery.recall_answer = fact.at, fact.reason[:2000]
    delivery.save(update_fields=RECALL_FIELDS)
    document = Document.objects.visible_to(act.actor).get(pk=fact.document)
    if fact.outcome in WITHDRAWN:
        _close_to(document, fact.organisation)
    act.touched(document)
    name = delivery.organisation.short_name
    notices.notify(
        delivery.owner_id,
        "progress",
        f"{name}的文已撤回。" if fact.outcome in WITHDRAWN else f"{name}未同意撤回，请查看理由。",
        duty="documents.dispatch",
        subject=document.urn,
    )
    return delivery
