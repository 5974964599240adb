"""The printed page, measured from outside with pdfplumber against GB/T 9704-2012."""

import hashlib
import io
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pdfplumber
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.capabilities.documents.domain.typeset import (
    Block,
    BlockKind,
    Redhead,
    TypesetError,
    blocks,
    typeset,
)

MM = 25.4 / 72
STAMP = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PITCH = 15.75 * 15 / 8 * MM
BODY = """为做好防汛准备工作，现将有关事项通知如下：
一、总体要求
坚持人民至上、生命至上，落实防汛责任制。
（一）压实责任。扶沟、鹿邑、郸城等县主要负责同志为第一责任人。
1.开展拉网式排查。
（1）河道由水利部门牵头。
联络员：喆翀、祎堃、犇旸。
"""


def document(**changes: Any) -> Redhead:
    plain = Redhead(
        issuing_mark="周口市人民政府办公室文件",
        document_number="周政办〔2026〕17号",
        title="周口市人民政府办公室\n关于做好防汛准备工作的通知",
        addressees=("各县（市、区）人民政府", "市人民政府各部门"),
        body=blocks(BODY),
        signature="周口市人民政府办公室",
        issued_on=date(2026, 6, 5),
        printing_office="周口市人民政府办公室",
        printed_on=date(2026, 6, 8),
        copy_to=("市委各部门", "周口军分区"),
    )
    return replace(plain, **changes)


def pages(doc: Redhead) -> list[Any]:
    return pdfplumber.open(io.BytesIO(typeset(doc, timestamp=STAMP))).pages


def text_of(doc: Redhead) -> str:
    return "\n".join(page.extract_text() for page in pages(doc))


def word(page: Any, text: str) -> dict[str, float]:
    """Box of the first occurrence of `text`, in millimetres from the page's top left corner."""
    found = page.search(text, regex=False)
    assert found, f"{text} is not on the page"
    return {side: found[0][side] * MM for side in ("x0", "x1", "top", "bottom")}


def em_top(page: Any, text: str) -> float:
    """Top of the 3号 line that carries `text`: baseline minus 0.88 em, millimetres."""
    first = page.search(text, regex=False)[0]["chars"][0]
    return float((page.height - first["matrix"][5] - 0.88 * 15.75) * MM)


def paragraphs(count: int, text: str = "防汛准备工作") -> tuple[Block, ...]:
    return tuple(Block(BlockKind.PARAGRAPH, f"第{n}段{text}") for n in range(1, count + 1))


def test_a_full_page_holds_22_lines_of_28_characters_between_the_margins() -> None:
    page = pages(document(body=(Block(BlockKind.PARAGRAPH, "汛" * 28 * 60),)))[1]
    body = [c for c in page.chars if c["text"] == "汛"]
    assert min(c["x0"] for c in body) * MM == pytest.approx(28.0, abs=0.05)
    assert 28 + 28 * 15.75 * MM - 0.05 < max(c["x1"] for c in body) * MM < 184.05
    tops = sorted({round(c["matrix"][5], 1) for c in body}, reverse=True)
    assert len(tops) == 22
    steps = [(a - b) * MM for a, b in pairwise(tops)]
    assert all(step == pytest.approx(PITCH, abs=0.05) for step in steps)
    assert {sum(1 for c in body if round(c["matrix"][5], 1) == top) for top in tops} == {28}
    first = (page.height - body[0]["matrix"][5]) * MM - 0.88 * 15.75 * MM
    assert first == pytest.approx(37.0, abs=0.1)


def test_the_head_stands_where_the_standard_puts_it() -> None:
    page = pages(document())[0]
    (rule,) = page.lines
    assert rule["stroking_color"][0] > 0.8 > 0.2 > max(rule["stroking_color"][1:])
    assert rule["top"] * MM == pytest.approx(123.5, abs=0.1)
    assert (rule["x0"] * MM, rule["x1"] * MM) == pytest.approx((28.0, 184.0), abs=0.05)
    mark = page.search("周口市人民政府办公室文件", regex=False)[0]["chars"]
    size = mark[0]["size"]
    top = (page.height - mark[0]["matrix"][5] - 0.88 * size) * MM
    assert top == pytest.approx(72.0, abs=0.2)
    assert size * MM <= 22
    assert mark[0]["non_stroking_color"] == rule["stroking_color"]
    left, right = mark[0]["x0"] * MM, mark[-1]["x1"] * MM
    assert left >= 28 and right <= 184
    assert (left + right) / 2 == pytest.approx(106, abs=0.5)
    number = word(page, "周政办〔2026〕17号")
    assert (number["x0"] + number["x1"]) / 2 == pytest.approx(106, abs=0.5)
    assert em_top(page, "周政办") + 15.75 * MM + 4 == pytest.approx(123.5, abs=0.1)


