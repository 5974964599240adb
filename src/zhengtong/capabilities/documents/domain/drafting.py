"""What a draft must say before it can go further: the first of the drafting rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

MAX_TITLE = 200
MAX_BODY = 200_000
MAX_NOTE = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """What a drafter fills in. `level` and `urgency` are numbers of their scales."""

    document_kind: str
    title: str
    body: str
    urgency: int
    level: int
    addressees: tuple[UUID, ...]
    copy_to: tuple[UUID, ...] = ()
    countersigners: tuple[UUID, ...] = ()
    note: str = ""
    due_at: datetime | None = None
    answers: UUID | None = None


def problems(
    draft: Draft, *, kinds: Collection[str], known: Collection[UUID], now: datetime
) -> dict[str, str]:
    """Each field that cannot stand, with what to write instead; empty when all is well.

    `kinds` are the fifteen 文种, `known` the organisations of the directory.
    """
    found: dict[str, str] = {}
    title = draft.title.strip()
    if draft.document_kind not in kinds:
        found["document_kind"] = "请从十五种法定文种中选择。"
    if not title:
        found["title"] = "请填写标题，例如“关于做好防汛准备工作的通知”。"
    elif len(title) > MAX_TITLE:
        found["title"] = f"标题最多 {MAX_TITLE} 字，现在有 {len(title)} 字。"
    elif "document_kind" not in found and not title.endswith(draft.document_kind):
        found["title"] = f"标题应以文种“{draft.document_kind}”结尾（条例第九条）。"
    if not draft.body.strip():
        found["body"] = "请填写正文。"
    elif len(draft.body) > MAX_BODY:
        found["body"] = f"正文最多 {MAX_BODY} 字，现在有 {len(draft.body)} 字。请把长表格作为附件。"
    if draft.urgency not in (0, 1, 2):
        found["urgency"] = "紧急程度只能是平件、加急或特急。"
    if draft.level not in range(6):
        found["level"] = "请选择密级。"
    if not draft.addressees:
        found["addressees"] = "请至少选择一个主送机关。"
    elif set(draft.addressees) - set(known):
        found["addressees"] = "主送机关中有不在机关名录里的单位，请重新选择。"
    elif set(draft.addressees) & set(draft.copy_to):
        found["copy_to"] = "同一机关不能既主送又抄送。"
    if len(draft.note) > MAX_NOTE:
        found["note"] = f"附注最多 {MAX_NOTE} 字。"
    if draft.due_at is not None and draft.due_at <= now:
        found["due_at"] = "办理时限应晚于现在。"
    return found
