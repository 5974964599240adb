"""Judging letters: who sealed them, what they say, what came with them, what became of them."""

from __future__ import annotations

from zhengtong.wire.envelope import Content, FileRef, Verified, disclosed, verify_envelope
from zhengtong.wire.errors import WireError
from zhengtong.wire.evidence import Name, Part, name_of
from zhengtong.wire.evidence_case import Case, JudgedLetter
from zhengtong.wire.findings import when, who
from zhengtong.wire.keys import NodeCard
from zhengtong.wire.receipts import Entry, Event, verify_single
from zhengtong.wire.suite import suite_for

EVENTS = {
    Event.SENT: ("发出", "sent"),
    Event.DELIVERED: ("送达", "delivered"),
    Event.DEAD: ("判为无法投递", "declared undeliverable"),
    Event.WITHHELD: (
        "没有交出,只收到其哈希",
        "withheld by its sender, of which only the hash came,",
    ),
}


def judge_cards(case: Case) -> None:
    """Whose keys are these, and does a directory from elsewhere say the same?"""
    for number, data in enumerate(case.evidence.cards, 1):
        where = name_of(Part.CARD, str(number))
        try:
            card = NodeCard.from_cbor(data)
        except WireError as problem:
            case.refused(where, problem)
            continue
        case.cards[card.signing_kid] = card
        where = Name(f"{where.zh}({card.title} {card.node})", f"{where.en} ({card.node})")
        if case.trusted is None:
            case.unproven(
                where,
                "自签有效,但未与受信名录核对",
                "is validly self-signed but was not compared with a trusted directory",
            )
        elif any(_same_identity(card, known) for known in case.trusted):
            case.proven(where, "与受信名录一致", "is in the trusted directory")
        else:
            case.failed(where, "不在受信名录中", "is not in the trusted directory")


def judge_letters(case: Case) -> None:
    for number, letter in enumerate(case.evidence.letters, 1):
        where = name_of(Part.ENVELOPE, str(number))
        try:
            verified = verify_envelope(
                letter.envelope, case.cards.get, max_bytes=len(letter.envelope)
            )
        except WireError as problem:
            case.refused(where, problem)
            continue
        header, to = verified.header, "、".join(verified.header.destinations)
        case.proven(
            where,
            f"由{who(verified.sender)}于{when(header.sent_at)}签名发往{to},"
            f"类别 {header.kind},签名有效",
            f"was signed by {header.origin} at {when(header.sent_at)} for {to}, "
            f"kind {header.kind}; the signature holds",
        )
        content = _judge_content(case, number, verified, letter.disclosure)
        case.letters.append(JudgedLetter(number, verified, content))


def _judge_content(
    case: Case, number: int, verified: Verified, disclosure: bytes | None
) -> Content | None:
    where = name_of(Part.CONTENT, str(number))
    if disclosure is None:
        case.unproven(where, "未随案卷提供", "is not enclosed")
        return None
    try:
        content = disclosed(verified.header, disclosure)
    except WireError as problem:
        case.refused(where, problem)
        return None
    case.proven(where, "与发送方签名的内容哈希一致,未被改动", "is unaltered since signing")
    return content


def judge_files(case: Case) -> None:
    """Is every enclosed file the one that a letter names by its hash?"""
    announced: list[tuple[int, FileRef, int]] = [
        (letter.number, ref, letter.verified.header.hash_algorithm)
        for letter in case.letters
        if letter.content
        for ref in letter.content.files
    ]
    for file in case.evidence.files:
        where = name_of(Part.FILE, file.name)
        same_name = [item for item in announced if item[1].name == file.name]
        letter = next((n for n, ref, alg in same_name if _fits(file.data, ref, alg)), None)
        if letter is not None:
            case.proven(
                where,
                f"与第{letter}封信中登记的哈希一致",
                f"matches the hash announced in letter {letter}",
            )
        elif same_name:
            case.failed(
                where,
                f"的内容与第{same_name[0][0]}封信中登记的哈希不符",
                f"does not match the hash announced in letter {same_name[0][0]}",
            )
        else:
            case.failed(where, "未在任何一封信中登记", "is announced by no letter")
    enclosed = {file.name for file in case.evidence.files}
    for name in sorted({ref.name for _, ref, _ in announced} - enclosed):
        case.unproven(name_of(Part.FILE, name), "未随案卷提供", "is not enclosed")


