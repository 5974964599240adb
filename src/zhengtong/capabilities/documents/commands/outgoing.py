"""拟稿 → 核稿 → 会签 → 签发 → 分发, then reminding and offering for publication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from zhengtong.capabilities.documents import messages, queries
from zhengtong.capabilities.documents.commands.sending import file_refs, send
from zhengtong.capabilities.documents.domain.drafting import Draft, problems
from zhengtong.capabilities.documents.domain.typeset import Redhead, blocks, typeset
from zhengtong.capabilities.documents.models import (
    HELD,
    KINDS,
    Addressee,
    Attachment,
    Delivery,
    Document,
    Recall,
    State,
    Urgency,
)
from zhengtong.kernel import files, moment, numbering
from zhengtong.kernel.commands import Act, command, refuse_above_ceiling
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import Invalid, Refused
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.flow import cases
from zhengtong.kernel.flow.procedure import ActionKind
from zhengtong.kernel.labels import Level, Share
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.records import Grant, grant

OUTGOING = cases.publish(Path(__file__).parents[1] / "procedures" / "outgoing.json")

COUNTERSIGN = "countersign"  # the purpose of the grants under which countersigners see a draft

Upload = tuple[StoredFile, str]
"""A stored file and the name its uploader gave it."""


def looks(document: Document) -> cases.Looks:
    return cases.Looks(
        title=document.title,
        page=f"/documents/{document.pk}/",
        urgency=document.urgency,
        started_by=document.drafter,
    )


@command("documents.draft", title="拟稿")
def draft(act: Act, text: Draft, attachments: Sequence[Upload] = ()) -> Document:
    """Begin a document: it waits with its drafter until it is submitted for review."""
    _check(text)
    refuse_above_ceiling(text.level, act.actor.ceiling)
    issuer = Organisation.objects.get(pk=act.actor.organisation)
    document = Document(
        owner=issuer,
        share=Share.CONDITIONAL,
        issuing_name=issuer.name,
        drafter=act.actor.person,
        drafter_name=act.actor.name,
    )
    _write(document, text)
    _attach(document, attachments)
    data = {
        "drafter": str(act.actor.person),
        "countersigners": [str(item) for item in text.countersigners],
    }
    cases.start(act, document, OUTGOING.key, data, looks(document))
    return document


@command("documents.revise", title="修改公文稿")
def revise(
    act: Act,
    document: Document,
    text: Draft,
    attachments: Sequence[Upload] = (),
    *,
    keep: Sequence[int] | None = None,
) -> Document:
    """Change a draft at one's own step, so that nobody agrees to a text that changes under them.

    `keep` lists the attachments that stay (None: all).
    """
    document.require(State.DRAFTING)
    standing = queries.standing(act.actor, document)
    if standing is not None and not standing.mine:
        raise Refused(f"公文正在“{standing.step.title}”环节，由该环节的办理人修改或退回。")
    _check(text)
    refuse_above_ceiling(text.level, act.actor.ceiling)
    _write(document, text)
    if keep is not None:
        Attachment.objects.filter(document=document).exclude(pk__in=list(keep)).delete()
    _attach(document, attachments)
    return document


@command("documents.submit", title="送核稿")
def submit(act: Act, document: Document, countersigners: Sequence[UUID] | None = None) -> Document:
    """Hand a finished draft to review. `countersigners` None leaves those named in the draft."""
    document.require(State.DRAFTING)
    if countersigners is not None:
        _open_to(document, countersigners)
    asked = Grant.objects.filter(record=document.pk, purpose=COUNTERSIGN).order_by(
        "organisation__rank"
    )
    whom = [str(item) for item in asked.values_list("organisation", flat=True)]
    changes = {"countersigners": whom}
    cases.take(act, document, ActionKind.AGREE, "draft", looks(document), changes=changes)
    return document


@command("documents.drop", title="作废")
def drop(act: Act, document: Document, reason: str = "") -> Document:
    """Give up a draft that is still, or again, with its drafter. Nothing is deleted."""
    document.require(State.DRAFTING)
    cases.take(
        act, document, ActionKind.CLOSE, "draft", looks(document), opinion=reason.strip()[:2000]
    )
    document.state = State.DROPPED
    document.save(update_fields=["state"])
    return document


def _decide(
    act: Act, document: Document, step: str, agree: bool, opinion: str, to_step: str
) -> Document:
    """One person's decision at a step: agreement, or a return with its reason."""
    document.require(State.DRAFTING)
    if agree:
        cases.take(act, document, ActionKind.AGREE, step, looks(document), opinion=opinion)
    else:
        reason = cases.require_opinion(opinion)
        cases.take(
            act,
            document,
            ActionKind.RETURN,
            step,
            looks(document),
            opinion=reason,
            to_step=to_step,
        )
    return document


