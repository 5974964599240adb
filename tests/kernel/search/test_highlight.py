"""The snippet under a hit: the text itself, in segments, marked where the query stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zhengtong.kernel.search import Reader
from zhengtong.kernel.search.highlight import EXCERPT, Segments, excerpt, marked, pattern
from zhengtong.kernel.search.words import phrases

from .conftest import Build, Page


def marks_in(segments: Segments) -> list[str]:
    return [text for text, is_marked in segments if is_marked]


def text_of(segments: Segments) -> str:
    return "".join(text for text, _ in segments)


def show(body: str, query: str) -> Segments:
    wanted = phrases(query)
    return excerpt(body, wanted, pattern(wanted))


def test_a_hit_shows_where_it_was_found(build: Build, page: Page, citizen: Reader) -> None:
    body = "第一句不相干。" * 40 + "市民政局今日发放临时救助金。" + "最后一句也不相干。" * 40
    (hit,) = build([page("临时救助公示", body)]).search("临时救助", citizen).hits
    assert marks_in(hit.title_segments) == ["临时救助"]
    assert marks_in(hit.snippet) == ["临时救助"]
    assert text_of(hit.snippet).startswith("…市民政局今日发放")
    assert text_of(hit.snippet).endswith("…")
    assert len(text_of(hit.snippet)) <= EXCERPT + 2


def test_two_characters_are_marked_where_they_are_a_word() -> None:
    segments = show("各级人民政府应当支持。" * 5 + "民政部门负责。", "民政")
    assert marks_in(segments) == ["民政"]
    assert "民政部门" in text_of(segments)


def test_two_characters_are_marked_inside_a_word_where_there_is_nothing_better() -> None:
    assert marks_in(show("人民政府公告", "民政")) == ["民政"]


def test_full_width_and_compatibility_characters_are_marked_as_written() -> None:
    assert marks_in(show("执行ＧＢ标准", "gb")) == ["ＧＢ"]
    assert marks_in(show("面积㎡为5㎞的A区", "km")) == ["㎞"]


def test_document_numbers_are_marked_however_bracketed() -> None:
    assert marks_in(show("根据周政办（2026）第12号文件", "周政办〔2026〕12号")) == [
        "周政办",
        "（2026）第12号",
    ]


def test_markup_in_a_page_stays_text() -> None:
    segments = show("<script>alert(1)</script>民政", "民政")
    assert text_of(segments) == "<script>alert(1)</script>民政"


def test_without_a_match_the_beginning_is_shown() -> None:
    assert text_of(show("今日要闻。", "防汛")) == "今日要闻。"
    assert show("", "防汛") == ()


TEXTS = st.text(st.sampled_from("人民政府民政局 ＡＢab㎡㈱①ﬁ〔2026〕12号。，é\n"), max_size=80)


@given(TEXTS, TEXTS)
def test_segments_are_the_text_and_marks_are_what_was_asked(text: str, query: str) -> None:
    wanted = phrases(query)
    segments = marked(text, pattern(wanted))
    assert text_of(segments) == text
    assert all(piece for piece, _ in segments)
    excerpt(text, wanted, pattern(wanted))
