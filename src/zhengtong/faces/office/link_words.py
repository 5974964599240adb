"""What the node page says about a link, in words: its state, its alarms, times and clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from zhengtong.kernel.messages import facts
from zhengtong.kernel.messages.alarms import LANE_WORDS
from zhengtong.kernel.messages.health import Link
from zhengtong.kernel.messages.link_commands import title_of
from zhengtong.kernel.messages.models import LinkAlarm
from zhengtong.kernel.messages.transit import FURTHER_ON
from zhengtong.ui.pieces import Tone
from zhengtong.wire.errors import Refusal, WireError

GRAVE = {"forked_log", "sequence_mismatch", "log_rolled_back"}
"""Alarms that put the evidence in question, so that they come before everything else."""
AHEAD, BEHIND = timedelta(seconds=30), timedelta(minutes=2)
"""Of these differences a person should know; from 10 minutes on batches are refused. What seems to
be behind may only have been long on its way, so more of it is let pass."""
EXPIRING = 30
"""Days before a certificate ends in which its renewal must be seen to."""
ROADS = {"https": "网络直连", "nats": "消息中间件", "ferry": "光盘摆渡"}


@dataclass(frozen=True, slots=True)
class Advice:
    """An alarm explained: what it means, and what the administrator should do."""

    meaning: str
    steps: Sequence[str]


ADVICE = {
    "no_contact": Advice(
        "本节点有信件要发给对方，但很久没有收到对方的任何消息。信件都在，联系恢复后会自动送达。",
        (
            "电话询问对方管理员：节点是否在运行，网络是否中断。",
            "下级节点负责拨号：在对方机器上运行 zhengtong doctor 查看原因。",
            "短时间不能恢复的，可改用光盘摆渡送出急件。",
        ),
    ),
    "silent_stall": Advice(
        "对方一直在线，却不再确认收到的信件。线路能通，但信件没有真正落到对方的数据库。",
        (
            "请对方管理员查看磁盘是否已满、数据库是否能写。",
            "核对双方软件版本是否一致。",
            "仍不能恢复的，请对方重启节点；未确认的信件会重新发送，不会重复办理。",
        ),
    ),
    "overdue": Advice(
        "连接正常，但有信件等待的时间超过了它的缓急程度允许的时限。",
        (
            "查看下方“各类信件”一栏，看积压在哪一类。",
            "查看本节点的工作进程是否在运行：zhengtong doctor。",
            "积压很多的，等待其送完即可；急件会排在前面。",
        ),
    ),
    "clock_off": Advice(
        "双方时钟相差超过 10 分钟，一方因此拒收另一方的信件。信件都在，时钟校准后会自动送达。",
        (
            "对照标准时间查看两端服务器的时钟，确定哪一方不准。",
            "在不准的一方启用时间同步（NTP）；不必重启节点。",
            "查看时钟不准期间登记的公文，必要时在办理记录中说明时间。",
        ),
    ),
    "sequence_mismatch": Advice(
        "双方记录的信件序号对不上：可能有信件丢失、被截留或被重复。双方的存证记录可以查明。",
        (
            "不要停用节点，也不要恢复备份，以免破坏证据。",
            "与对方管理员核对“收发日志”中最后几封信件的序号。",
            "导出有关公文的证据文件，用 zhengtong verify 核验。",
        ),
    ),
    "forked_log": Advice(
        "对方先后出示了两份互相矛盾的存证日志：它对过去的记录作了改动，或者同一套密钥有两处在用。",
        (
            "立即报告安全管理员和审计员，保留双方数据。",
            "在查明之前，不要把对方出示的记录作为证据使用。",
            "查明后由管理员写明原因，解除告警。",
        ),
    ),
    "log_rolled_back": Advice(
        "出示的存证日志比先前核对过的短，缺少后来的记录。通常是有一方从备份恢复过；"
        "恢复前收发的信件会自动补齐，但恢复的一方可能丢失了自己的办理记录。",
        (
            "查看上面的日志名称，确定是哪一方，并确认恢复是有意进行的。",
            "确认补发完成后，写明情况，解除告警。",
            "没有恢复过备份的，按存证日志出现分叉处理。",
        ),
    ),
    "log_restarted": Advice(
        "对方从备份恢复后启用了新的一本存证日志。旧日志核对过的部分仍然有效。",
        ("与对方确认恢复是有意进行的。", "写明情况，解除告警。"),
    ),
    "letters_lost": Advice(
        "双方先后从备份恢复，上面所列序号的信件在两边的磁盘上都已不存在，无法补发；"
        "后面的信件照常收发。",
        (
            "上面写明发出的节点、通道和序号，请双方管理员核对“收发日志”和办件登记，查明是哪些公文。",
            "由发文单位重新发送，写明情况，解除告警。",
            "双方没有恢复过备份的，按信件被截留处理：保留证据，报告安全管理员。",
        ),
    ),
    "log_unverified": Advice(
        "对方出示的存证日志一个多小时没有从双方都认可的位置接上，新的记录还没有得到证明。",
        ("与对方核对软件版本。", "请对方管理员运行 zhengtong doctor --audit。"),
    ),
}
UNKNOWN = Advice("这是较新版本才有的告警。", ("请查看运行手册，或联系系统管理员。",))


def advice(alarm: LinkAlarm) -> dict[str, object]:
    """An alarm with its words, for the templates."""
    found = ADVICE.get(alarm.code, UNKNOWN)
    return {
        "alarm": alarm,
        "title": title_of(alarm.code),
        "meaning": found.meaning,
        "steps": found.steps,
    }


def state(link: Link, now: datetime) -> tuple[str, Tone]:
    """How a link stands, in one word and tone: the worst that is true."""
    codes = {alarm.code for alarm in link.alarms}
    if codes & GRAVE:
        return "存证异常", "bad"
    if link.node.suspended:
        return "已停用", "idle"
    if link.node.failures:
        return "联系失败", "bad"
    if "no_contact" in codes:
        return "失去联系", "bad"
    if codes & {"silent_stall", "overdue", "clock_off"}:
        return "传送受阻", "bad"
    if link.node.last_contact is None:
        return "从未联系", "wait"
    if not link.standing.in_contact(now):
        return "久未联系", "wait"
    if codes:
        return "请核对", "wait"
    return "正常", "ok"


def seconds(value: float | None) -> str:
    """A delay as people read it: 80 毫秒, 1.2 秒, 5 分钟, 3 小时, 2 天."""
    if value is None:
        return "—"
    if value < 1:
        return f"{max(1, round(value * 1000))} 毫秒"
    if value < 60:
        return f"{value:.1f}".removesuffix(".0") + " 秒"
    return span(timedelta(seconds=value))


def span(value: timedelta) -> str:
    """A length of time to its largest unit: 40 秒, 12 分钟, 3 小时, 2 天."""
    total = int(value.total_seconds())
    for unit, word in ((86400, "天"), (3600, "小时"), (60, "分钟")):
        if total >= unit:
            return f"{total // unit} {word}"
    return f"{max(0, total)} 秒"


def clock(skew_ms: int | None) -> tuple[str, Tone | None]:
    """The neighbour's clock against ours; the tone is "bad" when it is off too far."""
    if skew_ms is None:
        return "—", None
    off = timedelta(milliseconds=abs(skew_ms))
    if off < timedelta(seconds=1):
        return "一致", None
    if skew_ms > 0:
        return f"快 {span(off)}", "bad" if off >= AHEAD else None
    return f"至多慢 {span(off)}", "bad" if off >= BEHIND else None


def certificate(until: datetime | None, now: datetime) -> tuple[str, Tone | None]:
    """How long a certificate is still good."""
    if until is None:
        return "未启用", None
    days = (until - now).days
    if until <= now:
        return "已过期", "bad"
    return f"剩 {days} 天", "bad" if days < EXPIRING / 4 else "wait" if days < EXPIRING else None


def kind(name: str) -> str:
    """A kind of letter in words; a file's piece leaves no message behind where it arrives."""
    return facts.words().get(name) or (f"未知类型 {name}" if name else "附件分块")


def lane(number: int) -> str:
    return LANE_WORDS[number] if number < len(LANE_WORDS) else str(number)


def reason(code: str) -> str:
    """A typed refusal in words for people."""
    if code == FURTHER_ON:
        return "转送途中有节点没有收下这封信件。原因记在该节点，请与其管理员核对后重发。"
    further, _, why = code.rpartition(":")
    try:
        said = WireError(Refusal(why)).zh
    except ValueError:
        return code
    return f"转送途中有节点没有收下这封信件。据转送节点说明：{said}" if further else said
