"""The style sheet keeps its promises: small, legible in every theme, nothing from elsewhere."""

import re
from pathlib import Path

import pytest

import zhengtong.ui

ROOT = Path(zhengtong.ui.__file__).parent
SHEET = (ROOT / "static/ui/zhengtong.css").read_text(encoding="utf-8")
CSS = re.sub(r"/\*.*?\*/", "", SHEET, flags=re.DOTALL)
THEMES = {
    "light": ":root{",
    "dark": ":root[data-theme=dark]{",
    "contrast": ":root[data-theme=contrast]{",
}

WRITING = ("ink", "soft", "accent", "deep", "visited", "red", "ok", "wait", "bad", "info", "idle")
GROUNDS = ("ground", "raised", "sunken")
# (what is drawn, what it is drawn on): text first, then lines and rings.
TEXT = [(ink, ground) for ink in WRITING for ground in GROUNDS] + [
    ("ink", "wash"),
    ("soft", "wash"),
    ("accent", "wash"),
    ("deep", "wash"),
    ("ok", "wash"),
    ("wait", "wash"),
    ("bad", "wash"),
    ("info", "wash"),
    ("idle", "wash"),
    ("on-bar", "bar"),
    ("bar", "on-bar"),
    ("on-accent", "accent"),
    ("on-accent", "deep"),
    ("wait", "wait-wash"),
    ("bad", "bad-wash"),
    ("ok", "ok-wash"),
    ("info", "info-wash"),
    ("idle", "idle-wash"),
    ("accent", "wait-wash"),
    ("accent", "bad-wash"),
    ("raised", "bad"),
]
SHAPES = [("edge", g) for g in GROUNDS] + [("focus", g) for g in (*GROUNDS, "wash")]


def tokens(theme: str) -> dict[str, str]:
    """The colours a theme ends up with: the light ones, overridden by its own."""

    def block(opening: str) -> dict[str, str]:
        body = CSS.split(opening, 1)[1].split("}", 1)[0]
        return dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})\b", body))

    return {**block(THEMES["light"]), **block(THEMES[theme])}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.1 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(d * 2 for d in colour[1:])
    shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_itself_agrees_with_known_figures() -> None:
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_is_legible(theme: str) -> None:
    colour = tokens(theme)
    faint = {
        (ink, ground): round(contrast(colour[ink], colour[ground]), 2)
        for ink, ground in TEXT
        if contrast(colour[ink], colour[ground]) < 4.5
    }
    assert not faint


@pytest.mark.parametrize("theme", THEMES)
def test_controls_and_focus_rings_stand_out(theme: str) -> None:
    colour = tokens(theme)
    assert all(contrast(colour[line], colour[ground]) >= 3 for line, ground in SHAPES)


def test_the_high_contrast_theme_earns_its_name() -> None:
    colour = tokens("contrast")
    assert all(contrast(colour[ink], colour["ground"]) >= 7 for ink in WRITING)


def test_themes_give_every_colour() -> None:
    def names(theme: str) -> set[str]:
        body = CSS.split(THEMES[theme], 1)[1].split("}", 1)[0]
        return set(re.findall(r"--([\w-]+):#", body))

    assert names("light") == names("dark") == names("contrast")


def test_colours_come_only_from_tokens() -> None:
    rules = re.sub(r"--[\w-]+:[^;}]*", "", CSS)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", rules)


def test_every_token_used_is_defined() -> None:
    assert set(re.findall(r"var\(--([\w-]+)\)", CSS)) <= set(re.findall(r"--([\w-]+):", CSS))


def test_the_sheet_is_small_balanced_and_selfcontained() -> None:
    assert len(SHEET.encode()) <= 20 * 1024
    assert CSS.count("{") == CSS.count("}")
    assert "@import" not in CSS
    assert "url(" not in CSS


def test_no_rule_is_left_without_a_use() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in ROOT.rglob("*")
        if path.suffix in {".html", ".js", ".py"}
    )
    selectors = re.findall(r"([^{}]+)\{", CSS)
    classes = {name for s in selectors for name in re.findall(r"\.([a-z][\w-]*)", s)}
    from_htmx = {"htmx-indicator", "htmx-request"}
    unused = {name for name in classes if not re.search(rf"\b{name}\b", sources)}
    assert unused <= from_htmx
