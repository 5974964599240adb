"""The nodes that belong: invitations, requests with their approvals, standing, certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from zhengtong.faces.office.replies import said
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.errors import Denied, HouseError, Invalid, NotFound
from zhengtong.kernel.labels import Level, Zone
from zhengtong.kernel.membership import queries
from zhengtong.kernel.membership.commands import joining, standing
from zhengtong.kernel.membership.models import Invitation, Stage
from zhengtong.kernel.membership.telling import hosted_on
from zhengtong.kernel.messages.identity import former_cards, own_card
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.ui.formats import chinese_time
from zhengtong.ui.pieces import Tone
from zhengtong.wire.errors import WireError
from zhengtong.wire.joining import fingerprint, new_token, write_token
from zhengtong.wire.keys import NodeCard

BACK = "/nodes/"
PAST = 20
READ = "nodes.read"
STAGES: dict[str, Tone] = {
    Stage.OPEN: "wait",
    Stage.ASKED: "wait",
    Stage.ADMITTED: "ok",
    Stage.REFUSED: "bad",
    Stage.WITHDRAWN: "idle",
}


class InviteForm(forms.Form):
    """Whom to invite, and how far it may go."""

    use_required_attribute = False

    node = forms.CharField(
        label="节点名",
        max_length=40,
        help_text="小写字母、数字和连字符，如 xihua。写入对方的 node.toml，以后不能更改。",
        error_messages={"required": "请填写节点名。"},
    )
    title = forms.CharField(
        label="中文名称",
        max_length=80,
        help_text="如 西华县节点。",
        error_messages={"required": "请填写中文名称。"},
    )
    zone = forms.ChoiceField(
        label="网络区域", choices=[(zone.value, zone.word) for zone in Zone], initial="private"
    )
    ceiling = forms.TypedChoiceField(label="最高密级", coerce=int)
    days = forms.IntegerField(
        label="邀请有效天数",
        min_value=1,
        max_value=30,
        initial=7,
        error_messages={
            "required": "请填写 1 至 30。",
            "invalid": "请填写整数，1 至 30。",
            "min_value": "至少 1 天。",
            "max_value": "最多 30 天。",
        },
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = [level for level in Level if level <= settings.NODE.ceiling]
        field = cast(forms.TypedChoiceField, self.fields["ceiling"])
        field.choices = [(int(level), level.word) for level in allowed]
        field.initial = int(settings.NODE.ceiling)


@require_GET
def members(request: HttpRequest) -> HttpResponse:
    """Everything about who belongs, on one page."""
    actor = _reader(request)
    found = list(queries.invitations())
    return render(
        request,
        "face/members.html",
        {
            "asked": [_asked(item, actor) for item in found if item.stage == Stage.ASKED],
            "open": [item for item in found if item.stage == Stage.OPEN],
            "past": [_past(item) for item in found if item.settled_at][:PAST],
            "members": [_member(item) for item in queries.members()],
            "directories": queries.directories(),
            "fingerprint": fingerprint(own_card()),
            "own": _own_certificate(),
            "rotation": queries.rotation(),
            "now": moment.now(),
            "needed": joining.NEEDED,
            "may": _may(actor),
        },
    )


@require_GET
def member(request: HttpRequest, node: str) -> HttpResponse:
    """One node, and what may be done about it."""
    actor = _reader(request)
    found = next((item for item in queries.members() if item.neighbour.name == node), None)
    if found is None:
        raise NotFound("没有这个节点。")
    row = _member(found)
    facts: list[tuple[str, object]] = [
        ("节点名", node),
        ("地址", found.card.url),
        ("网络区域", row["zone"]),
        ("最高密级", row["ceiling"]),
        ("密码套件", found.card.suite),
        ("证书", row["left"]),
        ("恢复密钥", "已登记" if found.neighbour.recovery else "未登记"),
        ("最近联系", chinese_time(found.neighbour.last_contact)),
        ("承载机关", "、".join(item.name for item in hosted_on(node)) or "暂无"),
    ]
    former = len(former_cards([node]))
    context = row | {"facts": facts, "former": former, "may": _may_with(actor, found.neighbour)}
    return render(request, "face/member.html", context)


def _may_with(actor: Actor, node: Neighbour) -> frozenset[str]:
    """What may be done about a node as it stands now."""
    if node.expelled:
        return frozenset()
    fitting = {"resume"} if node.suspended else {"suspend"}
    if not node.is_parent:
        fitting.add("expel")
    return _may(actor) & fitting


@require_http_methods(["GET", "POST"])
def invite(request: HttpRequest) -> HttpResponse:
    """Ask whom to invite; then the letter of invitation, the only time its token is seen."""
    actor = _reader(request)
    if not actor.has("membership.invite"):
        raise Denied("您的岗位没有“邀请节点入网”的职责。")
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        token = new_token()
        given = form.cleaned_data
        try:
            made = joining.invite(
                actor,
                node=given["node"],
                title=given["title"],
                zone=given["zone"],
                ceiling=given["ceiling"],
                token=token,
                life=timedelta(days=given["days"]),
            )
        except Invalid as error:
            for name, text in error.fields.items():
                form.add_error(name if name in form.fields else None, text)
        else:
            return _letter(request, made, token)
    status = 422 if form.is_bound else 200
    return render(request, "face/member_invite.html", {"form": form}, status=status)


def _letter(request: HttpRequest, made: Invitation, token: bytes) -> HttpResponse:
    context = {
        "invitation": made,
        "zone": Zone(made.zone).word,
        "ceiling": Level(made.ceiling).word,
        "token": write_token(token).split("-"),
        "typed": write_token(token),
        "url": settings.NODE.url,
        "inviting": settings.NODE,
        "fingerprint": fingerprint(own_card()),
    }
    return render(request, "face/member_letter.html", context)


@require_POST
def decide(request: HttpRequest, invitation: UUID, verb: str) -> HttpResponse:
    """Approve, refuse or withdraw."""
    reason = request.POST.get("reason", "")
    acts: dict[str, tuple[Callable[[Actor], Any], str]] = {
        "approve": (lambda actor: joining.approve(actor, invitation), "已批准。"),
        "refuse": (
            lambda actor: joining.refuse(actor, invitation, reason=reason),
            "已拒绝，对方会看到原因。",
        ),
        "withdraw": (lambda actor: joining.withdraw(actor, invitation), "邀请已作废。"),
    }
    act, text = acts[verb]
    return _do(request, act, text)


@require_POST
def change(request: HttpRequest, node: str, verb: str) -> HttpResponse:
    """Suspend, resume or expel."""
    reason = request.POST.get("reason", "")
    acts: dict[str, tuple[Callable[[Actor], Any], str]] = {
        "suspend": (
            lambda actor: standing.suspend(actor, node, reason=reason),
            "已暂停交换，双方信件各自留存。",
        ),
        "resume": (lambda actor: standing.resume(actor, node), "已恢复交换，留存的信件正在送达。"),
        "expel": (
            lambda actor: standing.expel(actor, node, reason=reason),
            "已除名。未送达的信件列在“节点与连接”页。",
        ),
    }
    act, text = acts[verb]
    return _do(request, act, text, f"{BACK}{node}/")


def _do(
    request: HttpRequest, act: Callable[[Actor], Any], text: str, back: str = BACK
) -> HttpResponse:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    try:
        act(actor)
    except Denied:
        raise
    except HouseError as error:
        return said(request, back, f"没有办成：{error.message}", tone="bad")
    return said(request, back, text)


def _reader(request: HttpRequest) -> Actor:
    actor: Actor = request.actor  # type: ignore[attr-defined]
    if not actor.has(READ):
        raise Denied("您的岗位没有“查看入网节点”的职责。")
    return actor


def _may(actor: Actor) -> frozenset[str]:
    verbs = ("invite", "approve", "refuse", "withdraw", "suspend", "resume", "expel")
    return frozenset(verb for verb in verbs if actor.has(f"membership.{verb}"))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to join, as those who approve must see it."""

    invitation: Invitation
    fingerprint: str
    facts: list[tuple[str, object]]
    approvals: list[Any]
    mine: bool


