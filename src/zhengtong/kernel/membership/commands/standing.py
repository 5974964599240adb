"""Suspending, resuming and expelling a node."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet

from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.errors import Invalid, Refused
from zhengtong.kernel.membership.telling import renew_directory
from zhengtong.kernel.messages.models import Letter, LinkLane, Neighbour, Sent

DEAD = "对方节点已被除名，信件不再送达。原因："


@command("membership.suspend", title="暂停节点交换")
def suspend(act: Act, node: str, *, reason: str) -> Neighbour:
    """Refuse a node's batches and give it none; letters wait on both sides."""
    found = _locked(node)
    if found.suspended:
        raise Refused(f"“{found.title}”的交换已经暂停。")
    found.suspended = True
    return _changed(act, found, _told(reason))


@command("membership.resume", title="恢复节点交换")
def resume(act: Act, node: str) -> Neighbour:
    """Exchange again; everything that waited is delivered."""
    found = _locked(node)
    if not found.suspended:
        raise Refused(f"“{found.title}”的交换没有暂停。")
    found.suspended = False
    return _changed(act, found, "")


@command("membership.expel", title="除名节点")
def expel(act: Act, node: str, *, reason: str) -> Neighbour:
    """Break with a node for good: nothing is taken from it or given to it any more.

    Letters it has not receipted are dead, each with the reason, and stand in the list of letters
    that were not delivered. Its name is not given to another node.
    """
    found = _locked(node)
    if found.is_parent:
        raise Refused("上级节点不能由下级除名；如需停止交换，请办理暂停。")
    reason = _told(reason)
    found.suspended, found.expelled = True, True
    _changed(act, found, reason)
    dead = undelivered(found).update(waiting=False, problem=(DEAD + reason)[:300])
    act.note(dead=dead)
    return found


def undelivered(neighbour: Neighbour) -> QuerySet[Letter]:
    """The letters to a neighbour for which we hold no receipt."""
    receipted = LinkLane.objects.filter(
        neighbour=neighbour, lane=OuterRef("lane"), receipted__gte=OuterRef("sequence")
    )
    sealed = Sent.objects.filter(~Exists(receipted), neighbour=neighbour)
    return Letter.objects.filter(
        Q(waiting=True) | Q(pk__in=sealed.values("letter")), neighbour=neighbour
    )


def _changed(act: Act, found: Neighbour, reason: str) -> Neighbour:
    found.save(update_fields=["suspended", "expelled"])
    act.note(node=found.name, reason=reason)
    renew_directory(act)
    return found


def _told(reason: str) -> str:
    if not reason.strip():
        raise Invalid({"reason": "请写明原因，以备查考。"})
    return reason.strip()[:200]


def _locked(node: str) -> Neighbour:
    found = must_find(locked_for_update(Neighbour.objects.all()), name=node)
    if found.expelled:
        raise Refused(f"“{found.title}”已被除名，不能再办理。")
    return found
