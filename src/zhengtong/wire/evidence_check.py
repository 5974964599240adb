"""What an evidence file proves, and what it does not: judged offline, from the file alone."""

from __future__ import annotations

from collections.abc import Sequence

from zhengtong.wire import evidence as parts
from zhengtong.wire.authority import Certificate
from zhengtong.wire.evidence import Damaged, Evidence, Name, unpack
from zhengtong.wire.evidence_case import Case
from zhengtong.wire.evidence_letters import (
    judge_cards,
    judge_files,
    judge_letters,
    judge_receipts,
    judge_signing_for,
    list_unanswered,
)
from zhengtong.wire.evidence_links import judge_sequences
from zhengtong.wire.evidence_logs import judge_logs
from zhengtong.wire.evidence_summary import summarise
from zhengtong.wire.findings import Report, Verdict, finding, printable
from zhengtong.wire.keys import NodeCard


def verify(
    bundle: bytes,
    trusted: Sequence[NodeCard] | None = None,
    authorities: Sequence[Certificate] = (),
) -> Report:
    """Judge an evidence file. Never raises for bad input: every fault is a finding.

    `trusted` are the cards known from elsewhere (the signed directory). Without them the file
    proves that one set of keys said all this, but not whose keys they are. `authorities` are the
    certificates of time-stamping authorities, or of those who issue them, known likewise.
    """
    try:
        evidence = unpack(bundle)
    except Damaged as damage:
        faults = [finding(Verdict.FAILED, f.where, f.zh, f.en) for f in damage.faults]
        return Report("", "", tuple(faults))
    case = Case(evidence, trusted, authorities)
    _judge(case)
    about = evidence.about
    report = Report(printable(about.title), printable(about.document), tuple(case.findings))
    if not report.ok:
        return report
    return Report(report.title, report.document, report.findings, summarise(case))


def _judge(case: Case) -> None:
    judge_cards(case)
    judge_letters(case)
    judge_files(case)
    judge_receipts(case)
    judge_sequences(case)
    judge_signing_for(case)
    list_unanswered(case)
    judge_logs(case)
    _judge_times(case, case.evidence)


def _judge_times(case: Case, evidence: Evidence) -> None:
    if not case.letters and not evidence.entries:
        case.failed(parts.BUNDLE, "中没有信件或审计记录,不能证明任何事", "proves nothing")
    if any(dated.stamped for dated in case.dated):
        case.unproven(
            Name("时间", "times"),
            "除时间戳与会签所证明者外,为各节点自报",
            "other than those of time stamps and cosignatures are as each node stated them",
        )
    else:
        case.unproven(
            Name("时间", "times"),
            "为各节点自报,未附第三方时间戳",
            "are as each node stated them; no third-party timestamp is enclosed",
        )
