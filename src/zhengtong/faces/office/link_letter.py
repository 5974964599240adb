"""One letter of the log: its whole history, and the evidence of the record it is about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET

from zhengtong.faces.office import hop_words
from zhengtong.faces.office import link_words as words
from zhengtong.faces.office.link_log import STATES
from zhengtong.faces.office.links import administrator
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import NotFound
from zhengtong.kernel.messages import commands, journal, link_commands, subjects
from zhengtong.kernel.messages.hops import hops_of
from zhengtong.kernel.messages.journal import SENT
from zhengtong.kernel.messages.models import Arrival, Handling, Letter, Message, Neighbour, Receipt
from zhengtong.kernel.messages.routes import nodes_named
from zhengtong.kernel.messages.transit import FURTHER_ON
from zhengtong.ui.formats import file_size
from zhengtong.ui.pieces import Entry
from zhengtong.wire.errors import Refusal
from zhengtong.wire.receipts import log_name

MISSING = "没有这封信件。它可能属于另一个节点，请从收发日志进入。"


@require_GET
def letter(request: HttpRequest, direction: str, pk: int) -> HttpResponse:
    """What became of one letter, from the act that caused it to the receipt."""
    actor = administrator(request)
    context = _sent(pk) if direction == SENT else _received(pk)
    message: Message | None = context["message"]
    seen = subjects.seen(actor, {message.subject}) if message else {}
    return render(
        request,
        "face/link_letter.html",
        context
        | {
            "kind": words.kind(message.kind if message else ""),
            "about": seen.get(message.subject) if message else None,
            "back": request.path,
            "may_resend": context["resendable"] and actor.has("messages.resend"),
            "may_retry": actor.has("messages.retry"),
            "may_prove": actor.has("links.export_evidence"),
        },
    )


@require_GET
def evidence(request: HttpRequest, direction: str, pk: int) -> HttpResponse:
    """The evidence about the letter's record, for those who may read the record itself."""
    actor = administrator(request)
    about = _about(actor, direction, pk)
    data = link_commands.export_evidence(actor, about.record, about.title)
    response = HttpResponse(data, content_type="application/octet-stream")
    name = f"{about.title}-收发证据.cbor"
    response["Content-Disposition"] = content_disposition_header(True, name) or ""
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _about(actor: Actor, direction: str, pk: int) -> subjects.Subject:
    message: Message | None = (_sent(pk) if direction == SENT else _received(pk))["message"]
    found = subjects.seen(actor, {message.subject}) if message else {}
    if message is None or message.subject not in found:
        raise NotFound("这封信件没有可供您导出证据的内容。")
    return found[message.subject]


def _called(name: str) -> str:
    """A node as people call it; by its name if we know no more."""
    if name == settings.NODE.name:
        return "本节点"
    return next((node.title for node in nodes_named([name])), name)


def _sent(pk: int) -> dict[str, Any]:
    rows = journal.letters().select_related("message", "neighbour", "sent").defer("sent__envelope")
    found: Any = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound(MISSING)
    node, message, sent = found.neighbour, found.message, getattr(found, "sent", None)
    entries = [
        Entry(message.at, _called(message.origin), "办理产生这封信件"),
        Entry(found.created_at, "本节点", f"列为发往{node.title}的{words.lane(found.lane)}件"),
    ]
    if sent is not None:
        entries.append(Entry(sent.at, "本节点", _sealed(sent.sequence, found.size), tone="info"))
        entries += _receipts(node, sent)
    later = list(Letter.objects.filter(message=message, neighbour=node, pk__gt=pk).order_by("pk"))
    entries += [Entry(item.created_at, "本节点", "重新发出这封信件") for item in later]
    state = _state_of(found, sent)
    return {
        "message": message,
        "node": node,
        "heading": f"发往{node.title}",
        "state": STATES[state],
        "reason": words.reason(sent.refusal) if sent and sent.refusal else found.problem,
        "detail": sent.refusal_detail if sent else "",
        "facts": _facts(found.lane, sent.sequence if sent else None, found.size, message),
        "entries": sorted(entries, key=lambda entry: entry.at),
        **(_way(sent, message) if sent is not None else {}),
        "resendable": (commands.refused() | commands.stuck()).filter(pk=pk).exists(),
        "letter": found,
        "later": later,
        "handlings": (),
        "direction": SENT,
    }