def _asked(item: Invitation, actor: Actor) -> Asked:
    card = NodeCard.from_cbor(bytes(item.card))
    approvals = list(item.approvals.all())
    hosted = [f"{name}（{code}）" for _, code, name, _, _ in item.organisations]
    facts: list[tuple[str, object]] = [
        ("名称", card.title),
        ("地址", card.url),
        ("网络区域", Zone(card.zone).word),
        ("最高密级", Level(card.ceiling).word),
        ("承载机关", "、".join(hosted) or "暂无"),
        ("恢复密钥", "已登记" if item.recovery else "未登记"),
    ]
    mine = any(one.person == actor.person for one in approvals)
    return Asked(item, fingerprint(card), facts, approvals, mine)


def _past(item: Invitation) -> dict[str, Any]:
    names = "、".join(one.name for one in item.approvals.all())
    return {
        "item": item,
        "word": Stage(item.stage).label,
        "tone": STAGES[item.stage],
        "by": names,
    }


def _member(item: queries.Standing) -> dict[str, Any]:
    node = item.neighbour
    word, tone = _standing(item)
    left, urgency = _days(item.days_left)
    return {
        "node": node,
        "word": word,
        "tone": tone,
        "zone": Zone(node.zone).word,
        "ceiling": Level(node.ceiling).word,
        "fingerprint": fingerprint(item.card),
        "left": left,
        "urgency": urgency,
    }


def _standing(item: queries.Standing) -> tuple[str, Tone]:
    if item.neighbour.expelled:
        return "已除名", "bad"
    if item.neighbour.suspended:
        return "已暂停", "idle"
    return "在网", "ok"


def _days(left: int | None) -> tuple[str, Tone]:
    """How long a certificate is still good."""
    if left is None:
        return "未签发", "idle"
    if left < 0:
        return "已过期", "bad"
    urgent = left <= queries.WARN_BEFORE.days
    return (f"{left} 天后到期", "bad" if left <= 7 else "wait" if urgent else "ok")


def _own_certificate() -> tuple[str, Tone]:
    try:
        return _days(queries.own_days_left())
    except WireError:
        return "无法读取", "bad"