@command("documents.review", title="核稿")
def review(
    act: Act, document: Document, *, agree: bool, opinion: str = "", to_step: str = "draft"
) -> Document:
    """Check a draft (条例 art. 20) and pass it on, or return it."""
    return _decide(act, document, "review", agree, opinion, to_step)


@command("documents.countersign", title="会签")
def countersign(
    act: Act, document: Document, *, agree: bool, opinion: str = "", to_step: str = "draft"
) -> Document:
    """Agree on behalf of another organisation concerned; all must agree (条例 art. 22)."""
    return _decide(act, document, "countersign", agree, opinion, to_step)


@command("documents.issue", title="签发")
def issue(
    act: Act, document: Document, *, agree: bool, opinion: str = "", to_step: str = "draft"
) -> Document:
    """Sign a document: it gets its number and date, and nothing in it changes any more."""
    if not agree:
        return _decide(act, document, "issue", False, opinion, to_step)
    document.require(State.DRAFTING)
    cases.take(act, document, ActionKind.AGREE, "issue", looks(document), opinion=opinion)
    issuer = Organisation.objects.get(pk=document.owner_id)
    if not issuer.symbol:
        raise Refused(f"“{issuer.name}”还没有登记发文机关代字，不能编号。请联系管理员。")
    document.issued_on = moment.today()
    year = document.issued_on.year
    serial = numbering.next_number(issuer.pk, issuer.symbol, year)
    document.number = f"{issuer.symbol}〔{year}〕{serial}号"
    document.issuer = act.actor.name
    document.state = State.ISSUED
    document.save()
    act.note(number=document.number)
    act.tell(messages.Issued(document.pk))
    return document


@command("documents.lay_out", title="排版")
def lay_out(act: Act, document: Document) -> Document:
    """Make the red-headed PDF of an issued document (GB/T 9704, normal form), once and for all."""
    document.require(State.ISSUED, State.DISPATCHED)
    if document.rendition_id is not None:
        return document  # what may have been sent is never replaced
    pdf = typeset(_redhead(document), timestamp=act.now)
    document.rendition = files.store_bytes(pdf, f"{document.title}.pdf")
    document.save(update_fields=["rendition"])
    return document


def _redhead(document: Document) -> Redhead:
    issuer = Organisation.objects.get(pk=document.owner_id)
    office = issuer.short_name
    assert document.issued_on is not None
    return Redhead(
        issuing_mark=issuer.mark or f"{issuer.name}文件",
        document_number=document.number,
        title=f"{issuer.name}{document.title}",
        addressees=tuple(document.addressee_names),
        body=blocks(document.body),
        signature=issuer.name,
        issued_on=document.issued_on,
        printing_office=office,
        printed_on=document.issued_on,
        level=None if document.level <= Level.INTERNAL else Level(document.level).word,
        urgency=Urgency(document.urgency).label if document.urgency else None,
        attachments=tuple(
            name.rpartition(".")[0] or name
            for name in Attachment.objects.filter(document=document).values_list("name", flat=True)
        ),
        note=document.note or None,
        copy_to=tuple(document.copy_names),
    )


@command("documents.dispatch", title="分发")
def dispatch(act: Act, document: Document) -> Document:
    """Send an issued document to its addressees (条例 art. 25: registered before it leaves)."""
    document.require(State.ISSUED)
    if document.rendition_id is None:
        raise Refused("公文正在排版，请稍候几秒再发送。")
    addressees = Addressee.objects.filter(document=document).select_related("organisation")
    document.state, document.dispatched_at = State.DISPATCHED, act.now
    document.save(update_fields=["state", "dispatched_at"])
    to = [(item.organisation, item.copy) for item in addressees]
    send(act, document, to, due=document.due_at)
    if document.due_at:
        act.tell_at(document.due_at, messages.FellDue(document.pk))
    return document


