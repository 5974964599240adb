"""Personal data in a text that is about to become public.

Rosters with full identity numbers have really been published by government sites; this finds them
before that. Everything with an arithmetic proof (identity number: GB 11643 check digit and date;
bank card: Luhn) is held to it, everything else to its issuing rules, and words near by
("护照", "账号") raise the certainty. It is a warning for a second pair of eyes, not a verdict:
what matches may be innocent, and what is written in words or in a picture is not seen.

Not reported: landlines and mailboxes under gov.cn, which offices publish on purpose.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum
from typing import Final


class Kind(StrEnum):
    """What was found; the value is what people read."""

    IDENTITY = "身份证号"
    MOBILE = "手机号"
    BANK_CARD = "银行卡号"
    PASSPORT = "护照或通行证号"
    EMAIL = "电子邮箱"
    PLATE = "车牌号"


class Certainty(IntEnum):
    """How sure the finding is, in order: shape only, issuing rules or context, arithmetic proof."""

    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """`span` is (start, end) in the text as given; `masked` may be shown, logged and stored."""

    kind: Kind
    span: tuple[int, int]
    masked: str
    certainty: Certainty


def find_personal_data(text: str, *, today: date | None = None) -> list[Finding]:
    """All findings in order of position, without overlaps.

    Full-width digits and letters count as their ASCII twins; digits may be split by spaces,
    hyphens or (identity numbers only) a line break. Birth dates lie before `today`, if given.
    """
    flat = text.translate(_NARROW)  # one character for one: spans stay those of `text`
    words = _context(flat)
    candidates = [
        *_numbers(flat, words, today or date(2099, 12, 31)),
        *_shapes(flat, words),
    ]
    return _without_overlaps(candidates)


# ── numbers: runs of digits, perhaps split ───────────────────────────────────

_NARROW: Final = {full: full - 0xFEE0 for full in range(0xFF01, 0xFF5F)}
# A tab ends a table cell and never stands inside a number; a line break may (wrapped columns).
_GAP: Final = r"(?:[ \-‐‑‒–—·.\u00a0\u2000-\u200d\u3000\ufeff]{1,3}|\r?\n)"
_RUN: Final = re.compile(rf"[0-9]+(?:{_GAP}[0-9]+)*(?:(?:{_GAP})?[Xx](?![A-Za-z0-9]))?")
_PART: Final = re.compile("[0-9]+[Xx]?|[Xx]")
_SHORTEST, _LONGEST = 11, 19

_PROVINCE: Final = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")  # GB/T 2260
# How people split an identity number; any other split may be neighbouring columns of a table.
_IDENTITY_GROUPS: Final = {(6, 8, 4), (6, 4, 4, 4), (4, 4, 4, 4, 2), (3, 3, 4, 4, 4), (1,) * 18}
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS: Final = "10X98765432"
# Ranges that the ministry has given to mobile networks; 14x and 16x, 17x, 19x only in part.
_MOBILE: Final = re.compile(r"1(?:3\d|4[5-9]|5[0-35-9]|6[25-7]|7[0-8]|8\d|9[0-35-9])\d{8}")
_MOBILE_GROUPS: Final = {(11,), (3, 4, 4), (3, 8), (7, 4), (3, 3, 5), (1,) * 11}
_SCHEME: Final = re.compile("4|5[1-5]|35")  # Visa, Mastercard, JCB
_COUNTRY_CODES: Final = ("", "86", "0086")


def check_digit(first17: str) -> str:
    """The 18th character of an identity number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(w * int(digit) for w, digit in zip(_WEIGHTS, first17, strict=True))
    return _CHECK_DIGITS[total % 11]