def test_an_upward_document_names_its_issuer_on_the_right_of_the_number() -> None:
    page = pages(document(issuer="王示例"))[0]
    assert word(page, "周政办〔2026〕17号")["x0"] == pytest.approx(28 + 15.75 * MM, abs=0.1)
    assert word(page, "签发人：王示例")["x1"] == pytest.approx(184 - 15.75 * MM, abs=0.1)


@pytest.mark.parametrize("mark", ["周口市人民政府", "周口市川汇区国有资产监督管理委员会办公室文件"])
def test_a_mark_of_any_length_stays_inside_the_text_block(mark: str) -> None:
    chars = pages(document(issuing_mark=mark))[0].search(mark, regex=False)[0]["chars"]
    assert chars[0]["x0"] * MM >= 28
    assert chars[-1]["x1"] * MM <= 184


def test_level_and_urgency_stand_at_the_top_left() -> None:
    page = pages(document(level="内部", urgency="特急"))[0]
    assert word(page, "内部")["x0"] == pytest.approx(28, abs=0.05)
    assert em_top(page, "内部") == pytest.approx(37, abs=0.1)
    assert em_top(page, "特急") == pytest.approx(37 + PITCH, abs=0.1)
    assert "内部" not in pages(document())[0].extract_text()


def test_page_numbers_go_right_on_odd_and_left_on_even_pages() -> None:
    for index, page in enumerate(pages(document(body=paragraphs(50)))):
        number = word(page, f"—{index + 1}—")
        inset = 14 * MM
        if index % 2 == 0:
            assert number["x1"] == pytest.approx(184 - inset, abs=0.1)
        else:
            assert number["x0"] == pytest.approx(28 + inset, abs=0.1)
        assert number["top"] == pytest.approx(262 + 7, abs=2)


@pytest.mark.parametrize("length", [1, 12, 60])
def test_the_imprint_closes_the_last_page_and_only_that(length: int) -> None:
    *before, last = pages(document(body=paragraphs(length)))
    assert max(rule["bottom"] for rule in last.lines) * MM == pytest.approx(262.0, abs=0.1)
    assert "2026年6月8日印发" in last.extract_text()
    assert all("印发" not in page.extract_text().split("办公室")[-1] for page in before)
    widths = [round(r["linewidth"] * MM, 2) for r in last.lines if r["stroking_color"] != (1, 0, 0)]
    assert widths[-3:] == [0.35, 0.25, 0.35]


def test_signature_is_centred_over_a_date_four_characters_from_the_margin() -> None:
    page = pages(document(signature="周口市水利局"))[-1]
    day, name = word(page, "2026年6月5日"), word(page, "周口市水利局")
    assert day["x1"] == pytest.approx(184 - 4 * 15.75 * MM, abs=0.2)
    assert (name["x0"] + name["x1"]) / 2 == pytest.approx((day["x0"] + day["x1"]) / 2, abs=0.2)


def test_a_long_signature_does_not_leave_the_text_block() -> None:
    name = "周口市川汇区国有资产监督管理委员会办公室"
    assert word(pages(document(signature=name))[-1], name)["x1"] <= 184.05


@pytest.mark.parametrize("attachments", [(), ("防汛物资储备清单",)])
def test_no_page_carries_the_signature_without_text(attachments: tuple[str, ...]) -> None:
    for length in range(1, 30):
        doc = document(body=paragraphs(length), attachments=attachments)
        (signed,) = [p.extract_text() for p in pages(doc) if "2026年6月5日" in p.extract_text()]
        assert "段防汛准备工作" in signed or "附件：" in signed


def test_a_long_last_paragraph_fills_page_one_and_still_reaches_the_signature() -> None:
    sentence = "各级各部门要按照2026年防汛准备工作要求（含城区）抓好落实，确保安全。"
    for length in range(3, 21):
        text = sentence * length
        doc = document(body=(Block(BlockKind.PARAGRAPH, text),), copy_to=())
        printed = [page.extract_text().splitlines() for page in pages(doc)]
        assert any("各级各部门" in line for line in printed[0])
        (signed,) = [page for page in printed if "2026年6月5日" in page]
        assert sum(len(line) > 9 and line in text for line in signed) >= 1
        body = [line for page in printed for line in page if line in text]
        assert "".join(body) == text
        assert not any(line[0] in "，。）" or line[-1] == "（" for line in body)


def test_a_heading_never_ends_a_page() -> None:
    for length in range(1, 12):
        body = (*paragraphs(length), Block(BlockKind.HEADING1, "一、总体要求"), *paragraphs(9))
        for page in pages(document(body=body)):
            *_, last, _number = page.extract_text().splitlines()
            assert last != "一、总体要求"


