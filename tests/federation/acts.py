"""What the driver can do on its node. Django is up when this is imported."""

from __future__ import annotations

import hashlib
import io
import os
import random
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F

from tests import build
from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.commands import incoming, outgoing
from zhengtong.capabilities.documents.commands.evidence import export_evidence as export
from zhengtong.capabilities.documents.commands.recall import answer_recall as answer_request
from zhengtong.capabilities.documents.commands.recall import recall as recall_document
from zhengtong.capabilities.documents.commands.resend import resend_to
from zhengtong.capabilities.documents.messages import Reminded
from zhengtong.capabilities.documents.models import (
    Addressee,
    Delivery,
    Document,
    Incoming,
    State,
)
from zhengtong.faces.cli.main import main
from zhengtong.faces.office.link_words import clock
from zhengtong.kernel import files, moment, tasks
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.directory.actors import Actor, node_actor, person_actor
from zhengtong.kernel.directory.models import Organisation, Person
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.membership.queries import invitations, rotation
from zhengtong.kernel.messages import commands, exchange
from zhengtong.kernel.messages.facts import decode, encode
from zhengtong.kernel.messages.identity import own_keys
from zhengtong.kernel.messages.membership import admit as admit_card
from zhengtong.kernel.messages.membership import route as add_route
from zhengtong.kernel.messages.models import (
    Arrival,
    CarriedReceipt,
    Handling,
    Letter,
    LinkAlarm,
    LinkLane,
    Message,
    Neighbour,
    Route,
    Sent,
)
from zhengtong.kernel.messages.outbox import Lane, post
from zhengtong.kernel.messages.pieces import FilePiece
from zhengtong.kernel.messages.roads import queries as roads
from zhengtong.kernel.messages.routes import Way, way_to
from zhengtong.kernel.messages.sealing import seal_waiting
from zhengtong.wire.attest import prove
from zhengtong.wire.errors import Refusal
from zhengtong.wire.keys import NodeCard, NodeKeys


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


def route(card: dict[str, Any], through: str) -> None:
    """Letters for a node that is no neighbour leave by this one."""
    add_route(node_actor({"messages.route"}), NodeCard.from_json(card), through=through)


def letter_for(node: str) -> int:
    """The letter with which a document goes to a node, or through this one."""
    return Letter.objects.get(destination=node, message__kind="documents.dispatched").pk


def tamper_carried() -> None:
    """Somebody changes a bit of every receipt that was carried back to this node."""
    for row in CarriedReceipt.objects.all():
        receipt = bytearray(row.receipt)
        receipt[-1] ^= 1
        row.receipt = bytes(receipt)
        row.save(update_fields=["receipt"])


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
    organisations = list(Organisation.objects.filter(pk__in=to))
    document = _issued(clerk, leader, organisations, f"{title}的通知", uploads)
    return str(outgoing.dispatch(actor(clerk), document).pk)


def _issued(
    clerk: str,
    leader: str,
    to: list[Organisation],
    title: str,
    uploads: Sequence[outgoing.Upload] = (),
) -> Document:
    document = outgoing.draft(actor(clerk), build.draft(to, title=title), uploads)
    outgoing.submit(actor(clerk), document)
    outgoing.review(actor(leader), document, agree=True)
    document = outgoing.issue(actor(leader), document, agree=True)
    return outgoing.lay_out(node_actor(), document)


def prepare(clerk: str, leader: str, to: list[str], number: int) -> list[str]:
    """So many issued documents, ready to be dispatched; their ids.

    One goes the whole way from draft to seal; the others are copies of its row.
    """
    organisations = list(Organisation.objects.filter(pk__in=to))
    document = _issued(clerk, leader, organisations, "关于做好防汛工作的通知")
    copies = [_copy(document, serial) for serial in range(1, number)]
    Document.objects.bulk_create(copies)
    Addressee.objects.bulk_create(
        [Addressee(document=copy, organisation=item) for copy in copies for item in organisations]
    )
    return [str(document.pk), *(str(copy.pk) for copy in copies)]


def _copy(document: Document, serial: int) -> Document:
    copy = Document.objects.unlabelled("copying in a test").get(pk=document.pk)
    copy.pk, copy.number = new_id(), f"{document.number}之{serial}"
    copy.title = f"{document.title}（{serial}）"
    copy._state.adding = True
    return copy


