"""From an official document's plain text to the HTML of its public page. Pure.

The text is structured as 党政机关公文格式 (GB/T 9704-2012 §7.3.3) prescribes: headings are numbered
一、 then （一） then 1. then （1）. Everything is escaped; nh3 lets only the tags made here pass.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import nh3

LONGEST_HEADING = 40
_CHINESE_NUMBER = "[一二三四五六七八九十百零]{1,4}"
LEVELS = (
    re.compile(rf"{_CHINESE_NUMBER}、"),
    re.compile(rf"[（(]{_CHINESE_NUMBER}[）)]"),
    re.compile(r"[0-9０-９]{1,2}[.．、](?![0-9])"),
    re.compile(r"[（(][0-9]{1,2}[）)]"),
)
_HEADINGS = ("h2", "h3", "h4", "h5")
_SENTENCE_END = re.compile(r"[。；！？;!?]")
# What neither XML nor a screen can show (XML 1.0 §2.2), and marks that turn the direction of text.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_TAGS = {"p", "strong", "br", *_HEADINGS}


def clean(text: str) -> str:
    """The text without characters that a page, a feed or a file name cannot carry."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def level_of(line: str) -> int | None:
    """Which of the four numbered levels a line opens, from 0; None for ordinary text."""
    return next((n for n, mark in enumerate(LEVELS) if mark.match(line)), None)


def is_heading(line: str) -> bool:
    """A numbered line is a heading when it is short and not a sentence."""
    if level_of(line) is None or len(line) > LONGEST_HEADING:
        return False
    return not _SENTENCE_END.search(line) and not line.endswith(("：", ":", "，"))


def to_html(body: str) -> str:
    """The body as safe HTML: headings from h2 down without gaps, bold lead sentences."""
    lines = [line.strip(" \t　") for line in clean(body).split("\n")]
    lines = [line for line in lines if line]
    used = {level for line in lines if is_heading(line) and (level := level_of(line)) is not None}
    tags = dict(zip(sorted(used), _HEADINGS, strict=False))
    return nh3.clean("\n".join(_blocks(lines, tags)), tags=_TAGS, attributes={"p": {"class"}})


def _blocks(lines: list[str], tags: dict[int, str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        level = level_of(line)
        if level is not None and is_heading(line):
            tag = tags[level]
            yield f"<{tag}>{html.escape(line)}</{tag}>"
        elif number == 0 and line.endswith(("：", ":")):
            yield f'<p class="flush">{html.escape(line)}</p>'
        else:
            yield f"<p>{_paragraph(line)}</p>"


def _paragraph(line: str) -> str:
    """A numbered paragraph shows its first sentence, the heading run in, in bold."""
    end = line.find("。")
    if level_of(line) is not None and 0 < end < min(LONGEST_HEADING, len(line) - 1):
        return f"<strong>{html.escape(line[: end + 1])}</strong>{html.escape(line[end + 1 :])}"
    return html.escape(line)


def title_parts(title: str) -> tuple[str, ...]:
    """A title where it may best be broken: after its issuer, before 关于 (GB/T 9704 §7.3.1)."""
    at = title.find("关于")
    return (title[:at], title[at:]) if at >= 4 else (title,)


def opening(body: str, length: int = 80) -> str:
    """The first words of a body that say something, as a summary where nobody wrote one."""
    for line in clean(body).split("\n"):
        line = line.strip(" \t　")
        if line and not line.endswith(("：", ":")) and not is_heading(line):
            return line if len(line) <= length else line[: length - 1].rstrip("，、；") + "…"
    return ""