def test_addressees_that_would_crowd_out_the_body_move_to_the_imprint() -> None:
    many = tuple(f"周口市第{n}示范乡镇人民政府" for n in range(30))
    first, *_, last = pages(document(addressees=many))
    assert "为做好防汛准备工作" in first.extract_text()
    assert "主送" not in first.extract_text()
    assert "主送：周口市第0示范乡镇人民政府" in last.extract_text()
    assert "示范乡镇人民政府：" not in first.extract_text()


def test_attachments_are_numbered_only_when_there_are_several() -> None:
    assert "附件：防汛物资储备清单" in text_of(document(attachments=("防汛物资储备清单",)))
    several = text_of(document(attachments=("防汛物资储备清单", "责任人名单")))
    assert "附件：1." in several and "2." in several


def test_note_is_bracketed_once() -> None:
    for note in ("联系人：张示例", "（联系人：张示例）"):
        text = text_of(document(note=note))
        assert "（联系人：张示例）" in text
        assert "（（" not in text


def test_every_character_can_be_copied_out_again_including_rare_names() -> None:
    text = text_of(document()).replace("\n", "")
    for line in BODY.splitlines():
        assert line in text
    assert "喆翀、祎堃、犇旸" in text


def test_levels_have_their_typefaces_and_only_the_lead_sentence() -> None:
    page = pages(document())[0]

    def fonts(text: str) -> set[str]:
        return {char["fontname"] for char in page.search(text, regex=False)[0]["chars"]}

    assert len(fonts("一、总体要求")) == 1
    assert not fonts("一、总体要求") & fonts("现将有关事项")
    assert fonts("主要负责同志") == fonts("现将有关事项")


def test_same_input_same_bytes_even_from_another_process_and_time_zone() -> None:
    doc = document()
    here = typeset(doc, timestamp=STAMP)
    assert typeset(doc, timestamp=STAMP.astimezone(timezone(timedelta(hours=8)))) == here
    script = (
        "import hashlib, sys; from zhengtong.capabilities.documents.tests import test_typeset as t;"
        "sys.stdout.write(hashlib.sha256(t.typeset(t.document(), timestamp=t.STAMP)).hexdigest())"
    )
    out = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert out.stdout == hashlib.sha256(here).hexdigest()
    assert typeset(doc, timestamp=STAMP + timedelta(days=1)) != here
    assert b"<pdfaid:part>2</pdfaid:part>" in here
    assert b"<pdfaid:conformance>U</pdfaid:conformance>" in here


def test_text_is_never_markup() -> None:
    hostile = '#panic("x") $x$ *粗* `码` \\ <a> @b // 注释 "引号" [括号]'
    text = text_of(document(body=(Block(BlockKind.PARAGRAPH, hostile),), title=hostile))
    assert '#panic("x")' in text and "*粗*" in text and "// 注释" in text


def test_a_character_no_font_has_is_refused_by_name() -> None:
    with pytest.raises(TypesetError, match=r"U\+E000"):
        typeset(document(title="关于\ue000的通知"), timestamp=STAMP)


def test_missing_elements_are_refused_by_name() -> None:
    with pytest.raises(TypesetError, match="标题、正文"):
        typeset(document(title=" ", body=()), timestamp=STAMP)
    with pytest.raises(TypesetError, match="时区"):
        typeset(document(), timestamp=STAMP.replace(tzinfo=None))


def test_importing_the_package_does_not_load_typst() -> None:
    script = (
        "import sys, zhengtong.capabilities.documents.domain.typeset;"
        "sys.exit(any(name in sys.modules for name in ('typst', 'django', 'pylopdf_fonts_zh_cn')))"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )


def test_blocks_reads_the_four_levels() -> None:
    kinds = [block.kind.value for block in blocks(BODY)]
    assert kinds == [
        "paragraph",
        "heading1",
        "paragraph",
        "heading2",
        "heading3",
        "heading4",
        "paragraph",
    ]
    assert blocks("　　十二、其他\r\n\r\n(三)半角\n1.5万亩农田\n2026年") == (
        Block(BlockKind.HEADING1, "十二、其他"),
        Block(BlockKind.HEADING2, "(三)半角"),
        Block(BlockKind.PARAGRAPH, "1.5万亩农田"),
        Block(BlockKind.PARAGRAPH, "2026年"),
    )


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_blocks_loses_no_character_but_white_space(text: str) -> None:
    kept = "".join("".join(block.text.split()) for block in blocks(text))
    assert kept == "".join(text.split())
