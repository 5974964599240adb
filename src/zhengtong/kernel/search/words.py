"""How Chinese text becomes searchable terms, and how a typed query becomes phrases. Pure.

A text yields two kinds of term. *Words* (rjieba's segmentation) carry meaning and the ranking.
*Bigrams* (every two neighbouring characters) carry recall: whatever two characters a person
types, each page that contains them is found, however the page was segmented.

A long word also yields the dictionary words it begins or ends with (民政局 → 民政), never those
in its middle: 人民政府 must not count as a page about 民政.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import add

# A query longer than this is cut: what remains asks for less, so nothing that fits is lost.
LONGEST_QUERY = 200
MOST_PHRASES = 12

# Maximal runs of letters, digits and Chinese characters; everything else separates.
_RUN = re.compile(r"[^\W_]+")
_HAN = re.compile(r"[㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff]")
_LETTERS_OR_DIGITS = re.compile(r"\d+|[^\W\d_]+")
# 〔2026〕12号 with any of the brackets that people type instead of the official ones.
BRACKETED_NUMBER = r"[〔\[(（［【〖]\s*{}\s*[〕\])）］】〗]\s*第?\s*0*{}\s*号"
_NUMBER = re.compile(BRACKETED_NUMBER.format(r"((?:19|20)\d\d)", r"(\d{1,6})"))

# Words that say nothing about the subject: a query asks for them only when it has no other.
_EMPTY_WORDS = frozenset(
    """
    关于 有关 以及 或者 并且 为了 对于 根据 按照 我们 你们 他们 这个 那个 一个 一下
    可以 能否 是否 是不是 我要 我想 请问 咨询 怎么 怎样 如何 怎么办 什么 哪些 哪里 哪儿 多少
    需要 应该
    """.split()
)


def normalise(text: str) -> str:
    """Text in the form that is indexed and compared: NFKC, case folded.

    Full-width letters and digits become ordinary ones; traditional characters stay as they are.
    Half a surrogate pair, which is no character, becomes a question mark.
    """
    text = text.encode(errors="replace").decode()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def add_words(names: Iterable[str]) -> None:
    """Teach the segmenter names of organisations and places (周口市民政局, 项城市).

    The dictionary belongs to the whole process: call once at start, before indexing. Each name
    still yields the words it is made of, so a page is found by 民政 as well as by its full name.
    Names of one character are ignored.
    """
    import rjieba

    # The shorter first: a place known by then helps to cut the longer name rightly.
    for name in sorted({normalise(each).strip() for each in names}, key=lambda n: (len(n), n)):
        if len(name) < 2 or name in _taught or not _RUN.fullmatch(name):
            continue
        parts = rjieba.cut(name)
        whole = _PLACE.fullmatch(name) or min(map(len, parts)) == 1
        _taught[name] = (name,) if whole else tuple(parts)
        rjieba.add_word(name, _FREQUENCY, "nt")
    _terms.cache_clear()


# Taught names and the known words they consist of: the name alone where that is a plain place
# (项城市 is not 项 and 城市). The frequency is high enough to hold a name together.
_taught: dict[str, tuple[str, ...]] = {}
_FREQUENCY = 100_000
_PLACE = re.compile(r"[^省市县区乡镇]{2,}[省市县区乡镇]")


def words(text: str) -> list[str]:
    """The word terms of a text in their order, repeated as often as they occur.

    Includes sub-words at the edges of longer words, numbers and letters whole and by parts
    (gb9704 → gb9704, gb, 9704), and document numbers as one term (〔2026〕12).
    """
    import rjieba

    plain = normalise(text)
    found: list[str] = []
    for piece in rjieba.cut(plain):
        found += _terms(piece)
    for year, serial in _NUMBER.findall(plain):
        found += [_document_number(year, serial), serial]
    return found


def is_word_at(text: str, place: int, term: str) -> bool:
    """Whether a term that occurs at `place` is a word there, or the edge of one."""
    import rjieba

    begin = 0
    for piece in rjieba.cut(text):
        end = begin + len(piece)
        if place < end:
            return place + len(term) <= end and (place == begin or place + len(term) == end)
        begin = end
    return False


def bigrams(text: str) -> set[str]:
    """Every two neighbouring characters of a text, punctuation and spaces apart."""
    found: set[str] = set()
    for run in _RUN.findall(normalise(text)):
        found.update(map(add, run, run[1:]))
    return found


def characters(text: str) -> set[str]:
    """Every single character of a text that is a letter, a digit or Chinese."""
    return set("".join(_RUN.findall(normalise(text))))


@dataclass(frozen=True, slots=True)
class Phrase:
    """One uninterrupted run of a query.

    text   the run as normalised, for highlighting
    words  terms a page about the subject carries, all of them
    grams  bigrams of the run; a page containing the run carries all of them, too
    """

    text: str
    words: tuple[str, ...]
    grams: tuple[str, ...]

    @property
    def single(self) -> bool:
        """Whether this is one character: too little to demand, enough to look for in titles."""
        return len(self.text) == 1


def phrases(query: str) -> list[Phrase]:
    """What a typed query asks for; empty when it has neither letter, digit nor character."""
    plain = normalise(query[:LONGEST_QUERY])[:LONGEST_QUERY]
    numbers = _in_order(_document_number(*match) for match in _NUMBER.findall(plain))
    found = [Phrase(number, (number,), ()) for number in numbers]
    for run in _RUN.findall(_NUMBER.sub(" ", plain)):
        if all(run != known.text for known in found):
            found.append(Phrase(run, _asked(run), _in_order(map(add, run, run[1:]))))
    return found[:MOST_PHRASES]


def _asked(run: str) -> tuple[str, ...]:
    """The words a page must carry to match a run: whole words, without empty ones."""
    import rjieba

    whole: list[str] = []
    for piece in rjieba.cut(run):
        for part in _taught.get(piece, (piece,)):
            whole += [term for term in _terms(part) if term == part] or _terms(part)
    return _in_order(w for w in whole if w not in _EMPTY_WORDS) or _in_order(whole)


def _document_number(year: str, serial: str) -> str:
    return f"〔{year}〕{serial}"


def _in_order(terms: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(terms))


@lru_cache(maxsize=20_000)
def _terms(piece: str) -> tuple[str, ...]:
    """The terms of one piece of segmented text: itself, and the words at its edges."""
    import rjieba

    runs = _RUN.findall(piece)
    if not runs:
        return ()
    if len(runs) > 1 or not _HAN.search(piece):
        # Numbers and foreign words: 9704-2012, 3.5, covid19. The whole without its punctuation
        # is never asked for, so only its parts and the unbroken runs become terms.
        shorter = [part for run in runs for part in _LETTERS_OR_DIGITS.findall(run)]
        return _in_order([*runs, *shorter])
    if len(piece) < 2:
        return ()
    parts = _taught.get(piece, ())
    if len(parts) > 1:
        return _in_order([piece, *(term for part in parts for term in _terms(part))])
    if parts:
        return (piece, piece[:-1]) if _PLACE.fullmatch(piece) else (piece,)
    edges: list[str] = []
    for length in range(len(piece) - 1, 1, -1):
        edges += [e for e in (piece[:length], piece[-length:]) if rjieba.has_word(e)]
    return _in_order([piece, *edges])