@command("documents.remind", title="催办")
def remind(act: Act, document: Document, organisations: Sequence[UUID], text: str = "") -> Document:
    """Remind addressees who have not yet dealt with a dispatched document."""
    document.require(State.DISPATCHED)
    late = list(
        Delivery.objects.visible_to(act.actor)
        .filter(HELD, document=document, organisation__in=organisations, read_at=None)
        .exclude(recall=Recall.ASKED)
        .select_related("organisation")
    )
    if not late:
        raise Refused("所选单位都已办理、已退回或在撤回，无须催办。")
    for delivery in late:
        delivery.reminders += 1
        delivery.reminded_at = act.now
    Delivery.objects.visible_to(act.actor).bulk_update(late, ["reminders", "reminded_at"])
    words = text.strip()[:200] or "请尽快签收并办理。"
    act.tell(
        messages.Reminded(document.pk, words, act.now),
        to=[item.organisation for item in late],
        lane=Lane.URGENT,
    )
    return document


@command("documents.offer", title="送公开审查")
def offer(act: Act, document: Document, summary: str = "") -> Document:
    """Offer an issued document to the portal's release step. Only 公开 can be offered."""
    document.require(State.ISSUED, State.DISPATCHED)
    if document.level != Level.PUBLIC:
        raise Refused(f"本文密级为“{Level(document.level).word}”，只有“公开”的公文才能送公开审查。")
    if document.rendition_id is None:
        raise Refused("公文正在排版，请稍候几秒再送审。")
    assert document.issued_on is not None
    document.offered_at = act.now
    document.save(update_fields=["offered_at"])
    act.tell(
        messages.Offered(
            document=document.pk,
            title=document.title,
            document_kind=document.document_kind,
            number=document.number,
            body=document.body,
            issuing_office=document.owner_id,
            issuing_name=document.issuing_name,
            issued_on=document.issued_on,
            level=document.level,
            files=file_refs(document),
            offered_by=act.actor.name,
            summary=summary.strip()[:200],
        )
    )
    return document


def _check(text: Draft) -> None:
    known = set(Organisation.objects.values_list("pk", flat=True))
    found = problems(text, kinds=KINDS, known=known, now=moment.now())
    if found:
        raise Invalid(found)


def _write(document: Document, text: Draft) -> None:
    """Put the draft's values on the document and its list of addressees."""
    text = replace(text, title=text.title.strip())
    document.document_kind, document.title = text.document_kind, text.title
    document.body, document.note = text.body.replace("\r\n", "\n"), text.note.strip()
    document.urgency, document.level = text.urgency, text.level
    document.due_at, document.answers = text.due_at, text.answers
    wanted = dict.fromkeys(text.addressees, False) | dict.fromkeys(text.copy_to, True)
    named = {item.pk: item for item in Organisation.objects.filter(pk__in=wanted)}
    document.addressee_names = [named[pk].name for pk in text.addressees]
    document.copy_names = [named[pk].name for pk in text.copy_to]
    document.save()
    Addressee.objects.filter(document=document).delete()
    Addressee.objects.bulk_create(
        [
            Addressee(document=document, organisation=named[pk], copy=copy)
            for pk, copy in wanted.items()
        ]
    )
    _open_to(document, text.countersigners)


def _open_to(document: Document, countersigners: Sequence[UUID]) -> None:
    """Let exactly these organisations see the draft: they are whom `submit` will ask."""
    asked = Grant.objects.filter(record=document.pk, purpose=COUNTERSIGN)
    asked.exclude(organisation__in=list(countersigners)).delete()
    grant(document, Organisation.objects.filter(pk__in=countersigners), COUNTERSIGN)


def _attach(document: Document, uploads: Sequence[Upload]) -> None:
    have = Attachment.objects.filter(document=document).count()
    Attachment.objects.bulk_create(
        [
            Attachment(document=document, file=stored, name=name[:200], order=have + position)
            for position, (stored, name) in enumerate(uploads)
        ]
    )
