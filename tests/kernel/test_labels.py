"""The one label rule, in its three statements: the function, the SQL and the search's terms.

Every case of the decision table is put to all three. The table's 5,184 cases hold "an exception"
in one column; here a name in the 知悉范围 and a grant stand apart, and accredited nodes are added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import build
from tests.kernel.probes import task_of
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor, anonymous, node_actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.labels import (
    DEFAULT_CEILING,
    Label,
    Level,
    Share,
    Verdict,
    Zone,
    decide,
    may_enter,
)
from zhengtong.kernel.records import Grant, Named
from zhengtong.kernel.search.entry import Entry, answers_to, audience
from zhengtong.kernel.search.indexer import reader
from zhengtong.kernel.tasks import Task

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
CEILINGS = [*((zone, DEFAULT_CEILING[zone]) for zone in Zone)]
ACCREDITED = [(Zone.INNER, Level.SECRET), (Zone.INNER, Level.CONFIDENTIAL)]


@dataclass(frozen=True)
class Case:
    """One record of the enumeration, and what ties the reader to it."""

    label: Label
    own: bool
    named: bool
    granted: bool


def cases() -> list[Case]:
    return [
        Case(Label(level, share, is_open), own, named, granted)
        for level, share, is_open, own, named, granted in product(
            Level, Share, (False, True), (False, True), (False, True), (False, True)
        )
    ]


@dataclass
class Archive:
    """All cases as rows of one table, and the reader's two identities."""

    ours: UUID
    me: UUID
    rows: dict[UUID, Case]


@pytest.fixture
def archive(db: None) -> Archive:
    ours, theirs = build.organisation(), build.organisation("扶沟县人民政府", kind="county")
    third = build.organisation("沈丘县人民政府", kind="county")
    me, other = (build.person(ours, name=name).person for name in ("李明禾", "赵听雪"))
    assert me and other
    rows = {
        (task := task_of(ours if case.own else theirs, **_columns(case.label))).pk: (task, case)
        for case in cases()
    }
    Task.objects.bulk_create([task for task, _ in rows.values()])
    grants, names = [], []
    for pk, (_, case) in rows.items():
        # What must not count: a grant that ran out, a grant to a third party, another's name.
        grants.append(_grant(pk, ours, "过期", NOW - timedelta(seconds=1)))
        grants.append(_grant(pk, ours, "此刻到期", NOW))
        grants.append(_grant(pk, third, "他用", None))
        names.append(Named(record=pk, person_id=other))
        if case.granted:
            grants.append(_grant(pk, ours, "办案", NOW + timedelta(seconds=1)))
        if case.named:
            names.append(Named(record=pk, person_id=me))
    Grant.objects.bulk_create(grants)
    Named.objects.bulk_create(names)
    return Archive(ours.pk, me, {pk: case for pk, (_, case) in rows.items()})


def _columns(label: Label) -> dict[str, object]:
    return {"level": label.level, "share": label.share, "open": label.open}


def _grant(record: UUID, to: Organisation, purpose: str, expires: datetime | None) -> Grant:
    return Grant(record=record, organisation=to, purpose=purpose, expires_at=expires)


def verdict(case: Case, ceiling: Level, clearance: Level, is_anonymous: bool) -> Verdict:
    return decide(
        case.label,
        ceiling=ceiling,
        clearance=clearance,
        anonymous=is_anonymous,
        same_organisation=case.own,
        named=case.named,
        granted=case.granted,
    )


def entry_of(pk: UUID, case: Case, archive: Archive) -> Entry:
    return Entry(
        urn=f"urn:{pk}",
        kind="probe",
        title="值班表",
        body="",
        organisation=str(archive.ours) if case.own else "theirs",
        date=NOW,
        level=case.label.level,
        share=case.label.share,
        open=case.label.open,
        grants=("third", *([str(archive.ours)] if case.granted else [])),
        named=("other", *([str(archive.me)] if case.named else [])),
    )


def reader_of(archive: Archive, **given: Any) -> Actor:
    """An ordinary clerk of our organisation on a node of the private network."""
    values: dict[str, Any] = {
        "name": "读者",
        "urn": "urn:zhengtong:reader",
        "organisations": (archive.ours,),
        "clearance": Level.INTERNAL,
        "ceiling": Level.WORK_SECRET,
        "person": archive.me,
    }
    return Actor(**(values | given))


def test_function_sql_and_search_agree_on_every_case(archive: Archive) -> None:
    terms = {pk: set(audience(entry_of(pk, case, archive))) for pk, case in archive.rows.items()}
    seen = 0
    with moment.fixed(NOW):
        for (_, ceiling), clearance, unknown in product(
            CEILINGS + ACCREDITED, Level, (False, True)
        ):
            who = None if unknown else archive.me
            actor = reader_of(archive, clearance=clearance, ceiling=ceiling, person=who)
            by_sql = set(Task.objects.visible_to(actor).values_list("pk", flat=True))
            answers = set(answers_to(reader(actor)))
            for pk, case in archive.rows.items():
                permitted = verdict(case, ceiling, clearance, unknown).permits
                assert (pk in by_sql) is permitted, (case, ceiling, clearance, unknown)
                assert bool(terms[pk] & answers) is permitted, (case, ceiling, clearance, unknown)
                seen += 1
    assert seen == 288 * 60
    assert seen >= 5184