def luhn(number: str) -> bool:
    """Whether a bank card number carries the right last digit (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _numbers(flat: str, words: "_Context", today: date) -> Iterator[Finding]:
    for run in _RUN.finditer(flat):
        if run.end() - run.start() < _SHORTEST:
            continue
        parts = [(part.group(), *part.span()) for part in _PART.finditer(flat, *run.span())]
        for first, (_, start, _) in enumerate(parts):
            digits: str = ""
            groups: tuple[int, ...] = ()
            for piece, _, end in parts[first : first + _LONGEST]:
                digits += piece
                groups += (len(piece),)
                if len(digits) > _LONGEST:
                    break
                if len(digits) < _SHORTEST:
                    continue
                verdict = _judge(digits.upper(), groups, (start, end), flat, words, today)
                if verdict is not None:
                    kind, certainty = verdict
                    yield Finding(kind, (start, end), _mask(flat[start:end]), certainty)


def _judge(
    digits: str,
    groups: tuple[int, ...],
    span: tuple[int, int],
    flat: str,
    words: "_Context",
    today: date,
) -> tuple[Kind, Certainty] | None:
    """What one complete sequence of digit groups is, if it is anything."""
    if len(digits) == 18 and _is_identity(digits, today):
        usual = len(groups) <= 2 or groups in _IDENTITY_GROUPS
        return Kind.IDENTITY, Certainty.CERTAIN if usual else Certainty.LIKELY
    if not digits.isdigit() or flat.find("\n", *span) >= 0:
        return None
    if len(digits) == 15 and words.near(_IDENTITY_WORDS, span) and _is_old_identity(digits, today):
        return Kind.IDENTITY, Certainty.LIKELY
    if _is_mobile(digits, groups):
        return Kind.MOBILE, Certainty.LIKELY
    return _bank_card(digits, groups, span, words)


def _is_identity(digits: str, today: date) -> bool:
    return (
        _PROVINCE.match(digits) is not None
        and digits[:17].isdigit()
        and _is_birth_date(digits[6:14], today)
        and check_digit(digits[:17]) == digits[17]
    )


def _is_old_identity(digits: str, today: date) -> bool:
    """Fifteen digits, issued until 1999: no century, no check digit."""
    return _PROVINCE.match(digits) is not None and _is_birth_date("19" + digits[6:12], today)


def _is_birth_date(digits: str, today: date) -> bool:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return date(1900, 1, 1) <= born <= today


def _is_mobile(digits: str, groups: tuple[int, ...]) -> bool:
    """Eleven digits, or thirteen and fifteen with the country code before them."""
    code = len(digits) - 11
    if digits[:code] not in _COUNTRY_CODES or not _MOBILE.fullmatch(digits, code):
        return False
    if code and groups[0] >= code:
        apart = groups[0] == code
        groups = groups[1:] if apart else (groups[0] - code, *groups[1:])
    return groups in _MOBILE_GROUPS


def _bank_card(
    digits: str, groups: tuple[int, ...], span: tuple[int, int], words: "_Context"
) -> tuple[Kind, Certainty] | None:
    """UnionPay 62 with 16 to 19 digits, the international schemes with 16; Luhn for all.

    A tenth of all numbers pass Luhn, so digits count as split only in fours or one by one.
    """
    fours = all(size == 4 for size in groups[:-1]) and groups[-1] <= 4
    if len(groups) > 1 and not fours and set(groups) != {1}:
        return None
    union = digits.startswith("62") and 16 <= len(digits) <= 19
    international = len(digits) == 16 and _SCHEME.match(digits) is not None
    if not (union or international) or not luhn(digits):
        return None
    if words.near(_BANK_WORDS, span):
        return Kind.BANK_CARD, Certainty.CERTAIN
    return Kind.BANK_CARD, Certainty.LIKELY if union else Certainty.POSSIBLE


# ── shapes: letters and digits ───────────────────────────────────────────────

_PASSPORT: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:E[A-HJ-NP-Z]\d{7}|[EG]\d{8}|[SDP]E?\d{7,8}|[HM]\d{8}(?:\d{2})?|[CWT]\d{8}"
    r"|C[A-HJ-NP-Z]\d{7})(?![A-Za-z0-9])",
    re.ASCII,
)
_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}"
    r"(?![A-Za-z0-9-])",
    re.ASCII,
)
_OFFICIAL: Final = re.compile(r"[@.]gov\.cn$", re.IGNORECASE)
_SERIAL: Final = "A-HJ-NP-Z0-9"
_PLATE: Final = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·•.\- ]?"
    rf"(?:[DF][{_SERIAL}]\d{{4}}|\d{{5}}[DF]|[{_SERIAL}]{{4}}[{_SERIAL}学警挂港澳])(?![A-Za-z0-9])",
    re.ASCII,
)


def _shapes(flat: str, words: "_Context") -> Iterator[Finding]:
    for hit in _PASSPORT.finditer(flat):
        sure = words.near(_PASSPORT_WORDS, hit.span())
        certainty = Certainty.LIKELY if sure else Certainty.POSSIBLE
        yield Finding(Kind.PASSPORT, hit.span(), _mask(hit.group()), certainty)
    for hit in _EMAIL.finditer(flat):
        if not _OFFICIAL.search(hit.group()):
            name, _, host = hit.group().partition("@")
            yield Finding(Kind.EMAIL, hit.span(), f"{name[0]}***@{host}", Certainty.LIKELY)
    for hit in _PLATE.finditer(flat):
        if sum(char.isdigit() for char in hit.group()) >= 2:
            yield Finding(Kind.PLATE, hit.span(), _mask(hit.group(), 2, 1), Certainty.LIKELY)


# ── context, masks, overlaps ─────────────────────────────────────────────────

_IDENTITY_WORDS: Final = re.compile("身份证|证件号|公民身份")
_BANK_WORDS: Final = re.compile("卡号|账号|帐号|账户|帐户|银行|开户|一卡通|信用社")
_PASSPORT_WORDS: Final = re.compile("护照|通行证|证件号|台胞证|回乡证")
_REACH: Final = 40  # characters before a number within which a word speaks for it


@dataclass(frozen=True)
class _Context:
    """Where the telling words end, sorted, per pattern."""

    ends: dict[re.Pattern[str], list[int]]

    def near(self, words: re.Pattern[str], span: tuple[int, int]) -> bool:
        ends = self.ends[words]
        at = bisect_left(ends, span[0] - _REACH)
        return at < len(ends) and ends[at] <= span[0]


def _context(flat: str) -> _Context:
    patterns = (_IDENTITY_WORDS, _BANK_WORDS, _PASSPORT_WORDS)
    return _Context({p: [hit.end() for hit in p.finditer(flat)] for p in patterns})


def _mask(shown: str, head: int = 3, tail: int = 2) -> str:
    """Keep the ends so that a person finds the place, hide what identifies."""
    core = "".join(char for char in shown if char.isalnum())
    return core[:head] + "*" * (len(core) - head - tail) + core[-tail:]


def _without_overlaps(candidates: Iterable[Finding]) -> list[Finding]:
    """The surer finding wins, then the longer one."""
    kept: list[Finding] = []
    taken: set[int] = set()
    order = sorted(candidates, key=lambda f: (-f.certainty, f.span[0] - f.span[1], f.span))
    for finding in order:
        places = range(*finding.span)
        if taken.isdisjoint(places):
            taken.update(places)
            kept.append(finding)
    return sorted(kept, key=lambda f: f.span)
