"""Why a request to join is turned away: a closed list, with the words and the HTTP status."""

from __future__ import annotations

from enum import Enum

from zhengtong.kernel.errors import Denied


class Why(Enum):
    """Code on the wire, HTTP status, what happened and what to do."""

    MALFORMED = ("malformed", 400, "入网申请无法读取。请核对双方软件版本后重新申请。")
    OVERSIZED = ("oversized", 413, "入网申请过大。请核对所报机关数量后重新申请。")
    TOO_MANY = ("too_many", 429, "失败次数过多。请 15 分钟后再试，或请上级节点管理员协助。")
    UNKNOWN_TOKEN = ("unknown_token", 403, "邀请码不正确。请对照邀请函逐组核对后重新输入。")
    EXPIRED_TOKEN = ("expired_token", 403, "邀请码已过期。请向上级节点管理员申请新的邀请。")
    USED_TOKEN = (
        "used_token",
        409,
        "邀请码已被另一份申请使用。请立即电话告知上级节点管理员，作废后重新邀请。",
    )
    WITHDRAWN = ("withdrawn", 403, "这份邀请已作废。请向上级节点管理员申请新的邀请。")
    WRONG_NODE = (
        "wrong_node",
        403,
        "邀请的是另一个节点。请核对 node.toml 中的 name 与邀请函是否一致。",
    )
    WRONG_ZONE = (
        "wrong_zone",
        403,
        "网络区域与邀请不一致。请核对 node.toml 中的 zone 与邀请函是否一致。",
    )
    ABOVE_CEILING = (
        "above_ceiling",
        403,
        "最高密级超过邀请所定。请把 node.toml 中的 ceiling 改为邀请函所列。",
    )
    WRONG_ADDRESS = (
        "wrong_address",
        403,
        "节点地址无法使用。请把 node.toml 中的 url 改为其他节点可以访问的地址。",
    )
    ORGANISATION = (
        "organisation",
        409,
        "所报机关已由其他节点承载或代码重复。请与上级节点管理员核对机关名录。",
    )
    CERTIFICATE = ("certificate", 400, "证书申请无法使用。请删除 joining.cbor 后重新申请。")
    REFUSED = ("refused", 403, "上级节点管理员没有批准这份申请。")

    @property
    def code(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]

    @property
    def text(self) -> str:
        return self.value[2]


class JoinRefused(Denied):
    """A request to join that is turned away; being a denial, it is audited."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(why.text + (f"原因：{detail}" if detail else ""))
        self.why = why
        self.status = why.status
