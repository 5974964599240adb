"""The terms of a text: whole words, edges of words, numbers, and every pair of characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.kernel.search.words import (
    add_words,
    bigrams,
    characters,
    normalise,
    phrases,
    words,
)

TEXT = st.text(
    st.one_of(
        st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
        st.sampled_from("人民政府民政局周口市防汛抗旱工作通知办公室"),
        st.sampled_from("ABCabc0123456789ＡＢａｂ０１２３ ，。、；《》（）()〔〕[]-/.%号第\n"),
    ),
    max_size=60,
)


def test_the_edges_of_a_word_count_and_its_middle_does_not() -> None:
    assert "民政" in words("民政局")
    assert {"人民", "政府"} <= set(words("人民政府"))
    assert "民政" not in words("人民政府")


def test_writing_variants_are_one() -> None:
    assert normalise("ＧＢ／Ｔ　９７０４") == normalise("gb/t 9704")
    assert words("ＧＢ／Ｔ　９７０４") == words("GB/T 9704")


def test_traditional_characters_stay() -> None:
    assert normalise("國務院") == "國務院"


@pytest.mark.parametrize(
    "written",
    ["周政办〔2026〕12号", "周政办[2026]12号", "周政办（2026）第012号", "周政办【２０２６】１２号"],
)
def test_a_document_number_is_one_term_and_its_parts(written: str) -> None:
    assert {"〔2026〕12", "2026", "12"} <= set(words(written))
    assert [phrase.words for phrase in phrases(written)] == [("〔2026〕12",), ("周政办",)]


def test_letters_and_digits_are_found_whole_and_by_parts() -> None:
    assert {"covid19", "covid", "19"} <= set(words("COVID19防控"))
    assert {"9704", "2012"} <= set(words("GB/T 9704-2012"))


def test_a_taught_name_holds_together_and_keeps_its_words() -> None:
    name = "涂家沟镇民政局"  # a fictional place: no dictionary knows it
    add_words([name, "涂家沟镇"])
    found = words(f"关于{name}的决定")
    assert {name, "涂家沟镇", "涂家沟", "民政局", "民政"} <= set(found)
    assert phrases(name)[0].words == ("涂家沟镇", "民政局")


def test_function_words_are_asked_for_only_when_alone() -> None:
    assert phrases("关于防汛的通知")[0].words == ("防汛", "通知")
    assert phrases("关于")[0].words == ("关于",)


@pytest.mark.parametrize("empty", ["", "  ", "，。！？", "〔〕", "____", "\ud800"])
def test_a_query_without_any_character_asks_nothing(empty: str) -> None:
    assert phrases(empty) == []


def test_half_a_surrogate_pair_does_no_harm() -> None:
    assert words("民政\ud83d局") == words("民政?局")


@given(TEXT)
def test_every_word_is_made_of_the_texts_own_characters(text: str) -> None:
    for word in words(text):
        if "〔" not in word:
            assert word in normalise(text)


@given(TEXT, st.data())
def test_a_page_carries_all_that_any_piece_of_it_asks_for(text: str, data: st.DataObject) -> None:
    """Recall in principle: the bigrams of a window are bigrams of the text it was cut from."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    for phrase in phrases(text[start:end]):
        if phrase.single:
            assert phrase.text in characters(text)
        elif phrase.grams:
            assert set(phrase.grams) <= bigrams(text)
        else:
            assert set(phrase.words) <= set(words(text))
