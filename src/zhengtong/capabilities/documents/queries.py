"""What can be asked about documents. Every query says for whom."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from django.db.models import Case as Pick
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from zhengtong.capabilities.documents.models import (
    HELD,
    KINDS,
    WITHDRAWN,
    Addressee,
    Attachment,
    Delivery,
    Document,
    Incoming,
    Recall,
    State,
    Urgency,
)
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Kind, Organisation
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.flow import cases, engine
from zhengtong.kernel.flow import procedure as flow
from zhengtong.kernel.flow.models import Case, Step
from zhengtong.kernel.flow.state import Actor as FlowActor
from zhengtong.kernel.flow.state import State as FlowState
from zhengtong.kernel.messages.models import CarriedReceipt, Receipt, Sent
from zhengtong.kernel.records import Grant, Named
from zhengtong.kernel.search import Entry
from zhengtong.kernel.search.queue import enqueue
from zhengtong.wire.errors import Refusal


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


WAITING = Q(outcome="", signed_for_at=None)
STANDINGS = {
    "waiting": WAITING,
    "handling": Q(outcome="", signed_for_at__isnull=False),
    "closed": Q(outcome="closed"),
    "returned": Q(outcome="returned"),
    "recalled": Q(outcome="recalled"),
}
"""Where incoming documents can stand, as conditions on their rows."""


def waiting_first(found: QuerySet[Incoming]) -> QuerySet[Incoming]:
    """待签收 on top, the rest by arrival."""
    rank = Pick(When(WAITING, then=0), default=1)
    return found.order_by(rank, "-arrived_at")


def incoming_of(actor: Actor, document: UUID) -> Incoming | None:
    """The incoming record under which my organisation holds a document."""
    return incoming(actor).filter(document=document).first()


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
class Standing:
    """Where a record's case stands, and what the actor may do there by the procedure.

    `mine`: the step waits for this actor, who holds its duty. `options` knows no duties: whoever
    offers an action asks `actor.has` as well.
    """

    case: Case
    procedure: flow.Procedure
    state: FlowState
    step: flow.Step
    options: engine.Options
    mine: bool

    @property
    def key(self) -> str:
        """The step's key, or "" once the case has ended."""
        return "" if self.state.finished else self.step.key

    def offers(self, kind: flow.ActionKind) -> bool:
        return kind in self.options.actions


def standing(actor: Actor, record: Document | Incoming) -> Standing | None:
    """The standing of a record the actor may see; None for one that runs no procedure here."""
    case = case_of(actor, record)
    if case is None:
        return None
    found, state = cases.procedure_of(case), cases.state_of(case)
    me = FlowActor(str(actor.person), str(actor.organisation))
    options = engine.options(found, state, me)
    step = found.step(state.step)
    waits = bool(options.actions - {flow.ActionKind.WITHDRAW})
    return Standing(case, found, state, step, options, waits and actor.has(step.who.duty))


def current_steps(records: Collection[Document | Incoming]) -> dict[str, str]:
    """By urn the title of the step each record's running case is in; one query for a list."""
    found = Case.objects.unlabelled("steps of records the reader has been shown").filter(
        subject__in=[record.urn for record in records], outcome=""
    )
    return {case.subject: cases.procedure_of(case).step(case.step).title for case in found}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many addressees a document has, and how many of them have signed for it."""

    total: int = 0
    signed: int = 0
    returned: int = 0
    overdue: int = 0
    recalled: int = 0


def tallies(actor: Actor, found: Collection[Document]) -> dict[UUID, Tally]:
    """The tally of each dispatched document of a list, in one query."""
    rows = (
        Delivery.objects.visible_to(actor)
        .filter(document__in=[item.pk for item in found], replaced=False)
        .values("document")
        .annotate(
            total=Count("pk"),
            signed=Count("pk", filter=Q(signed_for_at__isnull=False)),
            returned=Count("pk", filter=Q(returned_at__isnull=False)),
            late=Count("pk", filter=HELD & Q(overdue=True, read_at=None)),
            recalled=Count("pk", filter=Q(recall__in=WITHDRAWN)),
        )
    )
    return {
        row["document"]: Tally(
            row["total"], row["signed"], row["returned"], row["late"], row["recalled"]
        )
        for row in rows
    }


def state_counts(actor: Actor) -> dict[str, int]:
    """How many outgoing documents of my organisation are in each state."""
    rows = outgoing(actor).order_by().values("state").annotate(number=Count("pk"))
    return {row["state"]: row["number"] for row in rows}


def standing_counts(actor: Actor) -> dict[str, int]:
    """How many incoming documents stand where, in one query."""
    wanted = {key: Count("pk", filter=condition) for key, condition in STANDINGS.items()}
    return incoming(actor).order_by().aggregate(**wanted)


def countersigners(document: Document) -> list[str]:
    """The organisations asked to countersign: a draft's are those it has been opened to."""
    found = Grant.objects.filter(record=document.pk, purpose="countersign")
    return [str(pk) for pk in found.values_list("organisation", flat=True)]