def dispatch(clerk: str, document: str, *, urgent: bool = False) -> None:
    """Dispatch an issued document; asked again after a lost answer, it has been done."""
    if urgent:
        Document.objects.unlabelled("making it urgent").filter(pk=document).update(urgency=2)
    found = queries.documents(actor(clerk)).get(pk=document)
    if found.state != State.DISPATCHED:
        outgoing.dispatch(actor(clerk), found)


def remind(clerk: str, document: str, text: str) -> None:
    found = queries.documents(actor(clerk)).get(pk=document)
    late = Delivery.objects.visible_to(actor(clerk)).filter(document__id=document)
    outgoing.remind(actor(clerk), found, list(late.values_list("organisation", flat=True)), text)


def waiting(clerk: str) -> list[str]:
    """The documents nobody has signed for yet."""
    rows = queries.incoming(actor(clerk)).filter(signed_for_at=None).order_by("arrived_at")
    return [str(pk) for pk in rows.values_list("document", flat=True)]


def post_bulk(node: str, number: int) -> None:
    """So many letters of no urgency for a node, as a bulk distribution leaves them."""
    told = Reminded(new_id(), "请尽快签收。", moment.now())
    messages = [
        Message(kind=told.kind, body=encode(told), level=1, origin="", at=told.at, pending=False)
        for _ in range(number)
    ]
    Message.objects.bulk_create(messages)
    for message in messages:
        post(message, [way_to(Neighbour.objects.get(name=node))], Lane.BULK)


def reminders(clerk: str, document: str) -> int:
    """How often a document received here has been asked after."""
    return int(queries.incoming(actor(clerk)).get(document__id=document).reminders)


def stages(node: str) -> list[str]:
    """How far the invitations of a node have come, the newest first."""
    return [str(item.stage) for item in invitations().filter(node=node)]


def changing_keys() -> bool:
    """Whether this node's change of keys is still under way."""
    return rotation() is not None


def link(node: str) -> dict[str, Any]:
    """How the link to a neighbour stands."""
    found = Neighbour.objects.get(name=node)
    return {
        "failures": found.failures,
        "last_error": found.last_error,
        "met": found.last_contact is not None,
        "received": sum(lane.received for lane in found.lanes.all()),
        "certified": found.certificate_until is not None,
    }


def batch(to: str) -> str:
    """The next batch for a neighbour with all bulk letters that wait for it, in hex."""
    while seal_waiting():
        pass
    return exchange.compose(to, Lane.BULK).hex()


def proof(to: str) -> str:
    """What shows a neighbour that it is us who open the doorbell, in hex."""
    return prove(own_keys(), to, moment.now()).hex()


def hear(batch: str) -> None:
    """Take a neighbour's batch, in hex, as if a road had brought it."""
    exchange.accept(bytes.fromhex(batch))


def arrivals(kind: str = "") -> list[tuple[int, str]]:
    """Places in our log and subjects of the letters received, in the order in which they came."""
    subjects = dict(Message.objects.filter(kind__contains=kind).values_list("pk", "subject"))
    rows = Arrival.objects.order_by("leaf").values_list("leaf", "message")
    return [(number, subjects[pk]) for number, pk in rows if pk in subjects]


def received(clerk: str) -> dict[str, int]:
    """How often each document stands in the register of incoming documents."""
    rows = queries.incoming(actor(clerk)).order_by().values("document").annotate(n=Count("pk"))
    return {str(row["document"]): row["n"] for row in rows}


def sign_for(clerk: str, document: str) -> None:
    """Sign for a document; asked again after a lost answer, it has been done."""
    found = queries.incoming(actor(clerk)).filter(document__id=document).latest("arrived_at")
    if found.signed_for_at is None:
        incoming.sign_for(actor(clerk), found)


def signed_for(clerk: str) -> list[str]:
    """The documents of which the sender knows that they were signed for."""
    mine = Delivery.objects.visible_to(actor(clerk)).exclude(signed_for_at=None)
    return [str(pk) for pk in mine.values_list("document", flat=True)]


def return_document(clerk: str, document: str, reason: str) -> None:
    found = queries.incoming(actor(clerk)).get(document__id=document)
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


