"""The evidence file: proves the road, names every fault, and cannot be talked round."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wire.builders import (
    ATTACHMENT,
    CARDS,
    CITY_CARD,
    DOCUMENT,
    FUGOU,
    FUGOU_CARD,
    NOW,
    SHENQIU,
    content,
    dated_evidence,
    entry,
    evidence,
    node,
    receipts,
    sealed,
    seeded,
)
from tests.wire.forgeries import FORGERIES, receipt_for
from tests.wire.stamps import CERTIFICATE_DER
from zhengtong.wire import authority, cbor
from zhengtong.wire.envelope import seal_disclosed
from zhengtong.wire.errors import WireError
from zhengtong.wire.evidence import (
    About,
    Evidence,
    EvidenceFile,
    EvidenceLetter,
    EvidenceReceipt,
    Part,
    name_of,
    pack,
    unpack,
)
from zhengtong.wire.evidence_check import verify
from zhengtong.wire.findings import Report, Verdict
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.receipts import Event, single
from zhengtong.wire.verifier import main, print_report

WHOLE = evidence()
DATED = dated_evidence()
BUNDLE = pack(WHOLE)
ABOUT = cbor.encode(["标题", DOCUMENT, "zhoukou", 0])


def said(report: Report, verdict: Verdict) -> str:
    return "\n".join(f.zh + " / " + f.en for f in report.findings if f.verdict is verdict)


def regions() -> list[tuple[str, int, int]]:
    """(name, start, end) of every byte range of the bundle, as an outsider would find them."""
    at = len(cbor.encode("zhengtong-evidence/1"))
    found = [("案卷文件", 0, at)]
    table, after = cbor.read_bstr(BUNDLE, at)
    found.append(("章节目录", at, after + 34))
    at = after + 34
    for part, label, length, _ in cbor.decode(table):
        end = at + len(cbor.head(2, length)) + length
        found.append((name_of(Part(part), label).zh.strip(), at, end))
        at = end
    assert at + 34 == len(BUNDLE)
    return [*found, ("案卷文件", at, len(BUNDLE))]


def test_a_whole_road_is_proven() -> None:
    report = verify(BUNDLE, CARDS)
    assert report.ok
    assert (report.title, report.document) == ("关于防汛值班的通知", DOCUMENT)
    proven = said(report, Verdict.PROVEN)
    assert "第1封信由周口市(zhoukou)于2026-03-02 09:30:00 UTC+8签名发往fugou" in proven
    assert "第1封信的正文与发送方签名的内容哈希一致" in proven
    assert "附件 a.pdf 与第1封信中登记的哈希一致" in proven
    assert "由 fugou签名并载入其存证日志:第1封信于2026-03-02 09:30:00 UTC+8送达" in proven
    assert "zhoukou 发往 fugou 的第 12 至 13 号,双方签名一致" in proven
    assert "证明 fugou 于2026-03-02 09:30:00 UTC+8签收了第1封信" in proven
    assert "日志第3条在周口市(zhoukou)封存的日志之中" in proven
    assert "日志第11条" in proven
    assert "周口市 zhoukou" in proven


def test_the_report_says_what_is_not_proven() -> None:
    unproven = said(verify(BUNDLE), Verdict.UNPROVEN)
    assert "未与受信名录核对" in unproven
    assert "未附第三方时间戳" in unproven
    bare = dataclasses.replace(
        WHOLE, receipts=(), files=(), letters=(EvidenceLetter(WHOLE.letters[0].envelope),)
    )
    report = verify(pack(bare), CARDS)
    assert report.ok
    unproven = said(report, Verdict.UNPROVEN)
    assert "没有 fugou 的送达回执" in unproven
    assert "没有 fugou 的签收证明" in unproven
    assert "第1封信的正文未随案卷提供" in unproven


def test_a_time_stamp_dates_what_stood_in_the_log() -> None:
    report = verify(pack(DATED), CARDS)
    assert report.ok
    proven = said(report, Verdict.PROVEN)
    assert "签名:第2个日志检查点于2026-03-02 11:30:00 UTC+8前已存在" in proven
    assert "封存的日志之中:第1封信发出" in proven
    assert "由扶沟县(fugou)于2026-03-02 10:30:00 UTC+8核验并会签" in proven
    assert "证书未与受信名单核对" in said(report, Verdict.UNPROVEN)
    trusting = verify(pack(DATED), CARDS, [authority.read(CERTIFICATE_DER)])
    assert "证书未与受信名单核对" not in said(trusting, Verdict.UNPROVEN)


def test_the_summary_answers_who_what_when_and_whether_anything_is_missing() -> None:
    lines = "\n".join(line.zh for line in verify(pack(DATED), CARDS).summary)
    assert "第1封信:周口市(zhoukou)发给 fugou,签名时间 2026-03-02 09:30:00 UTC+8" in lines
    assert "扶沟县(fugou):于2026-03-02 09:30:00 UTC+8送达,于2026-03-02 09:30:00 UTC+8签收" in lines
    assert "链路无缺漏:zhoukou→fugou 第12至13号,双方签名一致" in lines
    assert "第1封不晚于2026-03-02 11:30:00 UTC+8(测试时间戳机构时间戳)" in lines
    assert "身份" not in lines
    assert "未与受信名录核对" in verify(BUNDLE).summary[-1].zh


def test_the_summary_claims_nothing_that_is_not_proven() -> None:
    letters = (EvidenceLetter(WHOLE.letters[0].envelope),)
    bare = Evidence(WHOLE.about, cards=WHOLE.cards, letters=letters)
    lines = "\n".join(line.zh for line in verify(pack(bare), CARDS).summary)
    assert "送达未证明,签收未证明" in lines
    assert "链路有无缺漏:未证明" in lines
    assert "时间:各节点自报,没有他方证明" in lines
    assert verify(BUNDLE[:-1], CARDS).summary == ()


def test_the_same_evidence_gives_the_same_file_and_back() -> None:
    assert unpack(BUNDLE) == WHOLE
    assert pack(unpack(BUNDLE)) == BUNDLE


@pytest.mark.parametrize(("name", "start", "end"), regions())
def test_every_changed_byte_is_found_and_its_place_named(name: str, start: int, end: int) -> None:
    random_bit = random.Random(start)
    for position in range(start, end):
        changed = bytearray(BUNDLE)
        changed[position] ^= 1 << random_bit.randrange(8)
        report = verify(bytes(changed), CARDS)
        assert not report.ok
        assert name in {finding.subject for finding in report.findings if not finding.ok}


def test_the_fault_of_a_damaged_attachment_reads_plainly() -> None:
    position = BUNDLE.index(ATTACHMENT) + 20
    report = verify(BUNDLE[:position] + b"\x00" + BUNDLE[position + 1 :], CARDS)
    assert said(report, Verdict.FAILED) == (
        "附件 a.pdf 的内容与登记的哈希不符 / attachment a.pdf does not match its registered hash"
    )


def test_every_truncation_and_every_addition_is_found() -> None:
    for length in range(0, len(BUNDLE), 7):
        assert not verify(BUNDLE[:length], CARDS).ok
    assert not verify(BUNDLE + b"\x00", CARDS).ok
    assert not verify(b"", CARDS).ok


@pytest.mark.parametrize(
    ("forge", "fault"),
    FORGERIES,
)
def test_a_forger_who_mends_every_hash_is_still_found(
    forge: Callable[[Evidence], Evidence], fault: str
) -> None:
    report = verify(pack(forge(DATED)), CARDS)
    assert not report.ok
    assert fault in said(report, Verdict.FAILED)


def impostor(name: str, title: str) -> tuple[NodeKeys, NodeCard]:
    return node(name, title, seed=666)


def test_a_perfect_forgery_under_other_keys_fails_against_the_directory() -> None:
    keys, card = impostor("zhoukou", "周口市")
    fake = seal_disclosed(content(), keys, (FUGOU_CARD,), None, seeded(1))
    bundle = pack(
        Evidence(
            WHOLE.about,
            cards=(card.to_cbor(), FUGOU_CARD.to_cbor()),
            letters=(EvidenceLetter(fake.envelope, fake.disclosure),),
        )
    )
    assert "不在受信名录中" in said(verify(bundle, CARDS), Verdict.FAILED)
    assert "未与受信名录核对" in said(verify(bundle), Verdict.UNPROVEN)


def test_signing_for_another_document_does_not_count() -> None:
    other = seal_disclosed(
        content(b"urn:another", origin="fugou", kind="documents.signed_for"),
        FUGOU,
        (CITY_CARD,),
        None,
        seeded(3),
    )
    letters = (WHOLE.letters[0], EvidenceLetter(other.envelope, other.disclosure))
    report = verify(pack(dataclasses.replace(WHOLE, letters=letters)), CARDS)
    assert "第2封信是签收信,但与案卷中的文件对不上" in said(report, Verdict.UNPROVEN)
    assert "没有 fugou 的签收证明" in said(report, Verdict.UNPROVEN)


def test_without_a_document_identifier_a_signed_letter_proves_no_signing() -> None:
    about = dataclasses.replace(WHOLE.about, document="")
    report = verify(pack(dataclasses.replace(WHOLE, about=about)), CARDS)
    assert "没有 fugou 的签收证明" in said(report, Verdict.UNPROVEN)


def bundle_of(sections: list[tuple[str, str, bytes]]) -> bytes:
    """A file with correct hashes around whatever sections."""

    def digest(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    table = cbor.encode([[part, label, len(data), digest(data)] for part, label, data in sections])
    items = [table, digest(table), *(data for _, _, data in sections)]
    body = cbor.encode("zhengtong-evidence/1") + b"".join(cbor.bstr(item) for item in items)
    return body + cbor.bstr(digest(body))


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        ([], "案卷说明缺失或格式不符"),
        ([("about", "", b""), ("about", "", b"")], "案卷说明缺失或格式不符"),
        ([("about", "", b"\x80")], "案卷说明缺失或格式不符"),
        ([("entry", "3", b"\x80")], "案卷说明缺失或格式不符"),
        ([("novelty", "", b"")], "章节目录已损坏"),
        ([("content", "9", b"")], "章节目录与各章节的次序或编号不符"),
        ([("card", "2", b"")], "章节目录与各章节的次序或编号不符"),
        ([("file", "a", b""), ("card", "1", b"")], "章节目录与各章节的次序或编号不符"),
        ([("entry", "1", b"\x80")], "日志第1条缺失或格式不符"),
        ([("entry", "1", b"\x84\x40\x00\x81\x00\x00")], "日志第1条缺失或格式不符"),
    ],
)
def test_sections_that_are_not_what_their_place_says(
    sections: list[tuple[str, str, bytes]], fault: str
) -> None:
    about = [] if fault.startswith("案卷说明") else [("about", "", ABOUT)]
    report = verify(bundle_of([*about, *sections]), CARDS)
    assert fault in said(report, Verdict.FAILED)


def test_a_hops_receipt_is_no_delivery() -> None:
    made = sealed()
    hop = dataclasses.replace(
        WHOLE,
        cards=(*WHOLE.cards, CARDS[2].to_cbor()),
        receipts=(receipt_for(made.envelope_hash, SHENQIU),),
    )
    report = verify(pack(hop), CARDS)
    assert report.ok
    assert "shenqiu(中转节点)" in said(report, Verdict.PROVEN)
    assert "第1封信没有 fugou 的送达回执" in said(report, Verdict.UNPROVEN)


def test_a_letter_that_was_withheld_is_said_to_be_so() -> None:
    """Both ends sign the sequence, and the county that only the hash came: this is no delivery."""
    digest = WHOLE.spans[0].hashes[0]
    kept = receipts(entry(12, Event.WITHHELD, digest), before=5)
    receipt = EvidenceReceipt(kept.entries[0], single(kept, 0, FUGOU_CARD.crypto))
    changed = dataclasses.replace(WHOLE, letters=WHOLE.letters[:1], receipts=(receipt,))
    report = verify(pack(changed))
    assert report.ok
    proven, open_ = said(report, Verdict.PROVEN), said(report, Verdict.UNPROVEN)
    assert "没有交出,只收到其哈希" in proven
    assert "of number 12 only the hash was handed over" in proven
    assert "delivery receipt" not in open_
    summary = "\n".join(f"{item.zh} / {item.en}" for item in report.summary)
    assert "发信方没有交出这封信" in summary and "only its hash came" in summary
    assert "这封信只以哈希列入" in summary
    assert "送达" not in summary


def test_names_in_the_file_cannot_steer_the_terminal() -> None:
    about = About("标题\x1b[2J", DOCUMENT, "zhoukou", NOW)
    files = (EvidenceFile("a\x1b]0;pwned\x07\u202efdp", b""),)
    out = io.StringIO()
    print_report(verify(pack(dataclasses.replace(WHOLE, about=about, files=files)), CARDS), out)
    assert all(c.isprintable() or c == "\n" for c in out.getvalue())


def test_the_program_prints_both_languages_and_returns_its_verdict(tmp_path: Path) -> None:
    good, bad, trust = tmp_path / "good", tmp_path / "bad", tmp_path / "trust.json"
    good.write_bytes(BUNDLE)
    bad.write_bytes(BUNDLE[:-1] + b"\x00")
    trust.write_text(json.dumps([card.to_json() for card in CARDS]), encoding="utf-8")
    out = io.StringIO()
    assert main([str(good), "--trust", str(trust)], out) == 0
    assert "结论:案卷完整" in out.getvalue()
    assert "every signature and proof in it holds" in out.getvalue()
    assert main([str(bad)], out) == 1
    assert "案卷有误" in out.getvalue()
    assert main([str(tmp_path / "absent")], out) == 2
    trust.write_text("{}", encoding="utf-8")
    assert main([str(good), "--trust", str(trust)], out) == 2


def test_the_program_runs_without_the_platform(tmp_path: Path) -> None:
    """A fresh interpreter that may not import Django judges the file."""
    path = tmp_path / "bundle"
    path.write_bytes(BUNDLE)
    source = Path(sys.modules["zhengtong.wire"].__file__ or "").parents[2]
    program = (
        "import sys; sys.modules['django'] = None\n"
        "from zhengtong.wire.verifier import main\n"
        "status = main([sys.argv[1]])\n"
        "alien = {m for m in sys.modules if m.startswith('zhengtong.')"
        " and not m.startswith('zhengtong.wire')}\n"
        "sys.exit(status or len(alien))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={"PYTHONPATH": str(source), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "日志第3条" in done.stdout.decode()


def test_a_name_too_long_to_be_read_back_is_not_written() -> None:
    with pytest.raises(WireError):
        pack(dataclasses.replace(WHOLE, files=(EvidenceFile("长" * 301, b""),)))
