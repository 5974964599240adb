"""What is said of the way of a letter: only what the receipts that hold have proven."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from zhengtong.faces.office.hop_words import course, passed_on, row
from zhengtong.kernel.messages.hops import Hop
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.receipts import Event

NOW = datetime(2026, 3, 2, tzinfo=UTC)
FORGED = WireError(Refusal.BAD_SIGNATURE, "receipt of xihua")
TOOK, REFUSED, HASH = Event.DELIVERED, Event.DEAD, Event.WITHHELD


def hop(name: str, event: Event | None, problem: WireError | None = None) -> Hop:
    final = name == "西华县"
    return Hop(name, name, final, event, NOW if event else None, "x/exchange", 4, problem)


@pytest.mark.parametrize(
    ("first", "last", "word", "sentence"),
    [
        (None, None, "回执未到", "还没有任何节点的回执"),
        (TOOK, None, "回执未到", "信件已到中转节点“周口市”，收件节点“西华县”的回执还没有传回"),
        (TOOK, TOOK, "回执已到", "收件节点“西华县”已签名确认收妥"),
        (None, TOOK, "回执已到", "收件节点“西华县”已签名确认收妥"),
        (TOOK, REFUSED, "未送达", "收件节点“西华县”签名说明没有收下"),
        (TOOK, HASH, "未送达", "只收到这封信件的哈希"),
        (REFUSED, None, "未送达", "中转节点“周口市”没有收下这封信件，它到不了收件节点“西华县”"),
    ],
)
def test_the_way_is_summed_up(
    first: Event | None, last: Event | None, word: str, sentence: str
) -> None:
    said = course([hop("周口市", first), hop("西华县", last)])
    assert said[0] == word
    assert sentence in said[2]


def test_a_receipt_that_does_not_hold_proves_nothing() -> None:
    said = course([hop("周口市", TOOK), hop("西华县", TOOK, FORGED)])
    assert said[:2] == ("核验不通过", "bad")
    passed = course([hop("周口市", TOOK, FORGED), hop("西华县", None)])
    assert "周口市" not in passed[2], "nor that it has come to the hop"
    assert "签名与内容不符" in row(hop("西华县", TOOK, FORGED))["problem"]


def test_a_hop_says_where_the_other_receipts_are() -> None:
    word, tone, said = passed_on(hop("周口市", TOOK), "henan")
    assert (word, tone) == ("已收妥", "ok")
    assert "交给中转节点“周口市”" in said and "送回来源节点 henan" in said


def test_an_entry_is_counted_from_one() -> None:
    assert row(hop("西华县", TOOK))["entry"] == "存证日志 x/exchange 第 5 条"
