"""Facts cross between versions: what was once sent is understood for ever, and nothing by half."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernel.fact_samples import SAMPLES, path_of, sample
from tests.kernel.probes import register_fact
from zhengtong.kernel.messages import facts
from zhengtong.kernel.messages.facts import (
    Fact,
    FileRef,
    MalformedFact,
    UnknownKind,
    decode,
    encode,
    files_of,
)

KINDS = sorted(facts.kinds())
# To the second, as local times were before 1950.
OFFSETS = st.integers(-50_000, 50_000).map(lambda seconds: timezone(timedelta(seconds=seconds)))
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=30),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    bytes: st.binary(max_size=40),
    datetime: st.datetimes().map(lambda at: at.replace(tzinfo=UTC))
    | st.builds(datetime, st.integers(1900, 2200), *[st.just(7)] * 5, tzinfo=OFFSETS),
    date: st.dates(),
    UUID: st.uuids(),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Every value a field of this type may have."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (held,) = [arg for arg in inner if arg is not type(None)]
        return st.none() | values_of(held)
    if origin is tuple:
        return st.lists(values_of(inner[0]), max_size=3).map(tuple)
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        hints = typing.get_type_hints(hint)
        named = {field.name: hints[field.name] for field in dataclasses.fields(hint)}
        return st.builds(hint, **{name: values_of(held) for name, held in named.items()})
    return PLAIN[hint]


def fact_of(kind: str) -> type[Any]:
    return facts.kinds()[kind]


# ── every fact of the house ──


def test_the_house_has_facts() -> None:
    assert {"documents.dispatched", "documents.signed_for", "kernel.file_piece"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_fact_arrives_as_it_was_told(kind: str, data: st.DataObject) -> None:
    told = data.draw(values_of(fact_of(kind)))
    body = encode(told)
    assert decode(kind, body) == told
    assert encode(decode(kind, body)) == body  # the same fact has the same bytes


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_once_sent_still_says_the_same(kind: str) -> None:
    stored = path_of(kind)
    assert stored.exists(), "run: python -m tests.kernel.fact_samples"
    body = stored.read_bytes()
    assert decode(kind, body) == sample(fact_of(kind), kind, cbor2.loads(body))


def test_no_kind_of_fact_disappears() -> None:
    assert {path.stem for path in SAMPLES.iterdir()} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_node_may_say_more(kind: str) -> None:
    more = cbor2.loads(path_of(kind).read_bytes()) | {"later": {"any": [1, None]}, "又一项": 7}
    assert decode(kind, cbor2.dumps(more)) == decode(kind, path_of(kind).read_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_required_may_be_missing_and_no_type_be_wrong(kind: str) -> None:
    cls, whole = fact_of(kind), cbor2.loads(path_of(kind).read_bytes())
    for field in dataclasses.fields(cls):
        wrong = {**whole, field.name: 3.5}
        with pytest.raises(MalformedFact, match=f"{kind}.{field.name}"):
            decode(kind, cbor2.dumps(wrong))
        if field.default is dataclasses.MISSING:
            rest = {name: value for name, value in whole.items() if name != field.name}
            with pytest.raises(MalformedFact, match=rf"{field.name}: missing"):
                decode(kind, cbor2.dumps(rest))


# ── the types, one by one ──


@dataclasses.dataclass(frozen=True)
class Told(Fact):
    number: int = 0
    text: str = ""
    flag: bool = False
    at: datetime | None = None
    day: date | None = None
    files: tuple[FileRef, ...] = ()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> str:
    register_fact(monkeypatch, "probe.told", Told)
    return "probe.told"


NAIVE = cbor2.CBORTag(0, "2026-07-01T08:00:00")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", True),
        ("number", 1.0),
        ("number", "1"),
        ("number", None),
        ("flag", 1),
        ("text", b"x"),
        ("text", 1),
        ("at", "2026-07-01"),
        ("at", date(2026, 7, 1)),
        ("at", NAIVE),
        ("day", datetime(2026, 7, 1, tzinfo=UTC)),
        ("files", {"a": 1}),
        ("files", "abc"),
        ("files", [1]),
        ("files", [{"sha256": "0", "name": "n", "size": "1", "media_type": "m"}]),
        ("files", [{"sha256": "0", "name": "n"}]),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_field(
    told: str, field: str, value: object
) -> None:
    with pytest.raises(MalformedFact, match=r"probe\.told"):
        decode(told, cbor2.dumps({field: value}))


@pytest.mark.parametrize("body", [b"", b"\xff", b"\xa1", b"\x80", b"\x01", b"\xf6", b"\x81" * 5000])
def test_bytes_that_are_no_fact_are_refused(told: str, body: bytes) -> None:
    with pytest.raises(MalformedFact):
        decode(told, body)


@given(body=st.binary(max_size=60))
def test_no_bytes_at_all_do_worse_than_be_refused(body: bytes) -> None:
    for kind in ("documents.dispatched", "kernel.file_piece"):
        with pytest.raises(MalformedFact):
            decode(kind, body)


def test_an_unknown_kind_is_told_apart() -> None:
    with pytest.raises(UnknownKind, match=r"weather\.changed"):
        decode("weather.changed", encode(Told()))


def test_a_time_without_a_zone_cannot_be_told() -> None:
    with pytest.raises(MalformedFact, match="zone"):
        encode(Told(at=datetime(2026, 7, 1)))  # noqa: DTZ001


def test_one_instant_has_one_form_whatever_its_zone() -> None:
    here = datetime(2026, 7, 1, 16, tzinfo=timezone(timedelta(hours=8)))
    assert encode(Told(at=here)) == encode(Told(at=here.astimezone(UTC)))


def test_a_type_no_fact_can_hold_is_a_programming_error(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass(frozen=True)
    class Bad(Fact):
        price: float

    register_fact(monkeypatch, "probe.bad", Bad)
    with pytest.raises(TypeError, match="facts cannot hold"):
        decode("probe.bad", cbor2.dumps({"price": 1.5}))


def test_the_files_of_a_fact_are_known_and_most_have_none() -> None:
    reference = FileRef("0" * 64, "附件.pdf", 1, "application/pdf")
    assert files_of(Told(files=(reference,))) == (reference,)
    assert files_of(facts.kinds()["documents.fell_due"](UUID(int=1))) == ()  # type: ignore[call-arg]