def judge_receipts(case: Case) -> None:
    for number, item in enumerate(case.evidence.receipts, 1):
        where = name_of(Part.RECEIPT, str(number))
        try:
            _, entry = verify_single(item.entry, item.receipt, case.cards.get)
        except WireError as problem:
            case.refused(where, problem)
            continue
        letter = case.letter_of(entry.envelope_hash)
        if letter is None:
            case.failed(where, "不涉及案卷中的任何信件", "concerns no letter in this file")
        else:
            _match_receipt(case, where, entry, letter)


def _match_receipt(case: Case, where: Name, entry: Entry, letter: JudgedLetter) -> None:
    final = entry.by in letter.verified.header.destinations
    place = letter.number, entry.by
    if entry.event is Event.DELIVERED:
        case.delivered.setdefault(place, entry.at)
    elif entry.event is Event.WITHHELD:
        case.withheld.setdefault(place, entry.at)
    zh, en = EVENTS[entry.event]
    hop = ("", "") if final else ("(中转节点)", " (a hop)")
    case.proven(
        where,
        f"由 {entry.by}{hop[0]}签名并载入其存证日志:第{letter.number}封信于{when(entry.at)}{zh}",
        f"is signed by {entry.by}{hop[1]} and in its evidence log: letter {letter.number} "
        f"was {en} at {when(entry.at)}",
    )


def judge_signing_for(case: Case) -> None:
    """A signed letter back counts if both letters speak of the document by its identifier."""
    document = case.evidence.about.document.encode()
    for answer in case.letters:
        if not answer.signs:
            continue
        header = answer.verified.header
        about = [
            letter
            for letter in case.letters
            if header.origin in letter.verified.header.destinations
            and letter.verified.header.origin in header.destinations
            and document
            and all(side.content and document in side.content.body for side in (letter, answer))
        ]
        where = name_of(Part.ENVELOPE, str(answer.number))
        for letter in about:
            case.signed_for.setdefault((letter.number, header.origin), header.sent_at)
            case.proven(
                where,
                f"证明 {header.origin} 于{when(header.sent_at)}签收了第{letter.number}封信",
                f"proves that {header.origin} signed for letter {letter.number} "
                f"at {when(header.sent_at)}",
            )
        if not about:
            case.unproven(
                where,
                "是签收信,但与案卷中的文件对不上",
                "signs for something, but not verifiably for this document",
            )


def list_unanswered(case: Case) -> None:
    """Say plainly which delivery or signing this file does not show."""
    for letter in case.letters:
        where = name_of(Part.ENVELOPE, str(letter.number))
        for node in letter.verified.header.destinations:
            place = letter.number, node
            if place in case.withheld and place not in case.delivered:
                continue  # its receipt says why there is neither
            if place not in case.delivered:
                case.unproven(
                    where, f"没有 {node} 的送达回执", f"has no delivery receipt of {node}"
                )
            if not letter.signs and place not in case.signed_for:
                case.unproven(
                    where, f"没有 {node} 的签收证明", f"has no proof that {node} signed for it"
                )


def _same_identity(card: NodeCard, known: NodeCard) -> bool:
    return (card.node, card.suite, card.signing_public) == (
        known.node,
        known.suite,
        known.signing_public,
    )


def _fits(data: bytes, ref: FileRef, algorithm: int) -> bool:
    suite = suite_for("hash_algorithm", algorithm)
    return len(data) == ref.size and suite.hash(data) == ref.digest
