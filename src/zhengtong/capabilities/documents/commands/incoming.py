"""签收 → 登记 → 批示 → 传阅 → 办结, or 退回 with the reason (条例 art. 24)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from zhengtong.capabilities.documents import messages
from zhengtong.capabilities.documents.commands.sending import ADDRESSEE
from zhengtong.capabilities.documents.models import (
    HELD,
    Attachment,
    Delivery,
    Document,
    Incoming,
    State,
    Urgency,
)
from zhengtong.kernel import moment, notices, numbering
from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.directory.models import Organisation, Person
from zhengtong.kernel.errors import Invalid, Refused
from zhengtong.kernel.flow import cases
from zhengtong.kernel.flow.procedure import ActionKind
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.records import grant
from zhengtong.kernel.tasks import Task

INCOMING = cases.publish(Path(__file__).parents[1] / "procedures" / "incoming.json")


def looks(incoming: Incoming, document: Document) -> cases.Looks:
    return cases.Looks(
        title=document.title,
        page=f"/documents/incoming/{incoming.pk}/",
        urgency=document.urgency,
        reading=frozenset({"circulate"}),
        due_at=incoming.due_at,
    )


@command("documents.receive", title="接收来文")
def receive(
    act: Act, fact: messages.Dispatched, organisations: Sequence[Organisation]
) -> list[Incoming]:
    """Lay a dispatched document before each of its addressees here, as 待签收."""
    document = Document.objects.unlabelled("a letter is stored for its addressees").filter(
        pk=fact.document
    ).first() or _store(fact)
    grant(document, organisations, ADDRESSEE)
    received = []
    for organisation in organisations:
        incoming = Incoming.objects.create(
            owner=organisation,
            level=document.level,
            share=document.share,
            document=document,
            arrived_at=act.now,
            due_at=fact.due,
        )
        cases.start(act, incoming, INCOMING.key, {"readers": []}, looks(incoming, document))
        received.append(incoming)
    _mark(fact.document, [item.pk for item in organisations], delivered_at=act.now)
    act.touched(document, *received)
    return received


def _store(fact: messages.Dispatched) -> Document:
    """Keep a document that came from another node."""
    document = Document.objects.create(
        id=fact.document,
        owner_id=fact.issuing_office,
        level=fact.level,
        share=fact.share,
        state=State.RECEIVED,
        document_kind=fact.document_kind,
        title=fact.title,
        body=fact.body,
        urgency=fact.urgency,
        issuing_name=fact.issuing_name,
        number=fact.number,
        issuer=fact.issuer,
        issued_on=fact.issued_on,
        note=fact.note,
        due_at=fact.due,
        rendition_id=fact.files[-1].sha256 if fact.files else None,
        addressee_names=list(fact.addressees),
        copy_names=list(fact.copy_to),
    )
    Attachment.objects.bulk_create(
        [
            Attachment(document=document, file_id=item.sha256, name=item.name, order=order)
            for order, item in enumerate(fact.files[:-1])
        ]
    )
    return document


def _of(incoming: Incoming) -> Document:
    """The document of an incoming record the actor has been authorised for, to act on it."""
    if incoming.withdrawn:
        raise Refused("来文机关已撤回此件，不能再办理。")
    documents = Document.objects.unlabelled("reached through its incoming record")
    return documents.select_related("owner").get(pk=incoming.document_id)


def _answer_to(document: Document) -> Organisation:
    return document.owner


@command("documents.sign_for", title="签收")
def sign_for(act: Act, incoming: Incoming) -> Incoming:
    """Sign for a document: from now on it is ours, and the sender knows when."""
    document = _of(incoming)
    cases.take(act, incoming, ActionKind.AGREE, "sign_for", looks(incoming, document))
    incoming.signed_for_at, incoming.signed_for_by = act.now, act.actor.name
    incoming.save(update_fields=["signed_for_at", "signed_for_by"])
    act.tell(
        messages.SignedFor(document.pk, incoming.owner_id, act.actor.name, act.now),
        to=[_answer_to(document)],
        about=document,
        lane=Lane.URGENT,
    )
    return incoming


@command("documents.return", title="退文")
def return_document(act: Act, incoming: Incoming, reason: str, *, step: str) -> Incoming:
    """Send a document back to its issuer with the reason; the issuer sees it at once."""
    document = _of(incoming)
    text = cases.require_opinion(reason, "reason")
    cases.take(act, incoming, ActionKind.RETURN, step, looks(incoming, document), opinion=text)
    incoming.outcome = "returned"
    incoming.save(update_fields=["outcome"])
    act.tell(
        messages.Returned(document.pk, incoming.owner_id, act.actor.name, act.now, text),
        to=[_answer_to(document)],
        about=document,
        lane=Lane.URGENT,
    )
    return incoming


@command("documents.register", title="登记")
def register(act: Act, incoming: Incoming) -> Incoming:
    """Enter a document in the register of incoming documents: a gapless number of the year."""
    document = _of(incoming)
    cases.take(act, incoming, ActionKind.AGREE, "register", looks(incoming, document))
    year = moment.today().year
    serial = numbering.next_number(incoming.owner_id, "收文", year)
    incoming.register_number = f"收〔{year}〕{serial}号"
    incoming.save(update_fields=["register_number"])
    act.note(register_number=incoming.register_number)
    return incoming


@command("documents.instruct", title="批示")
def instruct(act: Act, incoming: Incoming, opinion: str, readers: Sequence[UUID] = ()) -> Incoming:
    """A leader's instruction, and the people the document is circulated to."""
    document = _of(incoming)
    text = cases.require_opinion(opinion)
    known = Person.objects.filter(
        pk__in=list(readers), active=True, appointments__post__organisation=incoming.owner_id
    ).distinct()
    if known.count() != len(set(readers)):
        raise Invalid({"readers": "传阅人员只能从本单位在岗人员中选择。"})
    cases.take(
        act,
        incoming,
        ActionKind.AGREE,
        "instruct",
        looks(incoming, document),
        opinion=text,
        changes={"readers": [str(item) for item in dict.fromkeys(readers)]},
    )
    act.tell(
        messages.Read(document.pk, incoming.owner_id, act.actor.name, act.now),
        to=[_answer_to(document)],
        about=document,
    )
    return incoming


