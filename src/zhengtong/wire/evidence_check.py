"""What an evidence file proves, and what it does not: judged offline, from the file alone."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from zhengtong.wire import evidence as parts
from zhengtong.wire import merkle
from zhengtong.wire.batch import Head, Standing, read_standing
from zhengtong.wire.checkpoint import (
    Checkpoint,
    parse_checkpoint,
    verify_checkpoint,
    witnessed_at,
)
from zhengtong.wire.envelope import Content, FileRef, Verified, disclosed, verify_envelope
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.evidence import Damaged, Evidence, Name, Part, Span, name_of, unpack
from zhengtong.wire.findings import Finding, Report, Verdict, finding, printable, when, who
from zhengtong.wire.keys import NodeCard
from zhengtong.wire.link import extended
from zhengtong.wire.receipts import Entry, Event, verify_single
from zhengtong.wire.suite import suite_for

SIGNED_FOR_KIND = "documents.signed_for"


def verify(bundle: bytes, trusted: Sequence[NodeCard] | None = None) -> Report:
    """Judge an evidence file. Never raises for bad input: every fault is a finding.

    `trusted` are the cards known from elsewhere (the signed directory). Without them the file
    proves that one set of keys said all this, but not whose keys they are.
    """
    try:
        evidence = unpack(bundle)
    except Damaged as damage:
        faults = [finding(Verdict.FAILED, f.where, f.zh, f.en) for f in damage.faults]
        return Report("", "", tuple(faults))
    judge = _Judge(evidence, trusted)
    judge.run()
    about = evidence.about
    return Report(printable(about.title), printable(about.document), tuple(judge.findings))


@dataclass(frozen=True)
class _Letter:
    number: int
    verified: Verified
    content: Content | None


class _Judge:
    """Collects findings about one intact file; each step uses only what earlier steps proved."""

    def __init__(self, evidence: Evidence, trusted: Sequence[NodeCard] | None) -> None:
        self.findings: list[Finding] = []
        self._evidence = evidence
        self._trusted = trusted
        self._cards: dict[bytes, NodeCard] = {}
        self._letters: list[_Letter] = []
        self._delivered: set[tuple[int, str]] = set()
        self._signed_for: set[tuple[int, str]] = set()

    def run(self) -> None:
        self._judge_cards()
        self._judge_letters()
        self._judge_files()
        self._judge_receipts()
        self._judge_sequences()
        self._judge_signing_for()
        self._list_unanswered()
        self._judge_log()
        if not self._letters and not self._evidence.entries:
            self._failed(parts.BUNDLE, "中没有信件或审计记录,不能证明任何事", "proves nothing")
        self._unproven(
            Name("时间", "times"),
            "为各节点自报,未附第三方时间戳",
            "are as each node stated them; no third-party timestamp is enclosed",
        )

    def _judge_cards(self) -> None:
        for number, data in enumerate(self._evidence.cards, 1):
            where = name_of(Part.CARD, str(number))
            try:
                card = NodeCard.from_cbor(data)
            except WireError as problem:
                self._refused(where, problem)
                continue
            self._cards[card.signing_kid] = card
            where = Name(f"{where.zh}({card.title} {card.node})", f"{where.en} ({card.node})")
            if self._trusted is None:
                self._unproven(
                    where,
                    "自签有效,但未与受信名录核对",
                    "is validly self-signed but was not compared with a trusted directory",
                )
            elif any(_same_identity(card, known) for known in self._trusted):
                self._proven(where, "与受信名录一致", "is in the trusted directory")
            else:
                self._failed(where, "不在受信名录中", "is not in the trusted directory")

    def _judge_letters(self) -> None:
        for number, letter in enumerate(self._evidence.letters, 1):
            where = name_of(Part.ENVELOPE, str(number))
            try:
                verified = verify_envelope(
                    letter.envelope, self._cards.get, max_bytes=len(letter.envelope)
                )
            except WireError as problem:
                self._refused(where, problem)
                continue
            header, to = verified.header, "、".join(verified.header.destinations)
            self._proven(
                where,
                f"由{who(verified.sender)}于{when(header.sent_at)}签名发往{to},"
                f"类别 {header.kind},签名有效",
                f"was signed by {header.origin} at {when(header.sent_at)} for {to}, "
                f"kind {header.kind}; the signature holds",
            )
            content = self._judge_content(number, verified, letter.disclosure)
            self._letters.append(_Letter(number, verified, content))

    def _judge_content(
        self, number: int, verified: Verified, disclosure: bytes | None
    ) -> Content | None:
        where = name_of(Part.CONTENT, str(number))
        if disclosure is None:
            self._unproven(where, "未随案卷提供", "is not enclosed")
            return None
        try:
            content = disclosed(verified.header, disclosure)
        except WireError as problem:
            self._refused(where, problem)
            return None
        self._proven(where, "与发送方签名的内容哈希一致,未被改动", "is unaltered since signing")
        return content

    def _judge_files(self) -> None:
        announced: list[tuple[int, FileRef, int]] = [
            (letter.number, ref, letter.verified.header.hash_algorithm)
            for letter in self._letters
            if letter.content
            for ref in letter.content.files
        ]
        for file in self._evidence.files:
            where = name_of(Part.FILE, file.name)
            same_name = [item for item in announced if item[1].name == file.name]
            letter = next((n for n, ref, alg in same_name if _fits(file.data, ref, alg)), None)
            if letter is not None:
                self._proven(
                    where,
                    f"与第{letter}封信中登记的哈希一致",
                    f"matches the hash announced in letter {letter}",
                )
            elif same_name:
                self._failed(
                    where,
                    f"的内容与第{same_name[0][0]}封信中登记的哈希不符",
                    f"does not match the hash announced in letter {same_name[0][0]}",
                )
            else:
                self._failed(where, "未在任何一封信中登记", "is announced by no letter")
        enclosed = {file.name for file in self._evidence.files}
        for name in sorted({ref.name for _, ref, _ in announced} - enclosed):
            self._unproven(name_of(Part.FILE, name), "未随案卷提供", "is not enclosed")

    def _judge_receipts(self) -> None:
        by_hash = {letter.verified.envelope_hash: letter for letter in self._letters}
        for number, item in enumerate(self._evidence.receipts, 1):
            where = name_of(Part.RECEIPT, str(number))
            try:
                card, entry = verify_single(item.entry, item.receipt, self._cards.get)
            except WireError as problem:
                self._refused(where, problem)
                continue
            letter = by_hash.get(entry.envelope_hash)
            if letter is None:
                self._failed(where, "不涉及案卷中的任何信件", "concerns no letter in this file")
            else:
                self._match_receipt(where, card, entry, letter)

    def _match_receipt(self, where: Name, card: NodeCard, entry: Entry, letter: _Letter) -> None:
        final = entry.by in letter.verified.header.destinations
        if entry.event is Event.SIGNED_FOR:
            self._signed_for.add((letter.number, entry.by))
        if entry.event in (Event.DELIVERED, Event.SIGNED_FOR):
            self._delivered.add((letter.number, entry.by))
        zh, en = _EVENTS[entry.event]
        hop = ("", "") if final else ("(中转节点)", " (a hop)")
        self._proven(
            where,
            f"由 {entry.by}{hop[0]}签名并载入其存证日志:"
            f"第{letter.number}封信于{when(entry.at)}{zh}",
            f"is signed by {entry.by}{hop[1]} and in its evidence log: letter {letter.number} "
            f"was {en} at {when(entry.at)}",
        )

    def _judge_sequences(self) -> None:
        """Does every stretch of a lane agree with what both of its ends have signed?"""
        standings: list[Standing] = []
        for number, data in enumerate(self._evidence.standings, 1):
            where = name_of(Part.STANDING, str(number))
            try:
                standings.append(read_standing(data, self._cards.get)[0])
            except WireError as problem:
                self._refused(where, problem)
        inside = {letter.verified.envelope_hash for letter in self._letters}
        for number, span in enumerate(self._evidence.spans, 1):
            where = name_of(Part.SPAN, str(number))
            if not inside & set(span.hashes):
                self._failed(where, "不含案卷中的任何信件", "holds no letter of this file")
                continue
            self._judge_span(where, span, standings)

    def _judge_span(self, where: Name, span: Span, standings: Sequence[Standing]) -> None:
        suite = next((c.crypto for c in self._cards.values() if c.node == span.sender), None)
        if suite is None:
            self._failed(where, f"没有 {span.sender} 的名片", f"has no card of {span.sender}")
            return
        head = Head(span.first - 1, span.before)
        chains = {head.number: head.chain}
        for digest in span.hashes:
            head = extended(head, digest, suite.hash)
            chains[head.number] = head.chain
        reached: dict[str, int] = {}
        for standing in standings:
            said = _about(standing, span)
            if said is None or said.number not in chains:
                continue
            if chains[said.number] != said.chain:
                self._failed(
                    where,
                    f"与 {standing.sender} 签名的序列在第 {said.number} 号不符,有信件被隐匿或替换",
                    f"differs from what {standing.sender} signed at number {said.number}: "
                    "a letter was withheld or replaced",
                )
                return
            reached[standing.sender] = max(reached.get(standing.sender, 0), said.number)
        both = {span.sender, span.receiver} <= set(reached)
        last = min(reached.values(), default=0)
        if not both or last < span.first:
            self._unproven(
                where, "没有双方签名的序列声明", "lacks the signed standing of one of its ends"
            )
            return
        self._proven(
            where,
            f"{span.sender} 发往 {span.receiver} 的第 {span.first} 至 {last} 号,双方签名一致:"
            "其间没有缺漏、替换、改动或换序",
            f"is signed alike by {span.sender} and {span.receiver}: between numbers {span.first} "
            f"and {last} nothing is missing, replaced, altered or reordered",
        )

    def _judge_signing_for(self) -> None:
        """A signed letter back counts if both letters speak of the document by its identifier."""
        document = self._evidence.about.document.encode()
        for answer in self._letters:
            header = answer.verified.header
            if header.kind != SIGNED_FOR_KIND:
                continue
            about = [
                letter
                for letter in self._letters
                if header.origin in letter.verified.header.destinations
                and letter.verified.header.origin in header.destinations
                and document
                and all(side.content and document in side.content.body for side in (letter, answer))
            ]
            where = name_of(Part.ENVELOPE, str(answer.number))
            for letter in about:
                self._signed_for.add((letter.number, header.origin))
                self._proven(
                    where,
                    f"证明 {header.origin} 于{when(header.sent_at)}签收了第{letter.number}封信",
                    f"proves that {header.origin} signed for letter {letter.number}",
                )
            if not about:
                self._unproven(
                    where,
                    "是签收信,但与案卷中的文件对不上",
                    "signs for something, but not verifiably for this document",
                )

    def _list_unanswered(self) -> None:
        """Say plainly which delivery or signing this file does not show."""
        for letter in self._letters:
            where = name_of(Part.ENVELOPE, str(letter.number))
            header = letter.verified.header
            for node in header.destinations:
                if (letter.number, node) not in self._delivered:
                    self._unproven(
                        where, f"没有 {node} 的送达回执", f"has no delivery receipt of {node}"
                    )
                signs = header.kind != SIGNED_FOR_KIND
                if signs and (letter.number, node) not in self._signed_for:
                    self._unproven(
                        where, f"没有 {node} 的签收证明", f"has no proof that {node} signed for it"
                    )

    def _judge_log(self) -> None:
        checkpoints: list[tuple[Checkpoint, NodeCard] | None] = []
        for number, data in enumerate(self._evidence.checkpoints, 1):
            where = name_of(Part.CHECKPOINT, str(number))
            try:
                checkpoint, card = self._open_checkpoint(data)
            except WireError as problem:
                self._refused(where, problem)
                checkpoints.append(None)
                continue
            checkpoints.append((checkpoint, card))
            self._proven(
                where,
                f"由{who(card)}签名,日志 {checkpoint.origin} 共 {checkpoint.size} 条",
                f"is signed by {card.node}: {checkpoint.origin} holds {checkpoint.size} entries",
            )
            self._judge_witnesses(where, data, checkpoint)
        for entry in self._evidence.entries:
            where = name_of(Part.ENTRY, str(entry.index + 1))
            sealed = checkpoints[entry.checkpoint] if entry.checkpoint < len(checkpoints) else None
            if sealed is None:
                self._failed(where, "没有有效的检查点", "has no valid checkpoint")
                continue
            checkpoint, card = sealed
            leaf = merkle.leaf_hash(entry.data, card.crypto.hash)
            if merkle.verify_inclusion(
                leaf, entry.index, checkpoint.size, entry.path, checkpoint.root, card.crypto.hash
            ):
                self._proven(
                    where,
                    f"在{who(card)}封存的日志之中",
                    f"is in the sealed log of {card.node}",
                )
            else:
                self._failed(
                    where,
                    "不在所封存的日志之中,记录或证明被改动",
                    "is not in the sealed log; the entry or its proof was altered",
                )

    def _judge_witnesses(self, where: Name, data: bytes, checkpoint: Checkpoint) -> None:
        """Who else signed that this log had only grown until then."""
        for name, payload in parse_checkpoint(data)[2]:
            card = next((c for c in self._cards.values() if c.node == name), None)
            if card is None:
                continue  # the log's own line, or a witness this file has no card of
            line = f"— {name} {base64.b64encode(payload).decode()}".encode()
            try:
                at = witnessed_at(checkpoint, line, card)
            except WireError as problem:
                self._refused(where, problem)
                continue
            self._proven(
                where,
                f"由{who(card)}于{when(at)}核验并会签",
                f"was verified and cosigned by {name} at {when(at)}",
            )

    def _open_checkpoint(self, data: bytes) -> tuple[Checkpoint, NodeCard]:
        claimed, _, _ = parse_checkpoint(data)
        problem: WireError | None = None
        for card in self._cards.values():
            if card.node == claimed.origin.partition("/")[0]:
                try:
                    return verify_checkpoint(data, card), card
                except WireError as refused:
                    problem = refused
        raise problem or _no_card(claimed.origin)

    def _proven(self, where: Name, zh: str, en: str) -> None:
        self._add(Verdict.PROVEN, where, zh, en)

    def _unproven(self, where: Name, zh: str, en: str) -> None:
        self._add(Verdict.UNPROVEN, where, zh, en)

    def _failed(self, where: Name, zh: str, en: str) -> None:
        self._add(Verdict.FAILED, where, zh, en)

    def _refused(self, where: Name, problem: WireError) -> None:
        said = problem.code.explanation
        self._failed(
            where, f":{said.zh}({problem.detail})", f"is refused: {said.en} ({problem.detail})"
        )

    def _add(self, verdict: Verdict, where: Name, zh: str, en: str) -> None:
        self.findings.append(finding(verdict, where, zh, en))


def _same_identity(card: NodeCard, known: NodeCard) -> bool:
    return (card.node, card.suite, card.signing_public) == (
        known.node,
        known.suite,
        known.signing_public,
    )


def _fits(data: bytes, ref: FileRef, algorithm: int) -> bool:
    suite = suite_for("hash_algorithm", algorithm)
    return len(data) == ref.size and suite.hash(data) == ref.digest


def _about(standing: Standing, span: Span) -> Head | None:
    """What a standing says about the letters of a stretch: how far they were sent, or received."""
    if standing.lane != span.lane:
        return None
    if (standing.sender, standing.receiver) == (span.sender, span.receiver):
        return standing.sent
    if (standing.receiver, standing.sender) == (span.sender, span.receiver):
        return standing.received
    return None


def _no_card(origin: str) -> WireError:
    return WireError(Refusal.UNKNOWN_SENDER, f"no card for the log {origin}")


_EVENTS = {
    Event.SENT: ("发出", "sent"),
    Event.DELIVERED: ("送达", "delivered"),
    Event.SIGNED_FOR: ("签收", "signed for"),
    Event.RETURNED: ("退回", "returned"),
    Event.READ: ("阅读", "read"),
    Event.RECALLED: ("撤回", "recalled"),
    Event.DEAD: ("判为无法投递", "declared undeliverable"),
}
