"""Findings: what a judge of evidence says about one part, in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum

from zhengtong.wire.evidence import Name
from zhengtong.wire.keys import NodeCard

_BEIJING = timezone(timedelta(hours=8), "UTC+8")


class Verdict(Enum):
    PROVEN = "proven"
    UNPROVEN = "unproven"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One statement about one part. `unproven` is no fault: the file simply does not show it."""

    verdict: Verdict
    subject: str
    zh: str
    en: str

    @property
    def ok(self) -> bool:
        return self.verdict is not Verdict.FAILED


@dataclass(frozen=True)
class Said:
    """One sentence in both languages."""

    zh: str
    en: str


@dataclass(frozen=True)
class Report:
    """Everything found, in the order of the road; `summary` has only what is proven."""

    title: str
    document: str
    findings: tuple[Finding, ...]
    summary: tuple[Said, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing contradicts the evidence, and it proves something."""
        return all(finding.ok for finding in self.findings) and any(
            finding.verdict is Verdict.PROVEN for finding in self.findings
        )


def finding(verdict: Verdict, where: Name, zh: str, en: str) -> Finding:
    return Finding(
        verdict,
        printable(where.zh.strip()),
        printable(f"{where.zh}{zh}"),
        printable(f"{where.en} {en}"),
    )


def who(card: NodeCard) -> str:
    return f"{card.title}({card.node})"


def when(moment: datetime) -> str:
    """To the second, in the time of Beijing."""
    return moment.astimezone(_BEIJING).strftime("%Y-%m-%d %H:%M:%S %Z")


def printable(text: str) -> str:
    """Names come from the file: nothing in them may steer the reader's terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
