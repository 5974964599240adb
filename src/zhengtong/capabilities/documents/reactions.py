"""What a node does when it learns something about a document."""

from __future__ import annotations

from zhengtong.capabilities.documents import messages
from zhengtong.capabilities.documents.commands import incoming, outgoing, recall
from zhengtong.capabilities.documents.models import Delivery, Document, Incoming, Recall
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import Denied, NotFound
from zhengtong.kernel.messages.reactions import Reacting, on


@on(messages.Issued)
def lay_out(act: Reacting, fact: messages.Issued) -> None:
    document = Document.objects.visible_to(act.as_node()).filter(pk=fact.document).first()
    if document is None:
        raise NotFound("没有找到要排版的公文。")
    outgoing.lay_out(act.as_node(), document)


@on(messages.Dispatched)
def receive(act: Reacting, fact: messages.Dispatched) -> None:
    if act.addressees:
        incoming.receive(act.as_node(), fact, act.addressees)


@on(messages.Reminded)
def accept_reminder(act: Reacting, fact: messages.Reminded) -> None:
    if act.addressees:
        incoming.accept_reminder(act.as_node(), fact, act.addressees)


@on(messages.Recalled)
def accept_recall(act: Reacting, fact: messages.Recalled) -> None:
    """Believe it only of the issuer; tried again should the document itself not be here yet."""
    if not act.addressees:
        return
    node = act.as_node()
    known = Document.objects.unlabelled("whose document it is").filter(pk=fact.document)
    received = list(
        Incoming.objects.visible_to(node)
        .filter(document=fact.document, owner__in=act.addressees)
        .order_by("arrived_at", "pk")
    )
    newest = {item.owner_id: item for item in received}
    if len(newest) < len(act.addressees):
        raise NotFound("要撤回的公文还没有送达本节点。")
    if not known.filter(owner__node=act.origin).exists():
        raise Denied("只有发文机关所在节点能撤回公文，未予采信。")
    recall.accept_recall(node, fact, sorted(newest.values(), key=lambda item: item.pk))


@on(messages.RecallAnswered)
def note_recall(act: Reacting, fact: messages.RecallAnswered) -> None:
    """Told by the addressee itself: its node must be the letter's origin."""
    node = act.as_node()
    asked = Delivery.objects.visible_to(node).filter(
        document=fact.document, organisation=fact.organisation, recall=Recall.ASKED
    )
    if not asked.exists():
        return  # the addressee's own node hears it too, and what was answered needs no second word
    if not Organisation.objects.filter(pk=fact.organisation, node=act.origin).exists():
        raise Denied("答复的单位不在来信节点上，未予采信。")
    recall.note_recall(node, fact)


@on(messages.FellDue)
def mark_overdue(act: Reacting, fact: messages.FellDue) -> None:
    incoming.mark_overdue(act.as_node(), fact.document, act.at)


@on(messages.SignedFor)
def note_signed_for(act: Reacting, fact: messages.SignedFor) -> None:
    _note(act, fact, {"signed_for_at": fact.at, "signed_for_by": fact.by}, "已签收。")


@on(messages.Read)
def note_read(act: Reacting, fact: messages.Read) -> None:
    _note(act, fact, {"read_at": fact.at}, "已批阅。")


@on(messages.Returned)
def note_returned(act: Reacting, fact: messages.Returned) -> None:
    changes = {"returned_at": fact.at, "return_reason": fact.reason}
    _note(act, fact, changes, "退回了公文，请查看理由。")


def _note(
    act: Reacting,
    fact: messages.SignedFor | messages.Read | messages.Returned,
    changes: dict[str, object],
    words: str,
) -> None:
    """Record progress told by the addressee itself: its node must be the letter's origin.

    The fact is known at the addressee's own node too, where no delivery is followed.
    """
    node = act.as_node()
    followed = Delivery.objects.visible_to(node).filter(
        document=fact.document, organisation=fact.organisation
    )
    if not followed.exists():
        return
    who = Organisation.objects.filter(pk=fact.organisation, node=act.origin).first()
    if who is None:
        raise Denied("回执的单位不在来信节点上，未予采信。")
    incoming.note_progress(
        node, fact.document, fact.organisation, changes, f"{who.short_name}{words}"
    )
