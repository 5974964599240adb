"""Alarms of the links reach people: something to do for some, a notice for the others."""

from __future__ import annotations

from uuid import UUID

from zhengtong.kernel import moment, notices
from zhengtong.kernel.commands import Act, command, must_find
from zhengtong.kernel.directory.actors import hosted
from zhengtong.kernel.directory.models import PostDuty
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.errors import Invalid, Refused
from zhengtong.kernel.labels import Level, Share
from zhengtong.kernel.messages import proof
from zhengtong.kernel.messages.models import LinkAlarm
from zhengtong.kernel.records import Record
from zhengtong.kernel.tasks import Task
from zhengtong.wire.errors import WireError

READ, CLEAR = "links.read", "links.clear"
URGENT = 2
TITLES = {
    "no_contact": "长时间没有联系",
    "silent_stall": "对方在线，但不再确认信件",
    "overdue": "信件等待超过时限",
    "clock_off": "双方时钟相差过大",
    "sequence_mismatch": "双方序号不一致",
    "forked_log": "对方的存证日志出现分叉",
    "log_rolled_back": "存证日志比核对过的短",
    "log_restarted": "对方启用了新的存证日志",
    "letters_lost": "有信件双方都已丢失",
    "log_unverified": "对方的存证日志很久没有核对成功",
}


def title_of(code: str) -> str:
    """An alarm in words; one that a newer link core raises keeps its code."""
    return TITLES.get(code, code)


@command("links.announce", title="发布连接告警")
def announce(act: Act, alarm: int) -> None:
    """Tell the people of this node of an alarm, once. Raises NotFound."""
    found = _found(alarm)
    if found.announced:
        return
    found.announced = True
    found.save(update_fields=["announced"])
    act.note(node=found.neighbour.name, alarm=found.code)
    Task.objects.bulk_create([_task(found, owner) for owner in _offices(CLEAR)])
    notices.write(
        notices.notice(owner, "link-alarm", "节点连接出现告警，请查看。", duty=READ)
        for owner in _offices(READ)
    )


@command(CLEAR, title="解除连接告警")
def clear(act: Act, alarm: int, reason: str) -> None:
    """End an alarm: the node when the cause has gone, a person who has looked into it.

    What still holds is raised again at the next look. Raises NotFound, Refused, Invalid.
    """
    found = _found(alarm)
    if not reason.strip():
        raise Invalid({"reason": "请写明查到的原因或采取的措施。"})
    if found.cleared_at is not None:
        raise Refused("这条告警已经解除。")
    found.cleared_at = moment.now()
    found.save(update_fields=["cleared_at"])
    act.note(node=found.neighbour.name, alarm=found.code, reason=reason.strip()[:200])
    Task.objects.unlabelled("the alarm is over for everybody").filter(
        subject=_urn(found), closed_at=None
    ).update(closed_at=found.cleared_at, closed_by=act.actor.person)
    notices.write(
        notices.notice(owner, "link-alarm", "节点连接告警已解除。", duty=READ)
        for owner in _offices(READ)
    )


@command("links.export_evidence", title="导出信件证据")
def export_evidence(act: Act, record: Record, title: str) -> bytes:
    """The letters, receipts and sealed audit entries about a record, for `zhengtong verify`.

    Raises Refused when a letter has been emptied since, because the record had to be taken back.
    """
    try:
        return proof.bundle(title, record.urn, [], [])
    except WireError as error:
        raise Refused("这份内容已按要求从本节点清除，不能再导出证据。") from error


def _found(alarm: int) -> LinkAlarm:
    rows = locked_for_update(LinkAlarm.objects.select_related("neighbour"))
    return must_find(rows, pk=alarm)


def _offices(duty: str) -> list[UUID]:
    """The organisations of this node where some post carries a duty."""
    posts = PostDuty.objects.filter(duty=duty, post__organisation__in=hosted())
    return list(posts.order_by().values_list("post__organisation", flat=True).distinct())


def _urn(alarm: LinkAlarm) -> str:
    return f"urn:zhengtong:linkalarm:{alarm.pk}"


def _task(alarm: LinkAlarm, owner: UUID) -> Task:
    return Task(
        owner_id=owner,
        level=Level.INTERNAL,
        share=Share.REFUSED,
        subject=_urn(alarm),
        duty=CLEAR,
        kind="link-alarm",
        title=f"{alarm.neighbour.title}：{title_of(alarm.code)}"[:200],
        note="连接告警",
        page=f"/links/{alarm.neighbour.name}/",
        urgency=URGENT,
    )
