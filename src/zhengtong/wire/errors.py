"""Why a node refuses something, said so that both a program and a person can act on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """The closed list of refusal codes; the value travels on the wire."""

    UNSIGNED = "unsigned"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_SENDER = "unknown_sender"
    WRONG_RECIPIENT = "wrong_recipient"
    REPLAYED = "replayed"
    OUT_OF_ORDER = "out_of_order"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    UNKNOWN_KIND = "unknown_kind"
    ABOVE_CEILING = "above_ceiling"
    WITHHELD = "withheld"
    MALFORMED = "malformed"
    UNDECRYPTABLE = "undecryptable"
    CLOCK = "clock"
    NOT_A_NEIGHBOUR = "not_a_neighbour"
    SEQUENCE_MISMATCH = "sequence_mismatch"
    FORKED_LOG = "forked_log"
    SUSPENDED = "suspended"
    EXPELLED = "expelled"
    OUTDATED = "outdated"
    BAD_CERTIFICATE = "bad_certificate"

    @property
    def explanation(self) -> Explanation:
        return _EXPLANATIONS[self]


@dataclass(frozen=True)
class Explanation:
    """One sentence of cause and one of remedy, in Chinese and English."""

    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


class WireError(Exception):
    """Input or a request that the protocol refuses.

    `code` says which rule; `detail` is a short technical fact (field, number, node id) and
    never holds message content, so it is safe to send back and to log.
    """

    def __init__(self, code: Refusal, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code.value}: {self.detail or self.code.explanation.en}"

    @property
    def zh(self) -> str:
        said = self.code.explanation
        where = f"({self.detail})" if self.detail else ""
        return f"{said.zh}{where}。{said.remedy_zh}。"

    @property
    def en(self) -> str:
        said = self.code.explanation
        where = f" ({self.detail})" if self.detail else ""
        return f"{said.en}{where}. {said.remedy_en}."


_EXPLANATIONS = {
    Refusal.UNSIGNED: Explanation(
        "来件没有签名",
        "The message carries no signature",
        "请发送方用本节点密钥签名后重发",
        "Have the sender sign with its node key and resend",
    ),
    Refusal.BAD_SIGNATURE: Explanation(
        "签名与内容不符,内容可能被改动",
        "The signature does not match; it may have been altered",
        "请从发送方原件重发,并检查传输线路",
        "Resend from the original and inspect the road",
    ),
    Refusal.UNKNOWN_SENDER: Explanation(
        "发送方不在本节点的节点名录中",
        "The sender is not in this node's directory",
        "请核对节点名录是否最新,或先办理入网",
        "Update the directory or let the node join first",
    ),
    Refusal.WRONG_RECIPIENT: Explanation(
        "来件的收件节点不是本节点",
        "The message is addressed to another node",
        "请核对收件节点后重发",
        "Correct the address and resend",
    ),
    Refusal.REPLAYED: Explanation(
        "这一批或这一件已经收过,疑似重放",
        "This was received before and looks like a replay",
        "不必重发;如反复出现,请与对方管理员核对",
        "No need to resend; if it recurs, compare notes with the peer's administrator",
    ),
    Refusal.OUT_OF_ORDER: Explanation(
        "序号不连续,中间有来件未到",
        "A sequence is missing before this one",
        "请从缺失的序号起补发",
        "Resend from the missing sequence on",
    ),
    Refusal.TRUNCATED: Explanation(
        "来件不完整,数据提前结束",
        "The data ends too early",
        "请重发完整来件",
        "Resend the whole message",
    ),
    Refusal.OVERSIZED: Explanation(
        "来件超过大小或数量上限",
        "The message exceeds a size or count limit",
        "请拆分,或将大文件作为附件分块传送",
        "Split it, or send large files as chunks",
    ),
    Refusal.UNKNOWN_KIND: Explanation(
        "本节点不认识该类信件",
        "This node does not know this kind of message",
        "来件已留存,请升级本节点后重新处理",
        "It is kept; upgrade this node and process it again",
    ),
    Refusal.ABOVE_CEILING: Explanation(
        "来件密级高于节点允许的最高密级",
        "The level is above the ceiling of a node involved",
        "请改用获准处理该密级的渠道",
        "Use a channel accredited for that level",
    ),
    Refusal.WITHHELD: Explanation(
        "信件密级高于收信节点的最高密级,发信方没有交出信件,只交出其哈希",
        "The level is above the receiver's ceiling: its sender kept it and gave only its hash",
        "收信节点的最高密级允许后重发,或改用获准处理该密级的渠道",
        "Send it again once the receiver's ceiling allows it, or use an accredited channel",
    ),
    Refusal.MALFORMED: Explanation(
        "来件格式不符合协议",
        "The message does not follow the protocol",
        "请核对双方软件版本后重发",
        "Compare software versions and resend",
    ),
    Refusal.UNDECRYPTABLE: Explanation(
        "本节点的密钥打不开该来件",
        "This node's keys cannot open the message",
        "请发送方按本节点最新公钥重新封装",
        "Have the sender seal it again for the current key",
    ),
    Refusal.CLOCK: Explanation(
        "双方时钟相差过大",
        "The clocks of the two nodes differ too much",
        "请校准两端服务器时间",
        "Synchronise both clocks",
    ),
    Refusal.NOT_A_NEIGHBOUR: Explanation(
        "对方不是本节点的直接上级或下级",
        "The peer is not a direct neighbour of this node",
        "请经由规定的上级节点转送",
        "Route it through the proper parent node",
    ),
    Refusal.SUSPENDED: Explanation(
        "双方的交换已被暂停",
        "The exchange with this node is suspended",
        "信件各自留存,恢复后自动送达;请与对方管理员联系",
        "Letters wait on both sides and go on when it is resumed; ask the peer's administrator",
    ),
    Refusal.EXPELLED: Explanation(
        "该节点已被除名,不再交换",
        "This node has been expelled and no longer exchanges",
        "如需重新入网,请向上级节点申请新的邀请",
        "Ask the parent node for a new invitation under another name",
    ),
    Refusal.OUTDATED: Explanation(
        "对方给出的名录或名片比本节点已有的旧",
        "The directory or card is older than the one held here",
        "请核对对方是否由旧备份恢复,并索取最新版本",
        "Ask whether the peer was restored from an old backup, and get the newest",
    ),
    Refusal.BAD_CERTIFICATE: Explanation(
        "节点证书不被接受",
        "The node certificate is not accepted",
        "请核对证书后重新连接",
        "Inspect the certificate and connect again",
    ),
    Refusal.SEQUENCE_MISMATCH: Explanation(
        "双方签名的收发序列不一致,有来件被隐匿、替换或改动",
        "The two ends sign different sequences: something was withheld, replaced or altered",
        "请保存告警中的证据,联系对方节点管理员逐号核对",
        "Keep the evidence in the alarm and compare number by number with the peer",
    ),
    Refusal.FORKED_LOG: Explanation(
        "对方的存证日志与其先前签名的检查点矛盾,日志被改写",
        "The peer's evidence log contradicts a checkpoint it signed before: it was rewritten",
        "请保存两份检查点作为证据,停止信任该日志并联系对方管理员",
        "Keep both checkpoints as evidence, distrust that log and contact its administrator",
    ),
}
