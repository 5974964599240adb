"""The errors a person can meet, each saying in Chinese what happened and what to do."""

from __future__ import annotations

from collections.abc import Mapping


class HouseError(Exception):
    """Base of all errors that are shown to people. `status` is the HTTP answer."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Denied(HouseError):
    """The actor may not do this. Audited after the transaction has been rolled back."""

    status = 403


class NotFound(HouseError):
    """No such record, or none this actor may see: the two are told alike on purpose."""

    status = 404


class Refused(HouseError):
    """The act is understood but not allowed by a rule or the record's present state."""

    status = 409


class Invalid(HouseError):
    """Some values cannot be accepted; `fields` maps a field's name to what is wrong with it."""

    status = 422

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("；".join(fields.values()))
        self.fields = dict(fields)


class AboveCeiling(Refused):
    """Something more secret than the node may hold or the neighbour may receive."""


class Unavailable(HouseError):
    """The machine cannot do it now; nothing was written."""

    status = 503
    TEXTS = {
        "full": "磁盘已满，本次操作没有保存。请联系管理员清理空间后重试。",
        "faulty": "磁盘已满或出现故障，本次操作没有保存。请联系管理员检查磁盘后重试。",
        "busy": "系统正忙，本次操作没有保存。请稍候重试。",
    }

    def __init__(self, reason: str) -> None:
        super().__init__(self.TEXTS[reason])
        self.reason = reason
