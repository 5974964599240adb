"""What can be wrong with a node certificate, in words for a person."""

from __future__ import annotations

from enum import Enum

from zhengtong.wire.errors import Explanation, Refusal, WireError


class Fault(Enum):
    """Why a certificate was not accepted."""

    MISSING = Explanation(
        "没有出示节点证书",
        "No node certificate was shown",
        "请用证书机构签发的节点证书连接",
        "Connect with a certificate of the node authority",
    )
    UNREADABLE = Explanation(
        "节点证书无法读取",
        "The node certificate cannot be read",
        "请重新放置证书文件",
        "Put the certificate file in place again",
    )
    UNKNOWN_AUTHORITY = Explanation(
        "节点证书不是由本网认可的证书机构签发",
        "The node certificate is of an authority that is not trusted here",
        "请核对双方 keys 目录中的 authority.pem,必要时重新签发证书",
        "Compare authority.pem in keys/ on both sides; have the certificate issued anew",
    )
    EXPIRED = Explanation(
        "节点证书已过期",
        "The node certificate has expired",
        "请为该节点换发证书",
        "Renew the certificate of that node",
    )
    NOT_YET_VALID = Explanation(
        "节点证书尚未生效",
        "The node certificate is not valid yet",
        "请校准服务器时间,或核对证书的生效日期",
        "Synchronise the clocks, or inspect the date on the certificate",
    )
    REVOKED = Explanation(
        "节点证书已被吊销",
        "The node certificate has been revoked",
        "请联系签发机构核实,需要时重新签发证书",
        "Ask the authority why; have a new one issued if needed",
    )
    WRONG_NODE = Explanation(
        "节点证书属于另一个节点",
        "The node certificate is that of another node",
        "请核对连接地址和 keys 目录中的证书",
        "Inspect the address dialled and the certificate in keys/",
    )
    NOT_A_NODE = Explanation(
        "所出示的不是节点证书",
        "What was shown is no node certificate",
        "请改用证书机构签发的节点证书",
        "Use a certificate that the node authority issued",
    )


class BadCertificate(WireError):
    """A node certificate that is refused; `fault` says why, `detail` adds a name or a date."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(Refusal.BAD_CERTIFICATE, detail)
        self.args = (fault, detail)  # so that it can be pickled
        self.fault = fault

    def __str__(self) -> str:
        return f"{self.code.value}: {self.fault.value.en}" + (
            f" ({self.detail})" * bool(self.detail)
        )

    @property
    def zh(self) -> str:
        where = f"({self.detail})" if self.detail else ""
        return f"{self.fault.value.zh}{where}。{self.fault.value.remedy_zh}。"

    @property
    def en(self) -> str:
        where = f" ({self.detail})" if self.detail else ""
        return f"{self.fault.value.en}{where}. {self.fault.value.remedy_en}."
