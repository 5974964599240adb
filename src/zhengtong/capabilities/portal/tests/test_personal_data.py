"""Every valid number is found wherever it hides; numbers that are nobody's mostly pass."""

import random
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhengtong.capabilities.portal.domain.personal_data import (
    Certainty,
    Finding,
    Kind,
    check_digit,
    find_personal_data,
    luhn,
)

# Published examples: the ISO 7064 sample of GB 11643, the usual Luhn test numbers.
GB_11643_EXAMPLE = "11010519491231002X"
LUHN_EXAMPLES = ("4111111111111111", "5555555555554444", "6250941006528599")

birth_dates = st.dates(date(1900, 1, 1), date(2026, 11, 23))
regions = st.sampled_from(["411621", "411602", "110105", "659004", "810000", "350102"])
hanzi = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)
chinese = st.text(st.one_of(hanzi, st.sampled_from("，。：（）\n")), max_size=30)
wide = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


@st.composite
def identities(draw: st.DrawFn) -> str:
    first17 = f"{draw(regions)}{draw(birth_dates):%Y%m%d}{draw(st.integers(0, 999)):03}"
    return first17 + check_digit(first17)


@st.composite
def cards(draw: st.DrawFn) -> str:
    length = draw(st.integers(16, 19))
    body = "62" + "".join(
        draw(st.lists(st.sampled_from("0123456789"), min_size=length - 3, max_size=length - 3))
    )
    return next(body + last for last in "0123456789" if luhn(body + last))


def only(text: str) -> Finding:
    (finding,) = find_personal_data(text)
    return finding


def kinds(text: str) -> list[Kind]:
    return [finding.kind for finding in find_personal_data(text)]


def test_the_standards_own_examples() -> None:
    assert check_digit(GB_11643_EXAMPLE[:17]) == "X"
    assert only(GB_11643_EXAMPLE).kind is Kind.IDENTITY
    assert all(luhn(number) for number in LUHN_EXAMPLES)
    assert not luhn("4111111111111112")


@given(identities(), chinese, chinese, st.booleans(), st.sampled_from(["", " ", "-", "　", "\r\n"]))
@settings(max_examples=400, deadline=None)
def test_every_identity_number_is_found_in_any_chinese_text(
    number: str, before: str, after: str, full_width: bool, gap: str
) -> None:
    shown = gap.join((number[:6], number[6:14], number[14:]))
    text = before + (shown.translate(wide) if full_width else shown) + after
    found = [f for f in find_personal_data(text) if f.kind is Kind.IDENTITY]
    assert [f.span for f in found] == [(len(before), len(before) + len(shown))]
    assert found[0].certainty is Certainty.CERTAIN
    assert number[3:16] not in found[0].masked
    assert len(found[0].masked) == 18


@given(identities(), st.integers(0, 16), st.integers(1, 9))
@settings(max_examples=300, deadline=None)
def test_one_mistyped_digit_is_no_longer_an_identity_number(
    number: str, place: int, shift: int
) -> None:
    wrong = str((int(number[place]) + shift) % 10)
    text = number[:place] + wrong + number[place + 1 :]
    assert Kind.IDENTITY not in kinds(text)


@given(identities())
@settings(max_examples=50, deadline=None)
def test_digits_typed_one_by_one_and_small_x_are_found(number: str) -> None:
    assert only("身份证：" + " ".join(number.lower()) + "。").kind is Kind.IDENTITY


@given(cards(), chinese, st.booleans())
@settings(max_examples=200, deadline=None)
def test_bank_cards_are_found_whole_or_in_fours(number: str, before: str, split: bool) -> None:
    shown = " ".join(number[n : n + 4] for n in range(0, len(number), 4)) if split else number
    found = find_personal_data(f"{before}卡号{shown}开户行")
    assert [(f.kind, f.certainty) for f in found] == [(Kind.BANK_CARD, Certainty.CERTAIN)]


@pytest.mark.parametrize(
    "shown",
    [
        "13800000000", "138 0000 0000", "138-0000-0000", "+8613800000000", "+86 138 0000 0000",
        "0086-13800000000", "１３８００００００００", "1 3 8 0 0 0 0 0 0 0 0", "19900000000",
    ],
)  # fmt: skip
def test_mobile_numbers_as_people_write_them(shown: str) -> None:
    assert only(f"联系人张示例，电话{shown}，地址略").kind is Kind.MOBILE


