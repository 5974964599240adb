"""Every page: safe under a strict content policy, linked up for assistive technology."""

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles.finders import find
from django.http import Http404
from django.template.loader import render_to_string
from django.test import RequestFactory, override_settings

import zhengtong.ui
from zhengtong.ui.styleguide import PAGES, styleguide

ROOT = Path(zhengtong.ui.__file__).parent
ALONE = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
ERRORS = ("403.html", "404.html", "413.html", "500.html")
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"}

Tag = tuple[str, dict[str, str]]


class Page(HTMLParser):
    """The tags of a page in order; raises on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[Tag] = []
        self.open: list[str] = []
        self.inline: list[str] = []
        self.wrapped: list[dict[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if "label" in self.open:
            self.wrapped.append(self.tags[-1][1])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"script", "style"} and data.strip():
            self.inline.append(data)

    def all(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


def error_page(name: str, **context: object) -> str:
    with override_settings(TEMPLATES=ALONE):
        return render_to_string(name, context)


@pytest.fixture(params=[*PAGES, *ERRORS])
def html(request: pytest.FixtureRequest, page: Callable[[str], str]) -> str:
    return error_page(request.param) if request.param in ERRORS else page(request.param)


def test_nothing_a_strict_policy_would_refuse(html: str) -> None:
    parsed = Page(html)
    assert parsed.inline == []
    for tag, attributes in parsed.tags:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert not any(value.lower().startswith("javascript:") for value in attributes.values())


def test_nothing_comes_from_another_host(html: str) -> None:
    assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w", html)


def test_ids_are_unique_and_every_reference_arrives(html: str) -> None:
    parsed = Page(html)
    ids = Counter(parsed.all("id"))
    assert not [name for name, times in ids.items() if times > 1]
    pointers = [
        target
        for name in ("for", "aria-describedby", "aria-labelledby", "aria-controls")
        for value in parsed.all(name)
        for target in value.split()
    ]
    pointers += [href[1:] for href in parsed.all("href") if re.fullmatch(r"#.+", href)]
    assert set(pointers) <= set(ids)


def test_every_control_has_a_name(html: str) -> None:
    parsed = Page(html)
    labelled = set(parsed.all("for"))
    for tag, attributes in parsed.tags:
        if tag in {"select", "textarea"} or (
            tag == "input" and attributes.get("type") not in {"hidden", "submit"}
        ):
            named = attributes.get("id") in labelled or "aria-label" in attributes
            assert named or attributes in parsed.wrapped, attributes


def test_page_has_language_title_one_heading_and_a_way_past_the_navigation(html: str) -> None:
    parsed = Page(html)
    assert parsed.tags[0] == ("html", {"lang": "zh-CN"})
    assert re.search(r"<title>[^<\s][^<]*</title>", html)
    assert sum(tag == "h1" for tag, _ in parsed.tags) == 1
    assert sum(tag == "main" for tag, _ in parsed.tags) == 1
    assert '<a class="skip" href="#main">' in html


def test_posted_forms_carry_the_token_and_a_demo_says_so(page: Callable[[str], str]) -> None:
    for sample in PAGES:
        html = page(sample)
        assert '<p class="demo">演示站点，内容为虚构</p>' in html
        posts = re.findall(r'<form[^>]*method="post".*?</form>', html, re.DOTALL)
        assert all('name="csrfmiddlewaretoken"' in form for form in posts)


def test_portal_pages_are_the_same_for_everyone(page: Callable[[str], str]) -> None:
    for sample in ("home", "article"):
        assert page(sample) == page(sample)
        assert "csrf" not in page(sample)
        assert "htmx" not in page(sample)


def test_a_real_site_does_not_call_itself_a_demo() -> None:
    with override_settings(TEMPLATES=ALONE):
        html = render_to_string("ui/portal.html", {"site": {"name": "某市信息网"}})
    assert "演示" not in html


def test_error_pages_say_what_to_do_in_both_faces() -> None:
    for name in ERRORS:
        public, office = error_page(name), error_page(name, face="office", incident="A-17")
        assert "请" in public and "请" in office
        assert public != office
        assert "A-17" in office


def test_a_refusal_in_the_commands_own_words_is_shown_as_it_was_given() -> None:
    html = error_page("ui/error.html", heading="不能撤回", message="三个单位已经签收<b>")
    assert "不能撤回" in html and "三个单位已经签收&lt;b&gt;" in html
    assert "页面已过期" in error_page("403.html", message="页面已过期，请刷新后重试")


def test_unknown_sample_is_not_found() -> None:
    with pytest.raises(Http404):
        styleguide(RequestFactory().get("/styleguide", {"sample": "../etc"}))


def test_every_static_file_named_exists(page: Callable[[str], str]) -> None:
    names = {
        n for sample in PAGES for n in re.findall(r'(?:src|href)="/static/([^"]+)"', page(sample))
    }
    assert {"ui/zhengtong.css", "ui/keys.js", "ui/notices.js", "ui/autosave.js"} <= names
    assert all(find(name) for name in names)


def test_scripts_stay_tiny_and_run_nothing_from_text() -> None:
    scripts = list((ROOT / "static/ui").glob("*.js"))
    assert sum(path.stat().st_size for path in scripts) <= 20 * 1024
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\beval\b|new Function|innerHTML|outerHTML|document\.write", text)
