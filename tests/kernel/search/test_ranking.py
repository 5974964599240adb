"""What stands first: pages about the words asked for, above pages that merely contain them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhengtong.kernel.search import Entry, Index, IndexWriter, Reader

from .conftest import Build, Page


def found(index: Index, query: str, reader: Reader, **how: object) -> list[str]:
    return [hit.title for hit in index.search(query, reader, limit=100, **how).hits]  # type: ignore[arg-type]


def test_pages_about_civil_affairs_precede_those_of_the_peoples_government(
    build: Build, page: Page, citizen: Reader
) -> None:
    government = [
        page(f"扶沟县人民政府第{n}号公告", "人民政府决定，各乡镇人民政府遵照执行。" * n)
        for n in range(1, 20)
    ]
    passing = page(
        "工作动态", "会议由人民政府主持。" * 30 + "民政局参加。" + "其余事项另行通知。" * 200
    )
    about = [
        page("民政工作要点", "做好基层民政工作。"),
        page("机构简介", "周口市民政局负责社会救助。"),
    ]
    index = build([*government, passing, *about])
    titles = found(index, "民政", citizen)
    assert titles[0] == "民政工作要点"
    assert set(titles[1:3]) == {"机构简介", "工作动态"}
    assert len(titles) == 22  # the others are found all the same, below
    assert found(index, "民政局", citizen)[0] == "机构简介"
    assert len(found(index, "民政局", citizen)) == 2


def test_a_word_in_the_title_outranks_it_in_the_text(
    build: Build, page: Page, citizen: Reader
) -> None:
    index = build(
        [
            page("会议纪要", "会上通报了防汛情况，防汛形势平稳。" + "其他。" * 5),
            page("防汛值班表", "名单"),
        ]
    )
    assert found(index, "防汛", citizen) == ["防汛值班表", "会议纪要"]


def test_the_unbroken_run_outranks_its_scattered_words(
    build: Build, page: Page, citizen: Reader
) -> None:
    scattered = page("甲", "补贴标准另定。农机检修安排。购置计划待批。")
    unbroken = page("乙", "公布今年的农机购置补贴标准和办理时间。")
    index = build([scattered, unbroken])
    assert found(index, "农机购置补贴", citizen) == ["乙", "甲"]


def test_all_runs_of_a_query_are_demanded(build: Build, page: Page, citizen: Reader) -> None:
    index = build([page("防汛通知"), page("防汛演练"), page("放假通知")])
    assert found(index, "通知 防汛", citizen) == ["防汛通知"]


def test_when_no_page_has_all_words_those_with_half_are_offered_and_it_is_said(
    build: Build, page: Page, citizen: Reader
) -> None:
    index = build([page("新生儿落户办理指南", "所需材料"), page("公园开放时间")])
    results = index.search("新生儿落户要带身份证户口簿吗", citizen)
    assert [hit.title for hit in results.hits] == ["新生儿落户办理指南"]
    assert results.relaxed
    assert not index.search("新生儿落户", citizen).relaxed
    assert index.search("飞碟观测火箭发射站", citizen).total == 0


@pytest.mark.parametrize(
    "query", ["周政办〔2026〕12号", "周政办(2026)12号", "〔2026〕12号", "2026 12", "周政办"]
)
def test_a_document_number_is_found_whole_and_by_parts(
    build: Build, page: Page, citizen: Reader, query: str
) -> None:
    wanted = page("关于做好防汛工作的通知", "周政办〔2026〕12号 各县区人民政府：")
    index = build([wanted, page("别的通知", "周口市2025年第3期")])
    assert found(index, query, citizen) == [wanted.title]


def test_a_number_does_not_find_its_neighbours(build: Build, page: Page, citizen: Reader) -> None:
    index = build([page("甲", "周政办〔2026〕12号"), page("乙", "周政办〔2026〕112号")])
    assert found(index, "周政办〔2026〕12号", citizen) == ["甲"]


def test_one_character_finds_the_titles_that_contain_it(
    build: Build, page: Page, citizen: Reader
) -> None:
    index = build([page("水利工程公示"), page("节约用水倡议", "水水水"), page("电价", "水")])
    assert set(found(index, "水", citizen)) == {"水利工程公示", "节约用水倡议"}


def test_punctuation_finds_nothing(build: Build, page: Page, citizen: Reader) -> None:
    index = build([page("通知。", "，")])
    assert index.search("。，", citizen).total == 0


@pytest.mark.parametrize(
    "typed", ['"', "民政 AND", "title:民政", "民政*", "(民政", "[a TO b]", "+-!^~\\/"]
)
def test_query_syntax_is_only_text(build: Build, page: Page, citizen: Reader, typed: str) -> None:
    index = build([page("民政工作")])
    for hit in index.search(typed, citizen).hits:
        assert hit.title == "民政工作"


def test_a_query_of_any_length_is_answered(build: Build, page: Page, citizen: Reader) -> None:
    text = "关于印发周口市防汛抗旱应急预案的通知。" * 40
    index = build([page("长", text)])
    assert found(index, text, citizen) == ["长"]


def test_newest_first(build: Build, page: Page, citizen: Reader) -> None:
    pages = [page(f"防汛通知{n}") for n in range(5)]
    index = build(reversed(pages))
    assert found(index, "防汛", citizen, order="newest") == [p.title for p in reversed(pages)]


def test_pages_follow_each_other_without_gap_or_repeat(
    build: Build, page: Page, citizen: Reader
) -> None:
    entries = [page(f"防汛通知第{n}期", "防汛" * (n % 7)) for n in range(40)]
    index = build(entries)
    seen = [
        hit.urn
        for offset in range(0, 48, 8)
        for hit in index.search("防汛", citizen, offset=offset, limit=8).hits
    ]
    assert sorted(seen) == sorted(entry.urn for entry in entries)
    beyond = index.search("防汛", citizen, offset=1_000_000)
    assert (beyond.total, beyond.hits) == (40, ())


@pytest.fixture(scope="module")
def narrowed(tmp_path_factory: pytest.TempPathFactory, page: Page) -> tuple[Index, list[Entry]]:
    entries = [
        page(
            f"防汛{n}",
            kind=("article", "document", "law")[n % 3],
            organisation=f"bureau-{n % 4}",
            site=("city", "water")[n % 2],
            column=("news", "notices")[n // 2 % 2],
        )
        for n in range(48)
    ]
    folder: Path = tmp_path_factory.mktemp("narrowed")
    with IndexWriter(folder) as writer:
        writer.rebuild(entries)
    return Index(folder), entries


@pytest.mark.parametrize(
    "scope",
    [
        {"kinds": ["law"]},
        {"kinds": ["law", "article"]},
        {"organisation": "bureau-1"},
        {"site": "water"},
        {"column": "news"},
        {"kinds": ["document"], "organisation": "bureau-2", "site": "city"},
        {"kinds": ["no such kind"]},
    ],
)
def test_a_search_is_narrowed(
    narrowed: tuple[Index, list[Entry]], citizen: Reader, scope: dict[str, object]
) -> None:
    index, entries = narrowed

    def fits(entry: Entry, **asked: object) -> bool:
        kinds = asked.pop("kinds", None)
        return (kinds is None or entry.kind in kinds) and all(  # type: ignore[operator]
            getattr(entry, name) == value for name, value in asked.items()
        )

    expected = {entry.urn for entry in entries if fits(entry, **scope)}
    results = index.search("防汛", citizen, limit=100, **scope)  # type: ignore[arg-type]
    assert {hit.urn for hit in results.hits} == expected
    assert results.total == len(expected)
    # A facet is counted as if it had not been narrowed by itself.
    for facet, own in (("kind", "kinds"), ("organisation", "organisation")):
        others = {name: value for name, value in scope.items() if name != own}
        fitting = [getattr(entry, facet) for entry in entries if fits(entry, **others)]
        if expected:
            assert dict(results.facets[facet]) == {v: fitting.count(v) for v in set(fitting)}


def test_dates_are_from_inclusive_to_exclusive(
    narrowed: tuple[Index, list[Entry]], citizen: Reader
) -> None:
    index, entries = narrowed
    since, until = entries[10].date, entries[20].date
    results = index.search("防汛", citizen, since=since, until=until, limit=100)
    assert {hit.urn for hit in results.hits} == {entry.urn for entry in entries[10:20]}
    assert index.search("防汛", citizen, since=until).total == 28


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 101}, {"offset": -1}, {"order": "random"}]
)
def test_absurd_demands_are_refused(
    narrowed: tuple[Index, list[Entry]], citizen: Reader, wrong: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        narrowed[0].search("防汛", citizen, **wrong)  # type: ignore[arg-type]


def test_a_naive_time_is_refused(narrowed: tuple[Index, list[Entry]], citizen: Reader) -> None:
    since = narrowed[1][0].date.replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone-aware"):
        narrowed[0].search("防汛", citizen, since=since)
