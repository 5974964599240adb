"""What each tag shows to the people who read it."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from html import unescape

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import RequestContext
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.kernel.labels import Level
from zhengtong.ui import charts, formats
from zhengtong.ui.pieces import TONES, Cell, Entry, MatrixRow, UnknownTone
from zhengtong.ui.templatetags import ui

Draw = Callable[..., str]
NASTY = "<script>alert('x')</script>&\""


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html))).strip()


class Letter(forms.Form):
    title = forms.CharField(label="标题", help_text="不超过五十字", max_length=5)
    kind = forms.ChoiceField(
        label="类别", choices=[("a", "咨询"), ("b", "投诉")], widget=forms.RadioSelect
    )
    open = forms.BooleanField(label="同意公开", required=False)
    key = forms.CharField(widget=forms.HiddenInput)

    def clean(self) -> None:
        raise forms.ValidationError("今天的受理时间已过")


def test_dates_are_read_in_chinas_time(draw: Draw) -> None:
    late = datetime(2026, 11, 22, 16, 5, tzinfo=UTC)
    assert draw("{{ d|cn_date }}", d=date(2026, 1, 3)) == "2026年1月3日"
    assert draw("{{ d|cn_date }}", d=late) == "2026年11月23日"
    assert draw("{{ d|cn_time }}", d=late) == "2026年11月23日 00:05"
    assert draw("{% moment d %}", d=late) == (
        '<time datetime="2026-11-23T00:05+08:00">2026年11月23日 00:05</time>'
    )
    assert draw("{% moment d %}{{ d|cn_date }}{{ d|cn_time }}", d=None) == ""


# China has kept one offset, without summer time, since 1992.
FROM = datetime(1992, 1, 1)  # noqa: DTZ001 - hypothesis wants bounds without a zone
TO = datetime(9000, 1, 1)  # noqa: DTZ001


@given(st.datetimes(min_value=FROM, max_value=TO, timezones=st.timezones()))
def test_a_shown_moment_can_be_read_back(moment: datetime) -> None:
    to_the_minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
    shown = formats.chinese_time(moment) + " +0800"
    assert datetime.strptime(shown, "%Y年%m月%d日 %H:%M %z") == to_the_minute
    assert datetime.fromisoformat(formats.machine_time(moment)) == to_the_minute


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(formats.NaiveTime, match="no time zone"):
        formats.chinese_date(datetime(2026, 11, 23))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (0, "0 字节"),
        (1023, "1023 字节"),
        (1024, "1 KB"),
        (38_700, "37.8 KB"),
        (1024**2 - 1, "1 MB"),
        (50 * 1024**2, "50 MB"),
        (5 * 1024**5, "5120 TB"),
    ],
)
def test_file_sizes(octets: int, shown: str) -> None:
    assert formats.file_size(octets) == shown


@given(st.integers(min_value=1024, max_value=1024**5 - 1))
def test_a_shown_size_is_within_a_twentieth_of_the_unit(octets: int) -> None:
    number, unit = formats.file_size(octets).split(" ")
    scale = 1024 ** (["KB", "MB", "GB", "TB"].index(unit) + 1)
    assert abs(float(number) - octets / scale) <= 0.0501
    assert 1 <= float(number) <= 1024


def test_status_is_a_dot_and_a_word_and_knows_its_tones(draw: Draw) -> None:
    for tone in TONES:
        html = draw("{% status '待签收' tone %}", tone=tone)
        assert "待签收" in html and f'class="status {tone}"' in html
    with pytest.raises(UnknownTone, match="purple"):
        draw("{% status '待签收' 'purple' %}")


def test_level_badge_reads_levels_numbers_and_words_and_nothing_else(draw: Draw) -> None:
    for level in Level:
        shown = {
            draw("{% level_badge level %}", level=form) for form in (level, int(level), level.word)
        }
        assert {text_of(html) for html in shown} == {f"密级：{level.word}"}
    assert 'class="level secret"' in draw("{% level_badge '绝密' %}")
    for wrong in ("秘级", "", 6):
        with pytest.raises(ValueError):
            draw("{% level_badge level %}", level=wrong)


def test_a_wrong_field_keeps_the_text_and_ties_hint_and_error_to_it(draw: Draw) -> None:
    form = Letter({"title": "关于道路照明的建议"})
    html = draw("{% field form.title %}", form=form)
    control = re.search(r"<input[^>]*>", html)
    assert control and 'value="关于道路照明的建议"' in control[0]
    assert 'aria-invalid="true"' in control[0]
    assert 'aria-describedby="id_title_helptext id_title_error"' in control[0]
    assert re.search(r'id="id_title_helptext">不超过五十字<', html)
    assert "错误：" in html and "5" in text_of(html)


def test_a_set_of_choices_is_a_fieldset_and_a_lone_box_is_optional_by_nature(draw: Draw) -> None:
    form = Letter({})
    html = draw("{% field form.kind %}", form=form)
    assert "<fieldset" in html and "<legend>类别</legend>" in html
    assert 'aria-describedby="id_kind_error"' in html and 'id="id_kind_error"' in html
    box = draw("{% field form.open %}", form=form)
    assert text_of(box) == "同意公开" and box.count("<label") == 1
    assert draw("{% field form.key %}", form=form).strip().startswith('<input type="hidden"')


def test_the_summary_lists_every_fault_and_leads_to_its_field(draw: Draw) -> None:
    form = Letter({"title": "关于道路照明的建议"})
    html = draw("{% error_summary form %}", form=form)
    page = draw("{% field form.title %}{% field form.kind %}{% field form.open %}", form=form)
    links = re.findall(r'href="#([^"]+)"', html)
    assert links == ["id_title", "id_kind_0"]
    assert all(f'id="{link}"' in page for link in links)
    assert "今天的受理时间已过" in html and "有 4 处需要改正" in html
    assert draw("{% error_summary form %}", form=Letter()).strip() == ""


def test_timeline_matrix_and_facts_escape_what_people_wrote(draw: Draw) -> None:
    now = datetime(2026, 11, 23, 1, 20, tzinfo=UTC)
    html = draw(
        "{% timeline entries %}{% facts pairs %}{% matrix columns rows caption %}"
        "{% empty nasty nasty '/x' nasty %}{% status nasty 'ok' %}"
        "{% barline points nasty nasty %}{% progress 1 2 nasty %}",
        entries=[Entry(now, NASTY, NASTY, NASTY, NASTY)],
        pairs=[(NASTY, NASTY)],
        columns=[NASTY],
        rows=[MatrixRow(NASTY, [Cell("ok", NASTY, now)])],
        caption=NASTY,
        points=[(NASTY, 1.0)],
        nasty=NASTY,
    )
    assert "<script" not in html
    assert text_of(html).count("<script>") >= 13


def test_matrix_shows_each_unit_with_each_state_and_refuses_ragged_rows(draw: Draw) -> None:
    rows = [
        {"unit": "扶沟县", "cells": [{"tone": "bad", "word": "已退回", "at": None}], "url": "/x"}
    ]
    html = draw("{% matrix columns rows '下发情况' %}", columns=["签收"], rows=rows)
    assert '<th scope="row"><a href="/x">扶沟县</a></th>' in html
    assert '<th scope="col">签收</th>' in html and "已退回" in html
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        ui.matrix(["签收", "阅读"], rows, "下发情况")


def test_facts_show_zero_but_dash_what_is_missing(draw: Draw) -> None:
    html = draw("{% facts pairs %}", pairs=[("份数", 0), ("份号", None), ("附注", "")])
    assert re.findall(r"<dd>(.*?)</dd>", html) == ["0", "—", "—"]


def test_pager_keeps_the_search_and_marks_the_page(draw: Draw) -> None:
    request = RequestFactory().get("/", {"q": "防汛", "page": "4"})
    page = Paginator(range(236), 20).page(4)
    drawn = ui.pager(RequestContext(request), page)
    assert drawn["previous"] == "?q=%E9%98%B2%E6%B1%9B&page=3"
    html = draw("{% pager page %}", page=page)
    assert len(re.findall('aria-current="page"', html)) == 1
    assert "共 236 项" in html
    assert draw("{% pager page %}", page=Paginator(range(3), 20).page(1)).strip() == ""


def test_pager_of_a_baked_list_uses_paths(draw: Draw) -> None:
    page = Paginator(range(60), 20).page(2)
    html = draw("{% pager page '/news/%d.html' first='/news/' %}", page=page)
    assert set(re.findall(r'href="([^"]+)"', html)) == {"/news/", "/news/2.html", "/news/3.html"}
    assert "?" not in html


def test_progress_says_what_is_done_and_what_remains(draw: Draw) -> None:
    assert "已完成 12 / 18，剩余 6" in draw("{% progress 12 18 '正在下发' %}")
    with pytest.raises(ValueError, match="cannot be done"):
        ui.progress(19, 18, "正在下发")


def test_chart_has_a_name_a_description_and_its_data(draw: Draw) -> None:
    points = [("9月", 61.0), ("10月", None), ("11月", 1204.5)]
    html = draw("{% barline points '办结数' '逐月上升' unit='件' target=1000 %}", points=points)
    assert "<title>办结数</title><desc>逐月上升</desc>" in html
    rows = re.findall(r'<th scope="row">(.*?)</th><td class="number">(.*?)</td>', html)
    assert rows == [("9月", "61件"), ("10月", "未报"), ("11月", "1,204.5件")]
    assert "虚线为目标值 1,000件" in html
    assert "暂无数据" in draw("{% barline points '办结数' '' %}", points=[])
    with pytest.raises(ValueError, match="pie"):
        ui.barline(points, "", "", kind="pie")


numbers = st.floats(min_value=-1e9, max_value=1e9)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.just("月"), st.none() | numbers), max_size=40), st.none() | numbers)
def test_a_line_stays_inside_its_drawing_and_keeps_every_known_point(
    points: list[charts.Point], target: float | None
) -> None:
    drawn = charts.line(points, target)
    known = [value for _, value in points if value is not None]
    if drawn is None:
        assert not known
        return
    spots = [
        tuple(map(float, spot.split(",")))
        for path in drawn.paths
        for spot in dict.fromkeys(path[1:].split("L"))
    ]
    assert len(spots) == len(known)
    assert all(0 <= x <= charts.WIDTH and 0 <= y <= charts.LINE_HEIGHT for x, y in spots)
    # Time is drawn to scale over the whole width, gaps included.
    columns = [i for i, (_, value) in enumerate(points) if value is not None]
    reach = (charts.WIDTH - 2 * charts.PAD) / max(len(points) - 1, 1)
    assert [x for x, _ in spots] == pytest.approx(
        [charts.PAD + i * reach for i in columns], abs=0.06
    )
    highest = max(range(len(known)), key=lambda i: known[i])
    assert spots[highest][1] == min(y for _, y in spots)


@given(st.lists(st.tuples(st.just("县"), st.floats(min_value=0, max_value=1e9)), max_size=20))
def test_bars_keep_proportion_and_order(points: list[charts.Point]) -> None:
    drawn = charts.bars(points)
    values = [value for _, value in points if value is not None]
    room = charts.WIDTH - charts.LABEL_WIDTH - charts.VALUE_WIDTH
    longest = max(values, default=0) or 1
    for bar, value in zip(drawn, values, strict=True):
        assert bar.length == pytest.approx(value / longest * room, abs=0.06)
    with pytest.raises(ValueError, match="negative"):
        charts.bars([("县", -1.0)])


def test_states_say_what_happens(draw: Draw) -> None:
    assert 'role="status"' in draw("{% include 'ui/states/loading.html' %}")
    assert "已有的部分" in draw("{% include 'ui/states/partial.html' %}")
    html = draw("{% include 'ui/states/error.html' with what='没有送达' retry_url='/again' %}")
    assert 'role="alert"' in html and "没有送达" in html and 'href="/again"' in html
    html = draw("{% empty '没有待办事项' '新公文到达后显示在这里' %}")
    assert "<a" not in html
