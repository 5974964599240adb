"""The piece of a page that shows why it was found, cut into marked and unmarked segments. Pure.

Segments are plain text, never markup: joined in order they are the text shown, and the template
escapes each and wraps the marked ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from zhengtong.kernel.search.words import BRACKETED_NUMBER, Phrase, is_word_at, normalise

Segments = tuple[tuple[str, bool], ...]

EXCERPT = 120
_LEAD = 30
_CONTEXT = 8
_CANDIDATES = 12
# A body is searched this far when its own spelling has to be normalised first.
_REACH = 5_000
_SENTENCE_END = "。！？；!?;\n"
_ELLIPSIS = ("…", False)


def pattern(wanted: Sequence[Phrase]) -> re.Pattern[str] | None:
    """What to mark in normalised text: the typed runs and their words, the longest first."""
    terms = {term for phrase in wanted for term in (phrase.text, *phrase.words)}
    longest_first = sorted(terms, key=lambda term: (-len(term), term))
    return re.compile("|".join(map(_spelling, longest_first))) if terms else None


def marked(text: str, marks: re.Pattern[str] | None) -> Segments:
    """The whole text, with the occurrences of `marks` marked.

    Where 民政 stands as a word, the same two characters inside 人民政府 stay unmarked.
    """
    if marks is None:
        return ((text, False),) if text else ()
    plain, origin = _comparable(text)
    segments: list[tuple[str, bool]] = []
    done = 0
    found = list(marks.finditer(plain))
    for match in [m for m in found if _stands(plain, m.start(), m.group())] or found:
        start, end = origin[match.start()], origin[match.end() - 1] + 1
        if start < done:  # two marks inside one compatibility character
            continue
        segments += [(text[done:start], False), (text[start:end], True)]
        done = end
    segments.append((text[done:], False))
    return tuple(segment for segment in segments if segment[0])


def excerpt(body: str, wanted: Sequence[Phrase], marks: re.Pattern[str] | None) -> Segments:
    """About `EXCERPT` characters of a body around what was sought, or its beginning."""
    at = _best_place(body, wanted)
    start = _sentence_start(body, at)
    end = min(len(body), start + EXCERPT)
    shown = marked(re.sub(r"\s+", " ", body[start:end]).strip(), marks)
    before = (_ELLIPSIS,) if start > 0 and shown else ()
    after = (_ELLIPSIS,) if end < len(body) and shown else ()
    return (*before, *shown, *after)


def _best_place(body: str, wanted: Sequence[Phrase]) -> int:
    """Where to look first: as spelt, which costs least, else by comparison, else the start."""
    place = _place_in(body, wanted)
    if place is not None:
        return place
    plain, origin = _comparable(body[:_REACH])
    place = _place_in(plain, wanted)
    return 0 if place is None else origin[place]


def _place_in(text: str, wanted: Sequence[Phrase]) -> int | None:
    """A whole run standing as a word, else any run, else any word."""
    for run in sorted((phrase.text for phrase in wanted), key=len, reverse=True):
        places = [match.start() for match in islice(_found(run, text), _CANDIDATES)]
        if places:
            return next((place for place in places if _stands(text, place, run)), places[0])
    for word in (word for phrase in wanted for word in phrase.words):
        if match := next(_found(word, text), None):
            return match.start()
    return None


def _found(term: str, text: str) -> Iterator[re.Match[str]]:
    return re.finditer(_spelling(term), text)


def _stands(text: str, place: int, term: str) -> bool:
    """Whether a term is more than two characters that happen to meet inside or between words."""
    if len(term) != 2:
        return True
    begin = max(0, place - _CONTEXT)
    return is_word_at(text[begin : place + 2 + _CONTEXT], place - begin, term)


def _spelling(term: str) -> str:
    """A regular expression for a term; a document number is met however it is bracketed."""
    number = re.fullmatch(r"〔(\d{4})〕(\d+)", term)
    return BRACKETED_NUMBER.format(*number.groups()) if number else re.escape(term)


def _sentence_start(body: str, at: int) -> int:
    """The start of the sentence around a place, if it is near, else a little before it."""
    earliest = max(0, at - _LEAD)
    ends = [body.rfind(mark, earliest, at) for mark in _SENTENCE_END]
    return max(earliest, max(ends) + 1)


def _comparable(text: str) -> tuple[str, Sequence[int]]:
    """The text as normalised, and for each of its characters the place it came from."""
    plain = normalise(text)
    if len(plain) == len(text):
        return plain, range(len(text))
    pieces = [normalise(character) for character in text]
    origin = [place for place, piece in enumerate(pieces) for _ in piece]
    return "".join(pieces), origin
