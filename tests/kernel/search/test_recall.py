"""Recall 1.0: whoever types a piece of a page finds that page, wherever the piece begins."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.kernel.search import Entry, Index, IndexWriter, Reader

from .conftest import Page

WORDS = [
    *("人民政府", "民政局", "民政", "政府", "市民", "政务", "周口市", "扶沟县", "项城市", "郸城县"),
    *(
        "防汛",
        "抗旱",
        "防汛抗旱指挥部",
        "应急管理局",
        "通知",
        "公告",
        "办公室",
        "关于",
        "印发",
        "的",
    ),
    *("乡村振兴", "养老金", "医疗保障", "农机", "购置", "补贴", "标准", "学校", "张晓明", "李国庆"),
    *(
        "2026年",
        "12号",
        "〔2026〕",
        "GB/T ",
        "9704-2012",
        "3.5%",
        "ＡＢＣ",
        "１００万元",
        "第三季度",
    ),
    *("，", "。", "、", "；", "\n", " "),
]
DOCUMENTS = 100  # as many as one search may return


def _text(chance: random.Random, length: int) -> str:
    return "".join(chance.choice(WORDS) for _ in range(length))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, page: Page) -> tuple[Index, list[Entry]]:
    chance = random.Random(20260101)
    # The order of rare characters is random, too: no dictionary can help there.
    rare = [chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(60)]
    entries = [
        page(_text(chance, 6), _text(chance, 40) + "".join(chance.sample(rare, 30)))
        for _ in range(DOCUMENTS)
    ]
    folder = tmp_path_factory.mktemp("recall")
    with IndexWriter(folder) as writer:
        writer.rebuild(entries)
    return Index(folder), entries


def _found(index: Index, query: str, reader: Reader) -> set[str]:
    return {hit.urn for hit in index.search(query, reader, limit=DOCUMENTS).hits}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("length", [2, 6, 17])
def test_every_page_containing_a_window_of_some_page_is_found(
    corpus: tuple[Index, list[Entry]], citizen: Reader, length: int, data: st.DataObject
) -> None:
    index, entries = corpus
    source = data.draw(st.sampled_from(entries))
    text = data.draw(st.sampled_from([source.title, source.body]))
    start = data.draw(st.integers(0, max(0, len(text) - length)))
    window = text[start : start + length]
    if not re.search(r"[^\W_]{2}", window):
        return  # single characters between punctuation are looked for in titles only
    containing = {e.urn for e in entries if window in e.title or window in e.body}
    assert containing <= _found(index, window, citizen)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_two_characters_find_exactly_the_pages_that_contain_them(
    corpus: tuple[Index, list[Entry]], citizen: Reader, data: st.DataObject
) -> None:
    index, entries = corpus
    text = data.draw(st.sampled_from(entries)).body
    han = re.findall(r"(?=([一-龥]{2}))", text)
    pair = data.draw(st.sampled_from(han))
    assert _found(index, pair, citizen) == {
        e.urn for e in entries if pair in e.title or pair in e.body
    }