def audited(verb: str) -> int:
    """How often something was done here."""
    return AuditEntry.objects.filter(verb=verb, outcome="done").count()


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
        "unreceipted": sum(lane.sealed - lane.receipted for lane in LinkLane.objects.all()),
    }


def export_evidence(clerk: str, document: str) -> str:
    """The evidence file, in hex."""
    found = queries.documents(actor(clerk)).get(pk=document)
    return export(actor(clerk), found).hex()


def recall(clerk: str, document: str, units: list[str], reason: str) -> None:
    found = queries.documents(actor(clerk)).get(pk=document)
    recall_document(actor(clerk), found, [UUID(unit) for unit in units], reason)


def answer_recall(clerk: str, document: str, *, agree: bool, reason: str = "") -> None:
    found = queries.incoming(actor(clerk)).filter(document__id=document).latest("arrived_at")
    answer_request(actor(clerk), found, agree=agree, reason=reason)


def resend(clerk: str, document: str, units: list[str]) -> None:
    found = queries.documents(actor(clerk)).get(pk=document)
    resend_to(actor(clerk), found, [UUID(unit) for unit in units])


def register_of(clerk: str) -> dict[str, list[str]]:
    """Where each document stands in the register: its recall and its outcome, the newest first."""
    found: dict[str, list[str]] = {}
    for item in queries.incoming(actor(clerk)):
        found.setdefault(str(item.document_id), []).append(f"{item.recall}/{item.outcome}")
    return found


def readable(clerk: str) -> list[str]:
    """The documents this person can open."""
    return [str(pk) for pk in queries.documents(actor(clerk)).values_list("pk", flat=True)]


def to_do(clerk: str) -> list[str]:
    """What waits for this person, in the words of the list."""
    return list(tasks.to_do(actor(clerk)).values_list("note", flat=True))


def post_lane(node: str, lane: int, number: int, mark: str, level: int = 1) -> None:
    """So many letters in one lane for a node, each telling a mark, its lane and its place."""
    neighbour = Neighbour.objects.get(name=node)
    messages = []
    for place in range(number):
        told = Reminded(new_id(), f"{mark}:{lane}:{place}", moment.now())
        body = encode(told)
        messages.append(
            Message(kind=told.kind, body=body, level=level, origin="", at=told.at, pending=False)
        )
    with transaction.atomic():
        Message.objects.bulk_create(messages)
        for message in messages:
            post(message, [way_to(neighbour)], lane)


def post_astray(node: str) -> None:
    """A letter for a node that is believed to lie behind a neighbour, which knows nothing of it."""
    keys, ceiling = NodeKeys.generate("nowhere"), 1
    card = NodeCard.issue(
        keys, title="nowhere", zone="private", ceiling=ceiling, url="", issued_at=moment.now()
    )
    route = Route.objects.create(
        name=keys.node,
        title=card.title,
        zone=card.zone,
        ceiling=ceiling,
        card=card.to_cbor(),
        neighbour=Neighbour.objects.get(name=node),
    )
    told = Reminded(new_id(), "astray", moment.now())
    message = Message.objects.create(
        kind=told.kind, body=encode(told), level=1, origin="", at=told.at, pending=False
    )
    post(message, [Way(route, route.neighbour)], Lane.NORMAL)


def heard(origin: str, mark: str) -> dict[int, list[int]]:
    """By lane: the places that `post_lane` gave the letters from a node, as they arrived."""
    found: dict[int, list[int]] = {}
    for lane, place in _heard(origin, mark):
        found.setdefault(lane, []).append(place)
    return found


def heard_lanes(origin: str, mark: str) -> list[int]:
    """The lanes of those letters in the order in which they arrived."""
    return [lane for lane, _ in _heard(origin, mark)]


def _heard(origin: str, mark: str) -> list[tuple[int, int]]:
    arrived = Arrival.objects.filter(neighbour__name=origin, message__isnull=False).order_by("pk")
    rows = Message.objects.filter(kind=Reminded.kind).values_list("pk", "body")
    marked = {pk: bytes(body) for pk, body in rows if f"{mark}:".encode() in bytes(body)}
    found = []
    for message in arrived.values_list("message", flat=True):
        if message in marked:
            told = decode(Reminded.kind, marked[message])
            assert isinstance(told, Reminded)
            said, lane, place = told.text.split(":")
            found += [(int(lane), int(place))] if said == mark else []
    return found


