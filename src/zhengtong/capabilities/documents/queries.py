"""What can be asked about documents. Every query says for whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from zhengtong.capabilities.documents.models import (
    Addressee,
    Attachment,
    Delivery,
    Document,
    Incoming,
    State,
)
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.flow.models import Case, Step
from zhengtong.kernel.messages.models import Receipt, Sent
from zhengtong.kernel.records import Grant, Named
from zhengtong.kernel.search import Entry
from zhengtong.kernel.search.queue import enqueue


def outgoing(actor: Actor) -> QuerySet[Document]:
    """The documents of my organisation, newest first."""
    return (
        Document.objects.visible_to(actor)
        .filter(owner__in=actor.organisations)
        .exclude(state=State.RECEIVED)
        .order_by("-created_at")
    )


def incoming(actor: Actor) -> QuerySet[Incoming]:
    """The documents my organisation has received, newest first."""
    return (
        Incoming.objects.visible_to(actor)
        .filter(owner__in=actor.organisations)
        .select_related("document")
        .order_by("-arrived_at")
    )


def documents(actor: Actor) -> QuerySet[Document]:
    return Document.objects.visible_to(actor).select_related("owner", "rendition")


def attachments(document: Document) -> QuerySet[Attachment]:
    """The files of a document the reader has already been shown."""
    return Attachment.objects.filter(document=document).select_related("file")


def addressees(document: Document) -> QuerySet[Addressee]:
    return Addressee.objects.filter(document=document).select_related("organisation")


def case_of(actor: Actor, record: Document | Incoming) -> Case | None:
    """The record's case, as far as the record itself is visible: it bears the same label."""
    return (
        Case.objects.unlabelled("reached through its record, which the actor may see")
        .filter(subject=record.urn)
        .first()
    )


def steps(case: Case) -> QuerySet[Step]:
    """What was done in a case, in order."""
    return Step.objects.filter(case=case)


@dataclass(frozen=True, slots=True)
class Progress:
    """One row of the matrix: an addressee and when each thing happened, or None."""

    delivery: Delivery
    delivered_at: datetime | None
    refusal: str

    @property
    def word(self) -> str:
        """The status in one word, the most telling first."""
        if self.refusal:
            return "被拒收"
        if self.delivery.returned_at:
            return "已退回"
        if self.delivery.overdue:
            return "逾期"
        if self.delivery.read_at:
            return "已批阅"
        if self.delivery.signed_for_at:
            return "已签收"
        return "已送达" if self.delivered_at else "发送中"

    @property
    def late(self) -> bool:
        """Whether a reminder makes sense."""
        return not (self.delivery.read_at or self.delivery.returned_at)


def matrix(actor: Actor, document: Document) -> list[Progress]:
    """Unit by unit how far a dispatched document has come, in one query.

    Delivery to another node is not noted anywhere: a letter is delivered when its number on the
    link is within the receipts held from that node.
    """
    receipt = Receipt.objects.filter(
        neighbour=OuterRef("neighbour"),
        first__lte=OuterRef("sequence"),
        last__gte=OuterRef("sequence"),
    )
    sent = (
        Sent.objects.filter(
            letter__message__kind="documents.dispatched",
            letter__message__subject=document.urn,
            neighbour__name=OuterRef("organisation__node"),
        )
        .annotate(receipted_at=Subquery(receipt.values("at")[:1]))
        .order_by("-sequence")
    )
    rows = (
        Delivery.objects.visible_to(actor)
        .filter(document=document)
        .select_related("organisation")
        .annotate(
            receipted_at=Subquery(sent.values("receipted_at")[:1]),
            refusal=Coalesce(Subquery(sent.values("refusal_detail")[:1]), Value("")),
        )
        .order_by("copy", "organisation__rank")
    )
    return [
        Progress(row, row.delivered_at or (None if row.refusal else row.receipted_at), row.refusal)
        for row in rows
    ]


def search_entry(document: Document) -> Entry | None:
    """A document as the index sees it; drafts are found by their own office only (their label)."""
    if document.state == State.DROPPED:
        return None
    live = Q(expires_at=None)
    grants = Grant.objects.filter(live, record=document.pk).values_list("organisation", flat=True)
    named = Named.objects.filter(record=document.pk).values_list("person", flat=True)
    return Entry(
        urn=document.urn,
        kind="document",
        title=f"{document.title} {document.number}".strip(),
        body="\n".join([document.body, *_texts(document)]),
        organisation=str(document.owner_id),
        date=_date(document),
        level=document.level,
        share=document.share,
        open=document.open,
        grants=tuple(str(item) for item in grants),
        named=tuple(str(item) for item in named),
    )


def reindex_holders(file: StoredFile) -> None:
    """A file's text has been read: index again the documents it is attached to."""
    holders = Attachment.objects.filter(file=file).values("document")
    enqueue(Document.objects.unlabelled("indexing").filter(pk__in=holders))


def _texts(document: Document) -> list[str]:
    return [f"{item.name}\n{item.file.text}" for item in attachments(document)]


def _date(document: Document) -> datetime:
    if document.issued_on:
        return datetime.combine(document.issued_on, time(), UTC)
    return document.created_at


def summary(document: Document) -> dict[str, Any]:
    """The facts at a glance that head a document's page."""
    return {
        "发文机关": document.issuing_name,
        "发文字号": document.number or "（签发时编号）",
        "文种": document.document_kind,
        "签发人": document.issuer,
        "成文日期": document.issued_on,
        "办理时限": document.due_at,
        "附注": document.note,
    }
