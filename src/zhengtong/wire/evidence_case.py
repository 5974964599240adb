"""One evidence file under judgement: what it holds, what is proven so far, what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from zhengtong.wire.authority import Certificate
from zhengtong.wire.envelope import Content, Verified
from zhengtong.wire.errors import WireError
from zhengtong.wire.evidence import Evidence, Name
from zhengtong.wire.findings import Finding, Verdict, finding
from zhengtong.wire.keys import NodeCard

SIGNED_FOR_KIND = "documents.signed_for"


@dataclass(frozen=True)
class JudgedLetter:
    """A letter whose signature holds; `number` counts from 1 in the file."""

    number: int
    verified: Verified
    content: Content | None

    @property
    def signs(self) -> bool:
        """Whether it is itself the answer that signs for another."""
        return self.verified.header.kind == SIGNED_FOR_KIND


@dataclass(frozen=True)
class Stretch:
    """Numbers `first`…`last` of a lane that both ends have signed alike: nothing is missing."""

    sender: str
    receiver: str
    first: int
    last: int
    hashes: frozenset[bytes]


@dataclass(frozen=True)
class Dated:
    """Somebody other than the exporter says that these letters were on record by then."""

    letters: frozenset[int]
    at: datetime
    by: str
    stamped: bool
    """By a time-stamping authority; else by a neighbour that cosigned the log."""


class Case:
    """What the steps of a judgement share. Each step uses only what earlier ones have proven."""

    def __init__(
        self,
        evidence: Evidence,
        trusted: Sequence[NodeCard] | None,
        authorities: Sequence[Certificate],
    ) -> None:
        self.evidence, self.trusted, self.authorities = evidence, trusted, authorities
        self.findings: list[Finding] = []
        self.cards: dict[bytes, NodeCard] = {}
        self.letters: list[JudgedLetter] = []
        self.delivered: dict[tuple[int, str], datetime] = {}
        self.withheld: dict[tuple[int, str], datetime] = {}
        self.signed_for: dict[tuple[int, str], datetime] = {}
        self.stretches: list[Stretch] = []
        self.dated: list[Dated] = []

    def card_of(self, node: str) -> NodeCard | None:
        return next((card for card in self.cards.values() if card.node == node), None)

    def is_withheld(self, letter: JudgedLetter) -> bool:
        """Whether somebody has signed that only its hash came, and nobody that it came later."""
        kept = {place for place in self.withheld if place[0] == letter.number}
        return bool(kept - self.delivered.keys())

    def letter_of(self, envelope_hash: bytes) -> JudgedLetter | None:
        same = (item for item in self.letters if item.verified.envelope_hash == envelope_hash)
        return next(same, None)

    def proven(self, where: Name, zh: str, en: str) -> None:
        self._add(Verdict.PROVEN, where, zh, en)

    def unproven(self, where: Name, zh: str, en: str) -> None:
        self._add(Verdict.UNPROVEN, where, zh, en)

    def failed(self, where: Name, zh: str, en: str) -> None:
        self._add(Verdict.FAILED, where, zh, en)

    def refused(self, where: Name, problem: WireError) -> None:
        said = problem.code.explanation
        self.failed(
            where, f":{said.zh}({problem.detail})", f"is refused: {said.en} ({problem.detail})"
        )

    def _add(self, verdict: Verdict, where: Name, zh: str, en: str) -> None:
        self.findings.append(finding(verdict, where, zh, en))