def answered(actor: Actor, document: Document) -> Document | None:
    """The document that gave rise to this one, if the actor may see it."""
    if document.answers is None:
        return None
    return documents(actor).filter(pk=document.answers).first()


def kinds() -> list[str]:
    """The fifteen 文种."""
    return list(KINDS)


def urgencies() -> list[tuple[int, str]]:
    return [(item.value, str(item.label)) for item in Urgency]


def states() -> list[tuple[str, str]]:
    """The states an outgoing document can be in, in their order."""
    shown = (State.DRAFTING, State.ISSUED, State.DISPATCHED, State.DROPPED)
    return [(item.value, str(item.label)) for item in shown]


def organisations(wanted: Collection[UUID]) -> list[Organisation]:
    """Those of these organisations that the directory knows, by rank."""
    return list(Organisation.objects.filter(pk__in=list(wanted)))


def units(actor: Actor) -> list[tuple[str, str, list[Organisation]]]:
    """The organisations one can write to, grouped: (key, title, organisations by rank)."""
    others = Organisation.objects.exclude(pk__in=actor.organisations)
    order = (Kind.COUNTY, Kind.DEPARTMENT, Kind.CITY, Kind.PROVINCE)
    found = list(others)
    groups = [
        (kind.value, str(kind.label), [item for item in found if item.kind == kind])
        for kind in order
    ]
    return [group for group in groups if group[2]]


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
            return "未交出" if self.refusal == Refusal.WITHHELD else "被拒收"
        if self.delivery.withdrawn or self.delivery.recall == Recall.ASKED:
            return self.recall_word
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
    def recall_word(self) -> str:
        """What has become of the recall; "" when there was none.

        That it was signed for before the recall came there is told by the signature alone.
        """
        if self.delivery.recall == Recall.ASKED:
            return "请求撤回" if self.delivery.signed_for_at else "撤回中"
        words = {"recalled": "已撤回", "agreed": "已撤回", "declined": "未同意"}
        return words.get(self.delivery.recall, "")

    @property
    def signed(self) -> bool:
        """Whether the unit has signed for the newest delivery to it."""
        return bool(self.delivery.signed_for_at) and not self.delivery.replaced

    @property
    def held(self) -> bool:
        """Whether the unit has, or will have, the document, and nobody has asked it back."""
        delivery = self.delivery
        return not (self.over or delivery.replaced or delivery.recall == Recall.ASKED)

    @property
    def over(self) -> bool:
        """Whether the unit has given the document back, so that it may be sent again."""
        return bool(self.delivery.returned_at or self.delivery.withdrawn)

    @property
    def late(self) -> bool:
        """Whether a reminder makes sense."""
        return self.held and not self.delivery.read_at


def matrix(actor: Actor, document: Document) -> list[Progress]:
    """Unit by unit how far a dispatched document has come, in one query.

    Delivery to another node is not noted anywhere: a letter is delivered when its number on the
    lane is within the receipts held from that node.
    """
    receipt = Receipt.objects.filter(
        neighbour=OuterRef("neighbour"),
        neighbour__name=OuterRef("letter__destination"),  # a hop's receipt is no delivery
        lane=OuterRef("lane"),
        first__lte=OuterRef("sequence"),
        last__gte=OuterRef("sequence"),
    )
    carried = CarriedReceipt.objects.filter(
        sent=OuterRef("pk"), by=OuterRef("letter__destination"), event="delivered"
    )
    sent = (
        Sent.objects.filter(
            letter__message__kind="documents.dispatched",
            letter__message__subject=document.urn,
            letter__destination=OuterRef("organisation__node"),
            letter__message__at=OuterRef("dispatched_at"),  # of this delivery, not of another
        )
        .annotate(
            receipted_at=Coalesce(
                Subquery(receipt.values("at")[:1]), Subquery(carried.values("at")[:1])
            )
        )
        .order_by("-pk")
    )
    rows = (
        Delivery.objects.visible_to(actor)
        .filter(document=document)
        .select_related("organisation")
        .annotate(
            receipted_at=Subquery(sent.values("receipted_at")[:1]),
            refusal=Coalesce(Subquery(sent.values("refusal")[:1]), Value("")),
        )
        .order_by("copy", "organisation__rank", "dispatched_at")
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
