"""The tags and filters of the design system: ``{% load ui %}``.

Each inclusion tag draws one pattern from ``templates/ui/parts/``; every value is escaped there.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django import template
from django.core.paginator import Page
from django.forms import BaseForm, BoundField
from django.forms.utils import ErrorList
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from zhengtong.kernel.labels import Level
from zhengtong.ui import charts, formats
from zhengtong.ui.pieces import Cell, Entry, MatrixRow, check_tone

register = template.Library()

register.filter("cn_date", formats.chinese_date)
register.filter("cn_time", formats.chinese_time)
register.filter("filesize", formats.file_size)

LEVEL_CLASSES = {Level.PUBLIC: "open", Level.INTERNAL: "internal", Level.WORK_SECRET: "work"}


@register.simple_tag
def moment(value: date | datetime | None) -> SafeString:
    """A <time> element: read by people in Chinese, by machines in ISO 8601."""
    if value is None:
        return SafeString("")
    if isinstance(value, datetime):
        shown = formats.chinese_time(value)
    else:
        shown = formats.chinese_date(value)
    return format_html('<time datetime="{}">{}</time>', formats.machine_time(value), shown)


@register.simple_tag
def status(word: str, tone: str) -> SafeString:
    """A coloured dot and its word; the dot's shape differs too, for those who see no colour."""
    return format_html(
        '<span class="status {}"><span class="dot" aria-hidden="true"></span>{}</span>',
        check_tone(tone),
        word,
    )


@register.simple_tag
def level_badge(level: Level | int | str) -> SafeString:
    """The confidentiality level in words; takes the level, its number or its word.

    Anything else raises ValueError: a label that cannot be read must not be shown as another.
    """
    known = Level.from_word(level) if isinstance(level, str) else Level(level)
    return format_html(
        '<span class="level {}"><span class="away">{}</span>{}</span>',
        LEVEL_CLASSES.get(known, "secret"),
        _("密级："),
        known.word,
    )


@register.inclusion_tag("ui/parts/field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """A form field: label above, hint below it, the error beside the control and tied to it."""
    widget = bound.field.widget
    # A lone checkbox reads "box, words": its label follows it instead of standing above.
    lone_box = getattr(widget, "input_type", "") == "checkbox" and not bound.use_fieldset
    return {"bound": bound, "lone_box": lone_box, "optional": not bound.field.required}


@register.inclusion_tag("ui/parts/error_summary.html")
def error_summary(*forms: BaseForm) -> dict[str, Any]:
    """Everything wrong with the forms, on top of the page, each line a link to its field."""
    faults: list[dict[str, str]] = []
    for form in forms:
        for name, errors in form.errors.items():
            faults.extend(_faults(form, name, errors))
    return {"faults": faults}


def _faults(form: BaseForm, name: str, errors: ErrorList) -> Iterable[dict[str, str]]:
    if name not in form.fields:
        return [{"label": "", "target": "", "message": str(error)} for error in errors]
    bound = form[name]
    # A set of radios or checkboxes has no id of its own to jump to: its first choice has.
    target = "" if bound.is_hidden else bound.id_for_label or f"{bound.auto_id}_0"
    return [
        {"label": str(bound.label), "target": target, "message": str(error)} for error in errors
    ]


@register.inclusion_tag("ui/parts/timeline.html")
def timeline(entries: Iterable[Entry | Mapping[str, Any]]) -> dict[str, Any]:
    """What happened, in the order given: who, what, when, and the opinions written."""
    return {"entries": entries}


@register.inclusion_tag("ui/states/empty.html")
def empty(
    title: str, hint: str = "", action_url: str = "", action_text: str = ""
) -> dict[str, str]:
    """Nothing here yet: say so, say why, and offer the next step."""
    return {"title": title, "hint": hint, "action_url": action_url, "action_text": action_text}


@register.inclusion_tag("ui/parts/facts.html")
def facts(pairs: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Facts at a glance: (name, value) pairs; an empty value is shown as a dash."""
    return {"pairs": pairs}


@register.inclusion_tag("ui/parts/matrix.html")
def matrix(
    columns: Sequence[str], rows: Sequence[MatrixRow | Mapping[str, Any]], caption: str
) -> dict[str, Any]:
    """Unit × status: the unit's column stays in sight when the grid is scrolled sideways."""
    for row in rows:
        cells: Sequence[Cell] = row["cells"] if isinstance(row, Mapping) else row.cells
        if len(cells) != len(columns):
            raise ValueError(f"matrix row has {len(cells)} cells for {len(columns)} columns")
    return {"columns": columns, "rows": rows, "caption": caption}


@register.inclusion_tag("ui/parts/progress.html")
def progress(done: int, total: int, word: str) -> dict[str, Any]:
    """Long work: what is done and what remains, in figures and as a bar."""
    if not 0 <= done <= total:
        raise ValueError(f"{done} of {total} cannot be done")
    return {"done": done, "total": total, "left": total - done, "word": word}


@register.inclusion_tag("ui/parts/barline.html")
def barline(
    points: Sequence[charts.Point],
    title: str,
    desc: str,
    kind: str = "line",
    unit: str = "",
    target: float | None = None,
) -> dict[str, Any]:
    """A small chart (``line`` or ``bar``) as SVG, with its data as a table beneath."""
    if kind not in ("line", "bar"):
        raise ValueError(f"unknown chart kind {kind!r}; choose line or bar")
    texts = [(label, None if v is None else charts.number(v)) for label, v in points]
    drawn_bars = charts.bars(points) if kind == "bar" else ()
    return {
        "title": title,
        "desc": desc,
        "unit": unit,
        "line": charts.line(points, target) if kind == "line" else None,
        "bars": drawn_bars,
        "bars_height": len(drawn_bars) * charts.BAR_HEIGHT,
        "texts": texts,
        "latest": next((text for text in reversed(texts) if text[1] is not None), None),
        "target": None if target is None else charts.number(target),
    }


@register.inclusion_tag("ui/parts/pager.html", takes_context=True)
def pager(
    context: template.Context, page: "Page[Any]", pattern: str = "", first: str = ""
) -> dict[str, Any]:
    """Links to the other pages of a list.

    Without ``pattern`` the link keeps the request's other parameters and sets ``page``. A baked
    list has no parameters: there ``pattern`` is a path in which ``%d`` stands for the page's
    number, and ``first`` the path of page one.
    """

    def url(number: int) -> str:
        if pattern:
            return first if first and number == 1 else pattern.replace("%d", str(number))
        request = getattr(context, "request", None)
        query = QueryDict(mutable=True) if request is None else request.GET.copy()
        query["page"] = str(number)
        return f"?{query.urlencode()}"

    elided = page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
    links = [
        {"number": number, "url": url(number) if isinstance(number, int) else ""}
        for number in elided
    ]
    return {
        "page": page,
        "links": links,
        "previous": url(page.number - 1) if page.has_previous() else "",
        "next": url(page.number + 1) if page.has_next() else "",
        "total": page.paginator.count,
    }
