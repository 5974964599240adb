"""What the driver can do on its node. Django is up when this is imported."""

from __future__ import annotations

import io
from typing import Any
from uuid import UUID

from django.db.models import Count

from tests import build
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.capabilities.documents.commands.evidence import export_evidence as export
from zhengtong.capabilities.documents.models import Delivery, Document, Incoming
from zhengtong.kernel import files
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.directory.actors import Actor, node_actor, person_actor
from zhengtong.kernel.directory.models import Organisation, Person
from zhengtong.kernel.messages.membership import admit as admit_card
from zhengtong.kernel.messages.models import Arrival, Handling, Letter, Message, Neighbour, Sent
from zhengtong.wire.keys import NodeCard


def organisation(id: str, name: str, node: str, kind: str, number: int) -> str:
    made = build.organisation(
        name,
        id=UUID(id),
        node=node,
        kind=kind,
        code=f"4116{number:02}",
        rank=number,
        symbol=f"周测{number}",
    )
    return str(made.pk)


def admit(card: dict[str, Any], is_parent: bool) -> None:
    admit_card(node_actor({"messages.admit"}), NodeCard.from_json(card), is_parent=is_parent)


def officer(sign_in_name: str, organisation: str, duties: list[str]) -> None:
    """Somebody with these duties."""
    where = Organisation.objects.get(pk=organisation)
    build.person(where, duties, name=sign_in_name)
    newest = Person.objects.latest("id")
    newest.sign_in_name = sign_in_name
    newest.save()


def actor(name: str) -> Actor:
    return person_actor(Person.objects.get(sign_in_name=name))


def send(clerk: str, leader: str, to: list[str], title: str, attachment: str = "") -> str:
    """Draft, review, issue, lay out and dispatch one document; its id once all is committed."""
    uploads = []
    if attachment:
        stored = files.store(io.BytesIO(attachment.encode()), "附件.txt")
        uploads = [(stored, "附件.txt")]
    organisations = Organisation.objects.filter(pk__in=to)
    text = build.draft(organisations, title=f"{title}的通知")
    document = outgoing.draft(actor(clerk), text, uploads)
    outgoing.submit(actor(clerk), document)
    outgoing.review(actor(leader), document, agree=True)
    document = outgoing.issue(actor(leader), document, agree=True)
    outgoing.lay_out(node_actor(), document)
    return str(outgoing.dispatch(actor(clerk), document).pk)


def received(clerk: str) -> dict[str, int]:
    """How often each document stands in the register of incoming documents."""
    rows = queries.incoming(actor(clerk)).order_by().values("document").annotate(n=Count("pk"))
    return {str(row["document"]): row["n"] for row in rows}


def sign_for(clerk: str, document: str) -> None:
    incoming.sign_for(actor(clerk), queries.incoming(actor(clerk)).get(document=document))


def return_document(clerk: str, document: str, reason: str) -> None:
    found = queries.incoming(actor(clerk)).get(document=document)
    incoming.return_document(actor(clerk), found, reason, step="sign_for")


def words(clerk: str, document: str) -> dict[str, str]:
    """The matrix: unit by unit one word."""
    found = queries.documents(actor(clerk)).get(pk=document)
    return {row.delivery.organisation.name: row.word for row in queries.matrix(actor(clerk), found)}


def attachment_of(clerk: str, document: str) -> str:
    found = queries.documents(actor(clerk)).get(pk=document)
    (first,) = queries.attachments(found)
    with files.open_file(first.file_id) as stream:
        return stream.read().decode()


def counts() -> dict[str, int]:
    """What lies on the node, for the invariants of the crash tests."""
    return {
        "documents": Document.objects.unlabelled("counting in a test").count(),
        "incoming": Incoming.objects.unlabelled("counting in a test").count(),
        "deliveries": Delivery.objects.unlabelled("counting in a test").count(),
        "pending": Message.objects.filter(pending=True).count(),
        "waiting": Letter.objects.filter(waiting=True).count(),
        "arrivals": Arrival.objects.count(),
        "refused": Sent.objects.exclude(refusal="").count(),
        "unsealed": AuditEntry.objects.filter(leaf=None).count(),
        "dead": Handling.objects.filter(dead=True).count(),
        "unreceipted": sum(
            link.sealed - link.receipted for link in Neighbour.objects.all()
        ),
    }


def export_evidence(clerk: str, document: str) -> str:
    """The evidence file, in hex."""
    found = queries.documents(actor(clerk)).get(pk=document)
    return export(actor(clerk), found).hex()
