"""Which units a document can be taken back from, and which it can be sent to again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

MAX_REASON = 2000


class Copy(Protocol):
    """What is known of one unit's copy of a document."""

    @property
    def recall(self) -> str: ...
    @property
    def withdrawn(self) -> bool: ...
    @property
    def returned_at(self) -> datetime | None: ...


def against_recall(copy: Copy | None) -> str:
    """Why a unit's copy cannot be recalled, as the end of a sentence; "" when it can."""
    if copy is None:
        return "不是本文的收文单位"
    if copy.withdrawn:
        return "的文已经撤回"
    if copy.recall == "asked":
        return "的文正在撤回，请等待答复"
    return "已退回本文，无须撤回" if copy.returned_at else ""


def against_resending(copy: Copy | None) -> str:
    """Why a document cannot be sent to a unit (again), as the end of a sentence; "" when it can."""
    if copy is None or copy.withdrawn or copy.returned_at:
        return ""
    if copy.recall == "asked":
        return "的文正在撤回，请等待答复"
    return "已经发过，无须补发"


def faults(wanted: Collection[UUID], against: Mapping[UUID, str], verb: str) -> dict[str, str]:
    """What is wrong with a choice of units, at its field.

    `against` gives for each unit of the directory what speaks against it, or "".
    """
    if not wanted:
        return {"units": f"请选择要{verb}的单位。"}
    found = [against.get(unit, "所选单位不在通讯录中") for unit in wanted]
    said = [words for words in found if words]
    return {"units": "；".join(dict.fromkeys(said)) + "。"} if said else {}


def reason_faults(reason: str) -> dict[str, str]:
    """What is wrong with the reason of a recall, at its field."""
    if not reason:
        return {"reason": "请写明撤回的理由，收文单位会看到。"}
    if len(reason) > MAX_REASON:
        return {"reason": f"理由最多 {MAX_REASON} 字，现在有 {len(reason)} 字。"}
    return {}