def _way(sent: Any, message: Message) -> dict[str, Any]:
    """The nodes that a numbered letter has passed, as far as their receipts come to this node."""
    hops = hops_of(sent)
    if message.origin != settings.NODE.name and sent.letter.destination != sent.neighbour.name:
        hops = [hop for hop in hops if not hop.final]
        said = hop_words.passed_on(hops[0], message.origin)
    else:
        said = hop_words.course(hops)
    return {
        "hops": [hop_words.row(hop) for hop in hops],
        "course": said,
        "own_entry": hop_words.entry_of(log_name(settings.NODE.name, sent.epoch), sent.leaf),
    }


def _state_of(letter: Any, sent: Any) -> str:
    taken = sent is not None and sent.sequence <= letter.receipted
    arrived = letter.arrived or letter.destination == letter.neighbour.name
    refusal = sent.refusal if sent is not None else ""
    return journal.sent_state(letter.problem, letter.number, refusal, taken, arrived)


def _sealed(number: int, size: int | None) -> str:
    return f"加密封装为第 {number} 号" + (f"，{file_size(size)}" if size else "")


def _receipts(node: Neighbour, sent: Any) -> list[Entry]:
    """The receipts that name this letter; their time is by the neighbour's clock."""
    found = Receipt.objects.filter(
        neighbour=node, lane=sent.lane, first__lte=sent.sequence, last__gte=sent.sequence
    )
    did, tone = "签名确认已存妥", "ok"
    if sent.refusal == Refusal.WITHHELD:
        did, tone = "签名确认只收到其哈希", "bad"
    elif sent.refusal and not sent.refusal.startswith(FURTHER_ON):
        did, tone = "签名拒收", "bad"
    elif sent.letter.destination != node.name:
        did, tone = "签名确认已存妥，由其转送", "info"
    return [
        Entry(receipt.at, node.title, f"{did}（对方时钟）", tone=tone)  # type: ignore[arg-type]
        for receipt in found.order_by("pk")
    ]


def _received(pk: int) -> dict[str, Any]:
    found: Any = (
        Arrival.objects.select_related("neighbour")
        .defer("envelope", "digest")
        .filter(pk=pk)
        .first()
    )
    if found is None:
        raise NotFound(MISSING)
    node = found.neighbour
    message = Message.objects.filter(pk=found.message).first() if found.message else None
    handlings = list(Handling.objects.filter(message=found.message)) if found.message else []
    entries = (
        [Entry(message.at, _called(message.origin), "办理产生这封信件（对方时钟）")]
        if message
        else []
    )
    if found.refusal == Refusal.WITHHELD:
        told = f"只收到第 {found.sequence} 号信件的哈希，发信方没有交出信件"
        entries.append(Entry(found.at, "本节点", told, tone="bad"))
    elif found.refusal:
        entries.append(Entry(found.at, "本节点", "拒收这封信件", tone="bad"))
    else:
        entries.append(
            Entry(found.at, "本节点", f"收妥第 {found.sequence} 号并开具回执", tone="ok")
        )
    state = "rejected" if found.refusal else "taken"
    if any(item.dead and not item.done for item in handlings):
        state = "dead"
    return {
        "message": message,
        "node": node,
        "heading": f"来自{node.title}",
        "state": STATES[state],
        "reason": words.reason(found.refusal) if found.refusal else "",
        "detail": found.refusal_detail,
        "facts": _facts(found.lane, found.sequence, None, message),
        "entries": sorted(entries, key=lambda entry: entry.at),
        "resendable": False,
        "handlings": handlings,
        "direction": "received",
    }


def _facts(
    lane: int, number: int | None, size: int | None, message: Message | None
) -> list[tuple[str, str | datetime]]:
    return [
        ("缓急", f"{words.lane(lane)}件"),
        ("连接序号", f"第 {number} 号" if number else "尚未编号"),
        ("大小", file_size(size) if size else ""),
        ("来源节点", message.origin if message else ""),
        ("信件标识", str(message.pk) if message else ""),
        ("对象标识", message.subject if message else ""),
    ]