def handed(node: str) -> int:
    """How many letters for a node have numbers and no receipts: they may be on the road."""
    lanes = LinkLane.objects.filter(neighbour__name=node)
    return sum(lane.sealed - lane.receipted for lane in lanes)


def refusals() -> list[str]:
    """Why neighbours refused letters of ours."""
    return list(Sent.objects.exclude(refusal="").values_list("refusal", flat=True))


def send_again() -> None:
    """One click on each withheld letter; the pieces of files go with the letter that needs them."""
    kept = commands.refused().filter(sent__refusal=Refusal.WITHHELD)
    for letter in kept.exclude(message__kind=FilePiece.kind).order_by("pk"):
        commands.resend(node_actor({"messages.resend"}), letter.pk)


def hold_to(node: str, level: int) -> None:
    """From now on nothing above this level may go to a neighbour."""
    Neighbour.objects.filter(name=node).update(ceiling=level)


def suspend(node: str, suspended: bool) -> None:
    """Let nothing in from a neighbour for a while."""
    Neighbour.objects.filter(name=node).update(suspended=suspended)


def age_link(node: str, minutes: int) -> None:
    """Let time pass on the link to a neighbour: what was heard and what waits grow older."""
    passed = timedelta(minutes=minutes)
    Neighbour.objects.filter(name=node).update(last_contact=F("last_contact") - passed)
    Letter.objects.filter(neighbour__name=node).update(created_at=F("created_at") - passed)


def alarms(node: str) -> list[str]:
    """What is wrong with the link to a neighbour now."""
    found = LinkAlarm.objects.filter(neighbour__name=node, cleared_at=None)
    return sorted(found.values_list("code", flat=True))


def clock_shown(node: str) -> str:
    """What the page of links says about a neighbour's clock."""
    return clock(Neighbour.objects.get(name=node).skew_ms)[0]


def alarms_ever() -> list[str]:
    """Every alarm that a link of this node has raised so far, whether cleared or not."""
    return sorted(set(LinkAlarm.objects.values_list("code", flat=True)))


# ── the ferry ──


def by_ferry(node: str, **changes: Any) -> None:
    """No line leads to this neighbour; `changes` to what we know of it."""
    Neighbour.objects.filter(name=node).update(road="ferry", **changes)


def settle() -> None:
    """All that follows from what has arrived, as the worker would do it."""
    build.settle()


def send_large(clerk: str, leader: str, to: list[str], title: str, mebibytes: int) -> str:
    """Send a document with an attachment of this size that does not compress."""
    dice = random.Random()  # never the same file twice: a file is sent once to each node
    with tempfile.TemporaryFile() as file:
        for _ in range(mebibytes):
            file.write(dice.randbytes(1 << 20))
        file.seek(0)
        file.write(b"\x89PNG\r\n\x1a\n")
        file.seek(0)
        stored = files.store(file, "附件.png")
    organisations = list(Organisation.objects.filter(pk__in=to))
    document = _issued(clerk, leader, organisations, f"{title}的通知", [(stored, "附件.png")])
    return str(outgoing.dispatch(actor(clerk), document).pk)


def attachment_size(clerk: str, document: str) -> int:
    """The bytes of a document's attachment, each of them read and its hash found right."""
    (first,) = queries.attachments(queries.documents(actor(clerk)).get(pk=document))
    with files.open_file(first.file_id) as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
        assert digest.hexdigest() == first.file_id
        return stream.tell()


def voyages() -> list[dict[str, Any]]:
    """The log of voyages, newest first."""
    return [
        {
            "state": voyage.state,
            "leaving": voyage.leaving,
            "letters": voyage.letters,
            "volumes": len(voyage.volumes),
            "level": voyage.level,
            "done": voyage.done,
            "size": voyage.size,
            "notes": voyage.notes,
            "next": roads.next_step(voyage),
        }
        for voyage in roads.voyages()
    ]


def zhengtong(words: list[str]) -> tuple[int, str, str]:
    """A command of the administrator, in this process: its status and what it says."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
        status = main(["--node", os.environ["ZHENGTONG_NODE"], *words])
    return status, out.getvalue(), errors.getvalue()