@pytest.mark.parametrize(
    ("text", "kind", "certainty"),
    [
        ("护照号码 E12345678", Kind.PASSPORT, Certainty.LIKELY),
        ("编号 EA1234567", Kind.PASSPORT, Certainty.POSSIBLE),
        ("通行证C12345678", Kind.PASSPORT, Certainty.LIKELY),
        ("写信到 zhang.san@example.com。", Kind.EMAIL, Certainty.LIKELY),
        ("写信到ｚｓ＠example.com", Kind.EMAIL, Certainty.LIKELY),
        ("豫P·12345", Kind.PLATE, Certainty.LIKELY),
        ("豫PD12345", Kind.PLATE, Certainty.LIKELY),
        ("京A1234警", Kind.PLATE, Certainty.LIKELY),
        ("身份证号412723850101123", Kind.IDENTITY, Certainty.LIKELY),
        ("收款4111111111111111", Kind.BANK_CARD, Certainty.POSSIBLE),
    ],
)
def test_other_kinds(text: str, kind: Kind, certainty: Certainty) -> None:
    finding = only(text)
    assert (finding.kind, finding.certainty) == (kind, certainty)
    assert "*" in finding.masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "周政办〔2026〕17号 2026年11月23日 0394-8222222",
        "统一社会信用代码 11411600006087123X",
        "依据 GB/T 9704-2012、GB 11643-1999 和 ISO 19115-1",
        "投资 1380000.00 万元，面积 11959 平方公里，人口 9026015",
        "咨询邮箱 zhoukou@zhoukou.gov.cn",
        "411602199913011234",  # month 13
        "12345678901234567890123456789",
        "2026 11 23 10 30 00 2026 11 24 10 30 00",
        "豫剧ABCDE 豫A路段",
        "SGD12345678",
    ],
)
def test_public_figures_are_left_alone(text: str) -> None:
    assert find_personal_data(text) == []


def test_a_roster_row_gives_each_thing_once_and_in_order() -> None:
    number = "41162119900307123"
    number += check_digit(number)
    row = f"张示例\t{number}\t13800000000\t6250941006528599\n李示例\t{number}\t13900000000\n"
    found = find_personal_data(row)
    assert [f.kind for f in found] == [
        Kind.IDENTITY, Kind.MOBILE, Kind.BANK_CARD, Kind.IDENTITY, Kind.MOBILE,
    ]  # fmt: skip
    assert [row[slice(*f.span)] for f in found][:2] == [number, "13800000000"]
    assert found[1].masked == "138******00"


def test_neighbouring_cells_and_lines_do_not_make_a_phone_number() -> None:
    assert find_personal_data("138\t0000\t0000\n138\n0000\n0000\n") == []


def test_large_tables_of_small_numbers_take_linear_time() -> None:
    """Quadratic work would take minutes here and trip the suite's time limit."""
    assert find_personal_data("9 " * 50_000) == []


def test_a_birth_date_in_the_future_is_none() -> None:
    first17 = "41162120300101123"
    number = first17 + check_digit(first17)
    assert Kind.IDENTITY in kinds(number)
    assert find_personal_data(number, today=date(2026, 11, 23)) == []


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_findings_lie_inside_the_text_without_overlap(text: str) -> None:
    end = 0
    for finding in find_personal_data(text):
        assert end <= finding.span[0] < finding.span[1] <= len(text)
        end = finding.span[1]


def test_random_numbers_are_seldom_mistaken_for_a_person() -> None:
    """20,000 eighteen-digit numbers: 1 in 40,000 passes region, date and check digit."""
    dice = random.Random(9704)
    lines = [f"第{n}行 {dice.randrange(10**17, 10**18)} 单" for n in range(20_000)]
    found = find_personal_data("\n".join(lines))
    assert sum(f.kind is Kind.IDENTITY for f in found) < 5
    assert len(found) < 20_000 * 0.005


def test_every_person_of_a_large_roster_is_found() -> None:
    dice = random.Random(9704)
    numbers = []
    for _ in range(5_000):
        born = date(1930, 1, 1) + timedelta(days=dice.randrange(35_000))
        first17 = f"4116{dice.choice((21, 22, 24, 81))}{born:%Y%m%d}{dice.randrange(1000):03}"
        numbers.append(first17 + check_digit(first17))
    rows = [f"{n}、某某，男，{number}，补贴{n}元\n" for n, number in enumerate(numbers)]
    text = "".join(rows)
    found = [f for f in find_personal_data(text) if f.kind is Kind.IDENTITY]
    assert [text[slice(*f.span)] for f in found] == numbers
