"""补发: a document that has left is sent to further units, or again to one that gave it back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands.sending import refuse_foreign, send
from zhengtong.capabilities.documents.domain import recalling
from zhengtong.capabilities.documents.models import Delivery, Document, State
from zhengtong.kernel.commands import Act, command
from zhengtong.kernel.errors import Invalid


@command("documents.resend_to", title="补发公文")
def resend_to(act: Act, document: Document, organisations: Sequence[UUID]) -> Document:
    """Send the very same document to these units too. Raises Invalid naming the field.

    Each gets a delivery of its own; one that had come to nothing is kept beside it as history.
    A time limit goes along while it lasts.
    """
    refuse_foreign(act, document)
    document.require(State.DISPATCHED)
    earlier = {
        item.organisation_id: item
        for item in Delivery.objects.visible_to(act.actor).filter(document=document, replaced=False)
    }
    units = queries.organisations(organisations)
    against = {
        unit.pk: f"{unit.short_name}{words}" if words else ""
        for unit in units
        for words in [recalling.against_resending(earlier.get(unit.pk))]
    }
    if wrong := recalling.faults(organisations, against, "补发"):
        raise Invalid(wrong)
    for unit in units:
        if unit.pk in earlier:
            earlier[unit.pk].replaced = True
            earlier[unit.pk].save(update_fields=["replaced"])
    to = [(unit, unit.pk in earlier and earlier[unit.pk].copy) for unit in units]
    due = document.due_at if document.due_at and document.due_at > act.now else None
    send(act, document, to, due=due)
    act.note(organisations=[str(unit.pk) for unit in units])
    return document
