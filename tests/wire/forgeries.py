"""What a forger would do to an evidence file, and the fault that must be named for it.

Every forger mends all hashes of the file, so that nothing but the proofs inside speaks against him.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from tests.wire import stamps
from tests.wire.builders import ATTACHMENT, CITY, FUGOU, NOW, SHENQIU, entry, receipts
from zhengtong.wire.checkpoint import Checkpoint, log_origin, parse_checkpoint, sign_checkpoint
from zhengtong.wire.evidence import (
    Evidence,
    EvidenceFile,
    EvidenceLetter,
    EvidenceReceipt,
    EvidenceStamp,
)
from zhengtong.wire.keys import NodeKeys
from zhengtong.wire.receipts import single


def forged_file(whole: Evidence) -> Evidence:
    return dataclasses.replace(whole, files=(EvidenceFile("a.pdf", ATTACHMENT[:-1] + b"!"),))


def added_file(whole: Evidence) -> Evidence:
    return dataclasses.replace(whole, files=(*whole.files, EvidenceFile("b.pdf", b"")))


def forged_content(whole: Evidence) -> Evidence:
    first = whole.letters[0]
    assert first.disclosure
    changed = dataclasses.replace(first, disclosure=first.disclosure.replace(b"title", b"tutle"))
    return dataclasses.replace(whole, letters=(changed, *whole.letters[1:]))


def forged_envelope(whole: Evidence) -> Evidence:
    envelope = bytearray(whole.letters[0].envelope)
    envelope[-1] ^= 1
    letter = EvidenceLetter(bytes(envelope), whole.letters[0].disclosure)
    return dataclasses.replace(whole, letters=(letter, *whole.letters[1:]))


def forged_receipt(whole: Evidence) -> Evidence:
    return dataclasses.replace(whole, receipts=(receipt_for(bytes(32)),))


def receipt_for(envelope_hash: bytes, keys: NodeKeys | None = None) -> EvidenceReceipt:
    """A node's receipt for an envelope, in its standard form; by default fugou's."""
    keys = keys or FUGOU
    delivered = entry(12, envelope_hash=envelope_hash, by=keys.node, receiver=keys.node)
    run = receipts(delivered, keys=keys)
    return EvidenceReceipt(run.entries[0], single(run, 0, keys.suite))


def letter_withheld(whole: Evidence) -> Evidence:
    """The exporter hides that another letter followed."""
    span = whole.spans[0]
    shorter = dataclasses.replace(span, hashes=(span.hashes[0], span.hashes[0]))
    return dataclasses.replace(whole, spans=(shorter,))


def letter_before_replaced(whole: Evidence) -> Evidence:
    span = dataclasses.replace(whole.spans[0], before=bytes(32))
    return dataclasses.replace(whole, spans=(span,))


def forged_standing(whole: Evidence) -> Evidence:
    standing = bytearray(whole.standings[1])
    standing[-1] ^= 1
    return dataclasses.replace(whole, standings=(whole.standings[0], bytes(standing)))


def foreign_span(whole: Evidence) -> Evidence:
    span = dataclasses.replace(whole.spans[0], hashes=(bytes(32),))
    return dataclasses.replace(whole, spans=(span,))


def strangers_receipt(whole: Evidence) -> Evidence:
    digest = FUGOU.suite.hash(whole.letters[0].envelope)
    return dataclasses.replace(whole, receipts=(receipt_for(digest, SHENQIU),))


def forged_entry(whole: Evidence) -> Evidence:
    entry = dataclasses.replace(whole.entries[0], data=b"entry 2 documents.recall")
    return dataclasses.replace(whole, entries=(entry, *whole.entries[1:]))


def moved_entry(whole: Evidence) -> Evidence:
    entry = dataclasses.replace(whole.entries[0], index=3)
    return dataclasses.replace(whole, entries=(entry, *whole.entries[1:]))


def entry_without_checkpoint(whole: Evidence) -> Evidence:
    return dataclasses.replace(whole, checkpoints=())


def checkpoint_by_another(whole: Evidence) -> Evidence:
    head = Checkpoint(log_origin("zhoukou"), 11, bytes(32))
    return dataclasses.replace(whole, checkpoints=(sign_checkpoint(head, FUGOU),))


def missing_card(whole: Evidence) -> Evidence:
    return dataclasses.replace(whole, cards=whole.cards[1:])


def nothing(whole: Evidence) -> Evidence:
    return Evidence(whole.about, cards=whole.cards)


def stamp_for_another(whole: Evidence) -> Evidence:
    other = stamps.token(b"another checkpoint\n", NOW + timedelta(hours=1))
    return dataclasses.replace(whole, stamps=(EvidenceStamp(1, other),))


def forged_stamp(whole: Evidence) -> Evidence:
    token = whole.stamps[0].token[:-1] + bytes((whole.stamps[0].token[-1] ^ 1,))
    return dataclasses.replace(whole, stamps=(EvidenceStamp(1, token),))


def forged_cosignature(whole: Evidence) -> Evidence:
    note, mark, line = whole.checkpoints[1].decode().rpartition("— fugou ")
    forged = note + mark + line[:20] + ("B" if line[20] == "A" else "A") + line[21:]
    return dataclasses.replace(whole, checkpoints=(whole.checkpoints[0], forged.encode()))


def split_view(whole: Evidence) -> Evidence:
    """The city shows its log to one neighbour, and another of the same length to the next."""
    head, _, _ = parse_checkpoint(whole.checkpoints[1])
    other = sign_checkpoint(dataclasses.replace(head, root=bytes(32)), CITY)
    return dataclasses.replace(whole, checkpoints=(*whole.checkpoints, other))


FORGERIES = [
    (forged_file, "附件 a.pdf 的内容与第1封信中登记的哈希不符"),
    (added_file, "附件 b.pdf 未在任何一封信中登记"),
    (forged_content, "第1封信的正文:签名与内容不符"),
    (forged_envelope, "第1封信:签名与内容不符"),
    (forged_receipt, "第1份回执不涉及案卷中的任何信件"),
    (strangers_receipt, "第1份回执:发送方不在本节点的节点名录中"),
    (letter_withheld, "第1段收发序列与 zhoukou 签名的序列在第 13 号不符,有信件被隐匿或替换"),
    (letter_before_replaced, "第1段收发序列与 zhoukou 签名的序列在第 13 号不符"),
    (forged_standing, "第2份序列声明:签名与内容不符"),
    (foreign_span, "第1段收发序列不含案卷中的任何信件"),
    (forged_entry, "日志第3条不在所封存的日志之中"),
    (moved_entry, "日志第4条不在所封存的日志之中"),
    (entry_without_checkpoint, "日志第3条没有有效的检查点"),
    (checkpoint_by_another, "第1个日志检查点:签名与内容不符"),
    (missing_card, "第1封信:发送方不在本节点的节点名录中"),
    (nothing, "案卷文件中没有信件或审计记录"),
    (
        stamp_for_another,
        "the time stamp is for something else",
    ),
    (forged_stamp, "第1个时间戳:签名与内容不符"),
    (split_view, "第3个日志检查点与第2个日志检查点矛盾"),
    (forged_cosignature, "第2个日志检查点:签名与内容不符"),
]
