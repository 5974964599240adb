"""The pure rules: text to HTML, addresses, colours."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.capabilities.portal.commands.seed import SITES
from zhengtong.capabilities.portal.domain import address, colour, text
from zhengtong.kernel.baked import relative_file
from zhengtong.kernel.ids import new_id


@pytest.mark.parametrize(
    ("body", "html"),
    [
        ("各单位：\n正文。", '<p class="flush">各单位：</p>\n<p>正文。</p>'),
        (
            "一、总体要求\n（一）目标\n到年底。",
            "<h2>一、总体要求</h2>\n<h3>（一）目标</h3>\n<p>到年底。</p>",
        ),
        ("（一）目标\n1. 步骤", "<h2>（一）目标</h2>\n<h3>1. 步骤</h3>"),
        ("一、提高认识。切实做好。", "<p><strong>一、提高认识。</strong>切实做好。</p>"),
        ("一、提高认识。", "<p>一、提高认识。</p>"),
        ("1.5亿元已到位", "<p>1.5亿元已到位</p>"),
        ("　　段首空格\r\n\r\n下一段", "<p>段首空格</p>\n<p>下一段</p>"),
        ("<b>&</b>", "<p>&lt;b&gt;&amp;&lt;/b&gt;</p>"),
    ],
)
def test_a_body_reads_as_its_numbering_says(body: str, html: str) -> None:
    assert text.to_html(body) == html


@given(st.text(max_size=300))
def test_no_text_makes_markup_of_its_own(body: str) -> None:
    html = text.to_html(body)
    for tag in ("p", "strong", "h2", "h3", "h4", "h5"):
        html = html.replace(f"<{tag}>", "").replace(f"</{tag}>", "")
    assert "<" not in html.replace('<p class="flush">', "")


@given(st.text(alphabet="一二三、（）1234.。：\n字防汛", max_size=200))
def test_headings_leave_no_gap(body: str) -> None:
    used = {line[2] for line in text.to_html(body).split("\n") if line.startswith("<h")}
    assert sorted(used) == [str(n + 2) for n in range(len(used))]


def test_a_summary_is_found_where_nobody_wrote_one() -> None:
    assert text.opening("各单位：\n一、目标\n今年完成。") == "今年完成。"
    assert text.opening("长" * 200).endswith("…") and len(text.opening("长" * 200)) == 80


def test_an_address_is_stable_and_says_when() -> None:
    key = UUID("019a0000-0000-7000-8000-000000000001")
    assert address.article_path(key) == address.article_path(key)
    made = [address.article_path(new_id()) for _ in range(200)]
    assert len(set(made)) == 200
    assert all(relative_file(path) for path in made)


@given(st.text(max_size=300), st.sampled_from(["pdf", "txt", "xlsx"]))
def test_every_file_name_makes_a_usable_address(name: str, extension: str) -> None:
    safe = address.file_name(text.clean(name), extension)
    path = address.file_path("0" * 64, safe)
    assert relative_file(path).endswith(f".{extension}")
    assert len(safe.encode()) <= 200 and "/" not in safe


def test_places_and_pages_agree() -> None:
    for place in range(1, 200):
        first, last = address.places_on(address.page_of(place))
        assert first <= place <= last
        assert address.last_archived(place) <= max(0, address.page_of(place) - 2)
    assert address.last_archived(0) == 0


def test_only_colours_that_can_be_read_are_taken() -> None:
    assert colour.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert colour.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # WCAG's own
    for bad in ("#777777", "#ffff00", "red", "#12345"):
        with pytest.raises(colour.UnreadableColour):
            colour.stylesheet(bad)
    for site in SITES:
        if accent := site.values.get("accent"):
            assert accent in colour.stylesheet(accent)
