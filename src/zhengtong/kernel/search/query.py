"""From a typed query to a Tantivy query, built term by term: user text meets no query syntax.

A page matches when, for every run of the query, it carries all words of the run or all its
bigrams. The second makes recall complete, the first the ranking: pages that carry a run's whole
words stand above those that merely contain its characters (民政 in 人民政府).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from zhengtong.kernel.search.entry import Reader, answers_to
from zhengtong.kernel.search.store import schema
from zhengtong.kernel.search.words import Phrase

if TYPE_CHECKING:
    from tantivy import Occur, Query

TITLE_WORD = 4.0
TITLE_RUN = 6.0
BODY_RUN = 2.0
# Above any sum of word scores, small enough for 32-bit scores to keep their fine order.
WHOLE_WORDS = 1000.0


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search is narrowed to; an empty part does not narrow. since ≤ date < until."""

    kinds: tuple[str, ...] = ()
    organisation: str = ""
    site: str = ""
    column: str = ""
    since: datetime | None = None
    until: datetime | None = None


def allowed(reader: Reader, scope: Scope) -> Query:
    """Everything in scope that the label rule lets this reader read; adds nothing to scores."""
    from tantivy import FieldType, Query

    parts = [_one_of("audience", answers_to(reader))]
    if scope.kinds:
        parts.append(_one_of("kind", scope.kinds))
    for field in ("organisation", "site", "column"):
        if value := getattr(scope, field):
            parts.append(_one_of(field, (value,)))
    if scope.since or scope.until:
        parts.append(
            Query.range_query(
                schema(),
                "date",
                FieldType.Date,
                scope.since,
                scope.until,
                include_upper=scope.until is None,
            )
        )
    return Query.const_score_query(_all(parts), 0.0)


def matching(wanted: Sequence[Phrase], *, half: bool = False) -> Query:
    """Pages that fit the query, scored by their words. `half`: half of all words is enough."""
    from tantivy import Query

    demanded = [phrase for phrase in wanted if not phrase.single]
    if not demanded:
        return _all([_term("title_grams", phrase.text) for phrase in wanted])
    if half:
        words = [word for phrase in demanded for word in phrase.words]
        return Query.boolean_query(_should(_terms("words", words)), (len(words) + 1) // 2)
    return _all([_carries(phrase) for phrase in demanded])


def raising(wanted: Sequence[Phrase]) -> list[Query]:
    """What raises one matching page above another, beyond the words that made it match."""
    from tantivy import Query

    found: list[Query] = []
    for phrase in wanted:
        found += [Query.boost_query(q, TITLE_WORD) for q in _terms("title_words", phrase.words)]
        if phrase.grams:
            run = _all(_terms("title_grams", phrase.grams))
            found.append(Query.const_score_query(run, TITLE_RUN))
        if phrase.single or _is_word(phrase):
            found += _terms("words", phrase.words)
    lone = [p.words[0] for p in wanted if len(p.words) == 1 and not p.single]
    if lone:
        found.append(Query.const_score_query(_all(_terms("words", lone)), WHOLE_WORDS))
    return found


def ranked(condition: Query, raises: Iterable[Query]) -> Query:
    """Pages meeting a condition, the scores of `raises` added to its own."""
    from tantivy import Occur, Query

    return Query.boolean_query([(Occur.Must, condition), *_should(raises)])


def both(first: Query, second: Query) -> Query:
    """Pages that meet the two conditions."""
    return _all([first, second])


def _carries(phrase: Phrase) -> Query:
    """A run is met by all its words or all its bigrams."""
    from tantivy import Query

    by_words = _all(_terms("words", phrase.words))
    if not phrase.grams:
        return by_words
    by_grams = Query.const_score_query(_all(_terms("grams", phrase.grams)), BODY_RUN)
    if not phrase.words or _is_word(phrase):  # a page with the one word has its bigrams, too
        return by_grams
    return Query.boolean_query(_should([by_words, by_grams]))


def _is_word(phrase: Phrase) -> bool:
    return phrase.words == (phrase.text,)


def _term(field: str, value: str) -> Query:
    from tantivy import Query

    return Query.term_query(schema(), field, value, "freq")


def _terms(field: str, values: Iterable[str]) -> list[Query]:
    return [_term(field, value) for value in values]


def _one_of(field: str, values: Sequence[str]) -> Query:
    from tantivy import Query

    if len(values) == 1:
        return _term(field, values[0])
    return Query.term_set_query(schema(), field, list(values))


def _all(parts: Sequence[Query]) -> Query:
    from tantivy import Occur, Query

    if len(parts) == 1:
        return parts[0]
    return Query.boolean_query([(Occur.Must, part) for part in parts])


def _should(parts: Iterable[Query]) -> list[tuple[Occur, Query]]:
    from tantivy import Occur

    return [(Occur.Should, part) for part in parts]