@command("documents.read", title="阅件")
def read(act: Act, incoming: Incoming, opinion: str = "") -> Incoming:
    """Mark a circulated document as read by me."""
    document = _of(incoming)
    cases.take(
        act,
        incoming,
        ActionKind.AGREE,
        "circulate",
        looks(incoming, document),
        opinion=opinion.strip()[:2000],
    )
    return incoming


@command("documents.close", title="办结")
def close(act: Act, incoming: Incoming, opinion: str = "") -> Incoming:
    """All has been done that the document asks for."""
    document = _of(incoming)
    cases.take(
        act,
        incoming,
        ActionKind.CLOSE,
        "close",
        looks(incoming, document),
        opinion=opinion.strip()[:2000],
    )
    incoming.outcome = "closed"
    incoming.save(update_fields=["outcome"])
    return incoming


def _mark(document: UUID, organisations: Sequence[UUID], **changes: object) -> None:
    """Write a fact of progress on the sender's deliveries, if the sender lives here."""
    Delivery.objects.unlabelled("progress is recorded as it was told").filter(
        document=document, organisation__in=organisations, replaced=False
    ).update(**changes)


@command("documents.note_progress", title="记录送达进度")
def note_progress(
    act: Act, document: UUID, organisation: UUID, changes: dict[str, object], text: str
) -> Delivery | None:
    """Record at the issuer what an addressee did: signed for, read or returned."""
    delivery = (
        Delivery.objects.visible_to(act.actor)
        .filter(document=document, organisation=organisation, replaced=False)
        .first()
    )
    if delivery is None:
        return None
    for name, value in changes.items():
        if getattr(delivery, name) in (None, ""):
            setattr(delivery, name, value)
    delivery.save(update_fields=list(changes))
    act.touched(Document.objects.visible_to(act.actor).get(pk=document))
    notices.notify(
        delivery.owner_id,
        "progress",
        text,
        duty="documents.dispatch",
        subject=f"urn:zhengtong:document:{document}",
    )
    return delivery


@command("documents.mark_overdue", title="标记逾期")
def mark_overdue(act: Act, document: UUID, at: datetime) -> list[Delivery]:
    """The time limit has passed: those who have not read are overdue, and the issuer is told."""
    late = list(
        Delivery.objects.visible_to(act.actor).filter(
            HELD, document=document, copy=False, read_at=None, overdue=False
        )
    )
    for delivery in late:
        delivery.overdue = True
        delivery.save(update_fields=["overdue"])
    if late:
        act.touched(Document.objects.visible_to(act.actor).get(pk=document), *late)
        notices.notify(
            late[0].owner_id,
            "progress",
            f"有 {len(late)} 个单位逾期未办。",
            duty="documents.dispatch",
            subject=f"urn:zhengtong:document:{document}",
        )
    return late


@command("documents.accept_reminder", title="接收催办")
def accept_reminder(
    act: Act, fact: messages.Reminded, organisations: Sequence[Organisation]
) -> list[Incoming]:
    """Put a reminded document on top of the list and tell those whose turn it is."""
    mine = list(
        Incoming.objects.visible_to(act.actor).filter(
            document=fact.document, owner__in=organisations, outcome=""
        )
    )
    for incoming in mine:
        incoming.reminders += 1
        incoming.save(update_fields=["reminders"])
        Task.objects.visible_to(act.actor).filter(subject=incoming.urn, closed_at=None).update(
            urgency=Urgency.URGENT, note=f"来文机关催办：{fact.text}"[:200]
        )
        notices.notify(
            incoming.owner_id,
            "reminded",
            "来文机关催办，请尽快办理。",
            duty="documents.sign_for",
            subject=incoming.urn,
        )
    act.touched(*mine)
    return mine