def test_a_single_record_is_judged_as_in_the_list(archive: Archive) -> None:
    me = reader_of(archive)
    listed = set(Task.objects.visible_to(me).values_list("pk", flat=True))
    for pk in list(archive.rows)[::7]:
        assert Task.objects.visible_to(me).filter(pk=pk).exists() is (pk in listed)


def test_somebody_without_a_post_sees_what_everybody_may(archive: Archive) -> None:
    found = set(Task.objects.visible_to(reader_of(archive, organisations=())))
    free = {
        pk
        for pk, case in archive.rows.items()
        if verdict(replace(case, own=False, granted=False), Level(2), Level(1), False).permits
    }
    assert {task.pk for task in found} == free


def test_the_node_reads_the_records_of_all_it_hosts(archive: Archive) -> None:
    with moment.fixed(NOW):
        found = set(Task.objects.visible_to(node_actor()).values_list("pk", flat=True))
    held = {pk for pk, case in archive.rows.items() if case.label.level <= Level.WORK_SECRET}
    assert found == held  # both owners live on this node; above its ceiling it reads nothing


def test_a_citizen_sees_what_was_released_and_nothing_else(archive: Archive) -> None:
    found = set(Task.objects.visible_to(anonymous()).values_list("pk", flat=True))
    released = {
        pk
        for pk, case in archive.rows.items()
        if case.label.level == Level.PUBLIC and case.label.open
    }
    assert found == released


def test_a_grant_ends_at_its_hour(archive: Archive) -> None:
    me = reader_of(archive)
    (pk,) = [
        pk
        for pk, case in archive.rows.items()
        if case == Case(Label(Level.INTERNAL, Share.CONDITIONAL), False, False, True)
    ]
    for seconds, visible in ((-1, True), (0, True), (1, False), (60, False)):
        with moment.fixed(NOW + timedelta(seconds=seconds)):
            assert Task.objects.visible_to(me).filter(pk=pk).exists() is visible


# ── properties of the function itself ──

judged: st.SearchStrategy[dict[str, object]] = st.builds(
    dict,
    label=st.builds(Label, st.sampled_from(Level), st.sampled_from(Share), st.booleans()),
    ceiling=st.sampled_from(Level),
    clearance=st.sampled_from(Level),
    anonymous=st.booleans(),
    same_organisation=st.booleans(),
    named=st.booleans(),
    granted=st.booleans(),
)


@given(judged)
def test_nobody_reads_up(case: dict[str, object]) -> None:
    label, ceiling, clearance = case["label"], case["ceiling"], case["clearance"]
    assert isinstance(label, Label) and isinstance(ceiling, Level) and isinstance(clearance, Level)
    if label.level > min(ceiling, clearance):
        assert not decide(**case).permits  # type: ignore[arg-type]


@given(judged, st.sampled_from(Level))
def test_more_clearance_never_hides_anything(case: dict[str, object], more: Level) -> None:
    clearance = case["clearance"]
    assert isinstance(clearance, Level)
    if decide(**case).permits:  # type: ignore[arg-type]
        assert decide(**case | {"clearance": max(more, clearance)}).permits  # type: ignore[arg-type]


def test_the_internet_holds_only_what_is_public_and_no_default_node_a_state_secret() -> None:
    assert DEFAULT_CEILING == {Zone.INNER: 2, Zone.PRIVATE: 2, Zone.PUBLIC: 0}
    for case, (zone, ceiling), clearance, unknown in product(
        cases(), CEILINGS, Level, (False, True)
    ):
        if verdict(case, ceiling, clearance, unknown).permits:
            assert case.label.level < Level.SECRET
            assert zone is not Zone.PUBLIC or case.label.level == Level.PUBLIC


def test_what_is_not_shared_is_never_reached_by_a_grant() -> None:
    for case in cases():
        found = verdict(case, Level.TOP_SECRET, Level.TOP_SECRET, False)
        if case.label.share == Share.REFUSED:
            assert found is not Verdict.PERMIT_GRANT
            without = Case(case.label, case.own, case.named, granted=False)
            assert found is verdict(without, Level.TOP_SECRET, Level.TOP_SECRET, False)


def test_every_line_of_the_table_decides_something() -> None:
    found = {
        verdict(case, ceiling, clearance, unknown)
        for case, ceiling, clearance, unknown in product(cases(), Level, Level, (False, True))
    }
    assert found == set(Verdict)


@given(*[st.builds(Label, st.sampled_from(Level), st.sampled_from(Share), st.booleans())] * 2)
def test_what_is_derived_from_two_is_as_strict_as_both(one: Label, other: Label) -> None:
    joined = one.joined(other)
    assert joined == other.joined(one)
    assert joined.joined(one) == joined
    assert joined.level >= one.level and joined.share >= one.share
    assert joined.open <= one.open


def test_levels_are_named_and_a_wrong_name_is_refused_with_the_right_ones() -> None:
    assert [Level.from_word(level.word) for level in Level] == list(Level)
    with pytest.raises(ValueError, match="公开、内部、工作秘密、秘密、机密、绝密"):
        Level.from_word("隐私")


@pytest.mark.parametrize(
    ("level", "ceiling", "enters"), [(0, 0, True), (1, 0, False), (2, 2, True)]
)
def test_a_node_takes_in_only_up_to_its_ceiling(level: int, ceiling: int, enters: bool) -> None:
    assert may_enter(level, ceiling) is enters
