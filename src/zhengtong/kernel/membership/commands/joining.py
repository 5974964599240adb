"""Invitation, request, approval by two administrators, admission."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings

from zhengtong.kernel import node as node_file
from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.directory.models import Kind, Organisation
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.errors import Invalid, Refused
from zhengtong.kernel.labels import Level, Zone, may_enter
from zhengtong.kernel.membership import authority, keeping
from zhengtong.kernel.membership.hosting import register
from zhengtong.kernel.membership.models import Approval, Invitation, Member, Stage
from zhengtong.kernel.membership.refusals import JoinRefused, Why
from zhengtong.kernel.membership.telling import issue_directory, tell_held
from zhengtong.kernel.messages.identity import own_card, own_keys
from zhengtong.kernel.messages.membership import take_card
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire.directory import Directory, Hosted
from zhengtong.wire.errors import WireError
from zhengtong.wire.joining import JoinRequest, answer, fingerprint, hash_token
from zhengtong.wire.keys import NodeCard

NEEDED = 2
"""Different administrators who must approve."""
LONGEST = timedelta(days=30)


@command("membership.invite", title="邀请节点入网")
def invite(
    act: Act, *, node: str, title: str, zone: str, ceiling: int, token: bytes, life: timedelta
) -> Invitation:
    """Let one node ask to join, once, under this name, zone and ceiling, with this token.

    The caller makes the token and shows it; only its hash is kept. Raises Invalid.
    """
    wrong = dict(_wrong(node, title, zone, ceiling, life))
    if wrong:
        raise Invalid(wrong)
    made = Invitation.objects.create(
        node=node,
        title=title,
        zone=zone,
        ceiling=ceiling,
        token=hash_token(token),
        made_by=act.actor.name,
        made_at=act.now,
        expires_at=act.now + life,
    )
    act.note(node=node, zone=zone, ceiling=ceiling, invitation=str(made.pk))
    return made


def _wrong(
    node: str, title: str, zone: str, ceiling: int, life: timedelta
) -> Iterable[tuple[str, str]]:
    if not node_file.NAME.fullmatch(node):
        yield "node", "节点名用小写字母、数字和连字符，2 至 40 位，以字母开头。"
    elif node == settings.NODE.name or Neighbour.objects.filter(name=node).exists():
        yield "node", f"节点名 {node} 已在用或用过，不能再次使用。请换一个名称。"
    elif Invitation.objects.filter(node=node, stage__in=[Stage.OPEN, Stage.ASKED]).exists():
        yield "node", f"对 {node} 的邀请还没有办结。如需重新邀请，请先将其作废。"
    if not title.strip() or len(title) > 80:
        yield "title", "请填写节点的中文名称，不超过 80 字。"
    if zone not in {item.value for item in Zone}:
        yield "zone", "请选择网络区域。"
    elif ceiling not in {int(level) for level in Level} or not may_enter(
        ceiling, settings.NODE.ceiling
    ):
        yield "ceiling", f"最高密级不能高于本节点的“{settings.NODE.ceiling.word}”。"
    elif zone == Zone.PUBLIC and ceiling > Level.PUBLIC:
        yield "ceiling", "外网节点只能处理公开信息。"
    if not timedelta(hours=1) <= life <= LONGEST:
        yield "days", "邀请的有效期为 1 小时至 30 天。"


@command("membership.withdraw", title="作废邀请")
def withdraw(act: Act, invitation: UUID) -> Invitation:
    """Take back an invitation that has not led to admission."""
    found = _locked(invitation)
    if found.stage not in (Stage.OPEN, Stage.ASKED):
        raise Refused("这份邀请已经办结，不能作废。")
    return _settle(act, found, Stage.WITHDRAWN)


@command("membership.join_requested", title="受理入网申请")
def join_requested(act: Act, request: JoinRequest) -> Invitation:
    """Take a verified request that came with a token. Raises JoinRefused, which is audited."""
    found = match(request.token)
    act.note(asked=request.card.node, key=request.card.signing_kid.hex())
    if found is None:
        raise JoinRefused(Why.UNKNOWN_TOKEN)
    found = _locked(found.pk)
    act.note(invitation=str(found.pk))
    if found.stage == Stage.WITHDRAWN:
        raise JoinRefused(Why.WITHDRAWN)
    if found.stage != Stage.OPEN:
        if hmac.compare_digest(bytes(found.request), request.digest):
            return found
        raise JoinRefused(Why.USED_TOKEN)
    if act.now > found.expires_at:
        raise JoinRefused(Why.EXPIRED_TOKEN)
    _check(found, request, act)
    found.stage, found.asked_at = Stage.ASKED, act.now
    found.request, found.card, found.csr = request.digest, request.card.to_cbor(), request.csr
    found.recovery = request.recovery.to_cbor() if request.recovery else b""
    found.organisations = [
        [str(item.id), item.code, item.name, item.short_name, item.kind]
        for item in request.organisations
    ]
    found.save()
    return found


def match(token: bytes) -> Invitation | None:
    """The invitation with this token. Every one is compared, in a time that tells nothing."""
    digest, found = hash_token(token), None
    for item in Invitation.objects.order_by("made_at"):
        if hmac.compare_digest(bytes(item.token), digest):
            found = item
    return found


def _check(found: Invitation, request: JoinRequest, act: Act) -> None:
    """What is asked for must be what was offered."""
    card = request.card
    if card.node != found.node:
        raise JoinRefused(Why.WRONG_NODE, f"邀请 {found.node}，申请 {card.node}。")
    if card.zone != found.zone:
        raise JoinRefused(Why.WRONG_ZONE)
    if card.ceiling > found.ceiling:
        raise JoinRefused(Why.ABOVE_CEILING)
    for item in request.organisations:
        known = Organisation.objects.filter(pk=item.id).first()
        elsewhere = known is not None and known.node != found.node
        taken = Organisation.objects.filter(code=item.code).exclude(pk=item.id).exists()
        if elsewhere or taken or item.kind not in Kind.values:
            raise JoinRefused(Why.ORGANISATION, f"{item.name}（{item.code}）。")
    if request.csr:
        try:
            authority.certify(request.csr, card.node, card.url, card.suite, act.now)
        except (WireError, ValueError) as error:
            raise JoinRefused(Why.CERTIFICATE) from error


@command("membership.approve", title="批准节点入网")
def approve(act: Act, invitation: UUID) -> Invitation:
    """One administrator's yes; the second, by another person, admits the node.

    Raises Refused for anybody who has approved already, and for the node itself: two people
    have compared the fingerprint with the applicant by telephone, or it is no approval.
    """
    person = act.actor.person
    if person is None:
        raise Refused("批准入网须由管理员本人登录后办理。")
    found = _locked(invitation)
    if found.stage != Stage.ASKED:
        raise Refused("这份申请不在待批准状态。")
    card = NodeCard.from_cbor(bytes(found.card))
    act.note(node=found.node, invitation=str(found.pk), key=card.signing_kid.hex())
    if found.approvals.filter(person=person).exists():
        raise Refused("您已经批准过这份申请，须由另一名管理员再批准一次。")
    Approval.objects.create(invitation=found, person=person, name=act.actor.name, at=act.now)
    if found.approvals.count() >= NEEDED:
        _admit(act, found, card)
    return found


@command("membership.refuse", title="拒绝节点入网")
def refuse(act: Act, invitation: UUID, *, reason: str) -> Invitation:
    """Turn a request down; one administrator is enough. The applicant is told the reason."""
    found = _locked(invitation)
    if found.stage != Stage.ASKED:
        raise Refused("这份申请不在待批准状态。")
    if not reason.strip():
        raise Invalid({"reason": "请写明不批准的原因，对方会看到。"})
    found.reason = reason.strip()[:200]
    return _settle(act, found, Stage.REFUSED)


def _admit(act: Act, found: Invitation, card: NodeCard) -> None:
    authority.certify_ourselves(own_keys().suite.name, act.now)
    certificate = b""
    if found.csr:
        csr = bytes(found.csr)
        certificate = authority.certify(csr, card.node, card.url, card.suite, act.now)
    neighbour = take_card(act, card, is_parent=False)
    neighbour.recovery = found.recovery
    neighbour.save(update_fields=["recovery"])
    _remember(act, card.node, certificate)
    register(act, card.node, [hosted(item) for item in found.organisations])
    issued = issue_directory(act)
    tell_held(act, neighbour)
    found.answer = _answer(found, certificate, issued)
    _settle(act, found, Stage.ADMITTED)
    act.note(fingerprint=fingerprint(card))


def _remember(act: Act, node: str, certificate: bytes) -> None:
    Member.objects.create(
        node=node,
        joined_at=act.now,
        certificate=certificate.decode(),
        certificate_expires=authority.expires_at(certificate) if certificate else None,
    )


def _answer(found: Invitation, certificate: bytes, issued: Directory) -> bytes:
    """The answer; a node in the public zone is told nothing of the others."""
    public = found.zone == Zone.PUBLIC
    return answer(
        own_keys(),
        own_card(),
        request=bytes(found.request),
        recovery=keeping.own_recovery_card(),
        certificate=certificate,
        authority=authority.trusted(),
        directory=b"" if public else issued.signed,
    ).signed


def hosted(stored: list[str]) -> Hosted:
    """An organisation as an invitation's row keeps it."""
    pk, code, name, short_name, kind = stored
    return Hosted(UUID(pk), code, name, short_name, kind)


def _locked(invitation: UUID) -> Invitation:
    return must_find(locked_for_update(Invitation.objects.all()), pk=invitation)


def _settle(act: Act, found: Invitation, stage: Stage) -> Invitation:
    found.stage, found.settled_at = stage, act.now
    found.save()
    act.note(node=found.node, invitation=str(found.pk), stage=stage.value)
    return found
