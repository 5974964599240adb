"""How an issued document leaves: a delivery to follow for each addressee, and the fact itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from zhengtong.capabilities.documents import messages
from zhengtong.capabilities.documents.models import Attachment, Delivery, Document, Urgency
from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import Denied
from zhengtong.kernel.messages.facts import FileRef
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.records import grant

ADDRESSEE = "addressee"  # the purpose of the grants under which addressees see a document


def send(
    act: Act,
    document: Document,
    to: Sequence[tuple[Organisation, bool]],
    *,
    due: datetime | None,
) -> None:
    """Let a document leave for these organisations; the flag says 抄送. Part of a command."""
    Delivery.objects.bulk_create(
        [
            Delivery(
                owner_id=document.owner_id,
                level=document.level,
                share=document.share,
                document=document,
                organisation=organisation,
                copy=copy,
                dispatched_at=act.now,
                due_at=None if copy else due,
            )
            for organisation, copy in to
        ]
    )
    organisations = [organisation for organisation, _ in to]
    grant(document, organisations, ADDRESSEE)
    act.tell(_dispatched(document, due), about=document, to=organisations, lane=lane_of(document))


def refuse_foreign(act: Act, document: Document) -> None:
    """Only its issuer decides where a document goes, whoever else may read it. Raises Denied."""
    if document.owner_id not in act.actor.organisations:
        raise Denied("只有发文机关才能撤回或补发公文。")


def lane_of(document: Document) -> Lane:
    """The lane of a document and of its recall, so that neither overtakes the other."""
    return Lane.URGENT if document.urgency == Urgency.URGENT else Lane.NORMAL


def file_refs(document: Document) -> tuple[FileRef, ...]:
    """The attachments in order, then the laid-out PDF."""
    attached = [
        FileRef(item.file_id, item.name, item.file.size, item.file.media_type)
        for item in Attachment.objects.filter(document=document).select_related("file")
    ]
    pdf = document.rendition
    if pdf is not None:
        attached.append(FileRef(pdf.pk, f"{document.title}.pdf", pdf.size, pdf.media_type))
    return tuple(attached)


def _dispatched(document: Document, due: datetime | None) -> messages.Dispatched:
    assert document.issued_on is not None
    return messages.Dispatched(
        document=document.pk,
        title=document.title,
        document_kind=document.document_kind,
        number=document.number,
        body=document.body,
        urgency=document.urgency,
        issuing_office=document.owner_id,
        issuing_name=document.issuing_name,
        issuer=document.issuer,
        issued_on=document.issued_on,
        addressees=tuple(document.addressee_names),
        copy_to=tuple(document.copy_names),
        note=document.note,
        due=due,
        level=document.level,
        share=document.share,
        files=file_refs(document),
    )
