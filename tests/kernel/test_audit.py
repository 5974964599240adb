"""Whatever is done to the audit log behind the program's back, `audit.problems` names it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db.models import F, Max

from tests.kernel.probes import at_once
from zhengtong.kernel import audit, moment
from zhengtong.kernel.audit import AuditCheckpoint, AuditEntry, AuditLeaf
from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.actors import Actor
from zhengtong.wire import merkle
from zhengtong.wire.checkpoint import verify_checkpoint
from zhengtong.wire.keys import NodeCard, NodeKeys

NOW = datetime(2026, 7, 1, 1, 2, 3, 456789, tzinfo=UTC)
KEYS = NodeKeys.generate("test")
CARD = NodeCard.issue(
    KEYS, title="测试节点", zone="private", ceiling=2, url="https://oa.example", issued_at=NOW
)
ACTOR = Actor(
    "李明禾", "urn:zhengtong:person:1", (UUID(int=7),), person=UUID(int=9), address="10.0.0.8"
)


def write(count: int) -> None:
    for number in range(count):
        act = Act(ACTOR, "documents.sign_for", NOW + timedelta(seconds=number))
        act.note(number=number)
        audit.record(act, "done" if number % 3 else "denied", "" if number % 3 else "无此职责")


def seal_all() -> None:
    while audit.seal(KEYS):
        pass


def problems() -> list[str]:
    return list(audit.problems(CARD))


Capture = Callable[..., AbstractContextManager[Any]]


@dataclass
class Log:
    """A sealed log of eleven entries under three checkpoints, and its head file."""

    head: Path
    older_head: bytes


@pytest.fixture
def keys_folder(tmp_path: Path, settings: Any) -> Path:
    settings.NODE = replace(django_settings.NODE, home=tmp_path)
    (tmp_path / "keys").mkdir()
    return tmp_path / "keys"


@pytest.fixture
def log(db: None, keys_folder: Path, django_capture_on_commit_callbacks: Capture) -> Log:
    head, older = keys_folder / "audit-head", b""
    for batch in (4, 3, 4):
        older = head.read_bytes() if head.exists() else b""
        with django_capture_on_commit_callbacks(execute=True):
            write(batch)
            seal_all()
    assert AuditCheckpoint.objects.count() == 3
    return Log(head, older)


def at(position: int) -> Any:
    return AuditEntry.objects.filter(leaf=position)


def last() -> int:
    return int(AuditLeaf.objects.aggregate(n=Max("index"))["n"])


def test_an_untouched_log_has_no_problem(log: Log) -> None:
    assert problems() == []
    assert AuditEntry.objects.filter(leaf=None).count() == 0
    assert list(AuditEntry.objects.order_by("id").values_list("leaf", flat=True)) == [*range(11)]


def test_an_empty_log_has_no_problem(db: None, keys_folder: Path) -> None:
    assert problems() == []
    assert audit.seal(KEYS) == 0
    write(2)
    assert problems() == []  # unsealed rows are no fault: the worker comes in a moment


def test_the_head_is_the_root_over_all_entries(log: Log) -> None:
    found = verify_checkpoint(log.head.read_bytes(), CARD)
    leaves = [
        merkle.leaf_hash(audit.canonical(entry)) for entry in AuditEntry.objects.order_by("leaf")
    ]
    assert (found.size, found.root) == (11, merkle.root(leaves))


@pytest.mark.parametrize("suite", ["intl", "gm"])
def test_the_log_is_hashed_by_the_suite_of_the_node(
    suite: str, db: None, keys_folder: Path, django_capture_on_commit_callbacks: Capture
) -> None:
    keys = NodeKeys.generate("test", suite)
    card = NodeCard.issue(
        keys, title="测试节点", zone="private", ceiling=2, url="https://oa.example", issued_at=NOW
    )
    for _ in range(2):  # the second time, sealing goes on from the stored tree
        with django_capture_on_commit_callbacks(execute=True):
            write(3)
            audit.seal(keys)
    entries = [audit.canonical(entry) for entry in AuditEntry.objects.order_by("leaf")]
    leaves = [merkle.leaf_hash(entry, keys.suite.hash) for entry in entries]
    head = verify_checkpoint((keys_folder / "audit-head").read_bytes(), card)
    assert (head.size, head.root) == (6, merkle.root(leaves, keys.suite.hash))
    assert list(audit.problems(card)) == []
    AuditEntry.objects.filter(leaf=4).update(outcome="dead")
    (problem,) = audit.problems(card)
    assert "was changed" in problem


# ── one column of one row ──

CHANGES: dict[str, Any] = {
    "at": NOW - timedelta(days=1),
    "verb": "documents.read",
    "actor": "urn:zhengtong:person:2",
    "actor_name": "王远岑",
    "organisation": UUID(int=8),
    "subject": "urn:zhengtong:document:2",
    "objects_named": ["urn:zhengtong:document:2"],
    "outcome": "dead",
    "reason": "另有原因",
    "detail": {"number": 99},
    "address": "10.0.0.9",
}


@pytest.mark.parametrize("position", [0, 5, 10])
@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_column_is_named_with_its_entry(log: Log, column: str, position: int) -> None:
    entry = at(position).get()
    at(position).update(**{column: CHANGES[column]})
    (problem,) = problems()
    assert problem.startswith(f"entry {entry.pk} (") and problem.endswith("was changed")


def test_every_column_is_sealed() -> None:
    columns = {field.name for field in AuditEntry._meta.concrete_fields}
    assert set(CHANGES) == columns - {"id", "leaf"}


def test_a_changed_number_is_named(log: Log) -> None:
    pk = at(3).get().pk
    AuditEntry.objects.filter(pk=pk).update(id=F("id") + 1000)
    assert problems() == [f"entry {pk + 1000} (documents.sign_for, 2026-07-01 01:02) was changed"]


# ── rows that go, come or change places ──


@pytest.mark.parametrize("position", [0, 5, 10])
def test_a_deleted_entry_is_named_by_its_position(log: Log, position: int) -> None:
    at(position).delete()
    assert problems() == [f"the entry at position {position} has been deleted"]


@pytest.mark.parametrize("position", [0, 5, 10])
def test_an_entry_taken_out_of_the_log_is_missed(log: Log, position: int) -> None:
    at(position).update(leaf=None)
    assert problems() == [f"the entry at position {position} has been deleted"]
    seal_all()  # sealing it again further on does not heal the gap
    assert problems()[0] == f"the entry at position {position} has been deleted"


def test_two_entries_that_changed_places_are_named(log: Log) -> None:
    first, second = at(2).get().pk, at(7).get().pk
    for pk, position in ((first, None), (second, 2), (first, 7)):
        AuditEntry.objects.filter(pk=pk).update(leaf=position)
    assert [problem.split(" (")[0] for problem in problems()] == [
        f"entry {second}",
        f"entry {first}",
    ]


def forged(**given: Any) -> AuditEntry:
    values = {field: CHANGES[field] for field in CHANGES} | given
    return AuditEntry.objects.create(**values)


def test_a_forged_entry_without_a_leaf_is_named(log: Log) -> None:
    entry = forged(leaf=11)
    assert problems() == [f"entry {entry.pk} claims position 11 that the log has not"]


def test_a_forged_entry_before_the_first_is_named(log: Log) -> None:
    entry = forged(leaf=-1)
    assert problems() == [f"entry {entry.pk} stands at position -1, before the first"]


def test_a_forged_entry_with_its_leaf_lacks_a_signature(log: Log) -> None:
    entry = forged(leaf=11)
    AuditLeaf.objects.create(index=11, hash=merkle.leaf_hash(audit.canonical(entry)))
    assert problems() == ["the last 1 entries have no checkpoint"]


def test_an_entry_forged_together_with_its_leaf_disagrees_with_the_signed_roots(log: Log) -> None:
    at(5).update(reason="改过的")
    AuditLeaf.objects.filter(index=5).update(hash=merkle.leaf_hash(audit.canonical(at(5).get())))
    assert problems() == [
        "checkpoint 7 does not agree with the log up to 7",
        "checkpoint 11 does not agree with the log up to 11",
        "the head file does not agree with the log up to 11",
    ]


def test_a_changed_leaf_is_named(log: Log) -> None:
    AuditLeaf.objects.filter(index=9).update(hash=b"\x00" * 32)
    found = problems()
    assert found[0].startswith("entry ") and found[0].endswith("was changed")
    assert "checkpoint 11 does not agree with the log up to 11" in found


@pytest.mark.parametrize("position", [0, 5])
def test_a_deleted_leaf_is_named(log: Log, position: int) -> None:
    AuditLeaf.objects.filter(index=position).delete()
    assert problems()[0] == f"log positions {position} to {position} are missing"


# ── the end of the log ──


def cut(keep: int) -> None:
    AuditEntry.objects.filter(leaf__gte=keep).delete()
    AuditLeaf.objects.filter(index__gte=keep).delete()
    AuditCheckpoint.objects.filter(size__gt=keep).delete()


@pytest.mark.parametrize("keep", [10, 7, 4, 0])
def test_a_log_cut_short_is_noticed_by_its_head(log: Log, keep: int) -> None:
    cut(keep)
    assert any(problem.startswith("the head file covers 11 entries") for problem in problems())


def test_a_log_cut_short_is_noticed_by_its_checkpoints(log: Log) -> None:
    AuditEntry.objects.filter(leaf__gte=9).delete()
    AuditLeaf.objects.filter(index__gte=9).delete()
    assert "checkpoint 11 covers 11 entries, the log holds 9: cut short" in problems()


def test_a_head_removed_to_hide_a_cut_is_missed(log: Log) -> None:
    cut(7)
    log.head.unlink()
    (problem,) = problems()
    assert problem.startswith("the head file ") and "is missing" in problem


def test_a_last_checkpoint_deleted_is_noticed(log: Log) -> None:
    AuditCheckpoint.objects.filter(size=11).delete()
    log.head.write_bytes(log.older_head)
    assert problems() == ["the last 4 entries have no checkpoint"]


# ── the signatures ──


def test_a_changed_checkpoint_is_named(log: Log) -> None:
    row = AuditCheckpoint.objects.get(size=7)
    AuditCheckpoint.objects.filter(size=7).update(text=row.text.replace("\n7\n", "\n8\n"))
    (problem,) = problems()
    assert problem.startswith("checkpoint 7: ")


def test_a_checkpoint_under_another_size_is_named(log: Log) -> None:
    AuditCheckpoint.objects.filter(size=7).update(text=AuditCheckpoint.objects.get(size=4).text)
    assert problems() == ["checkpoint 7 is signed for 4 entries"]


def test_a_checkpoint_of_another_node_is_named(log: Log) -> None:
    stranger = NodeKeys.generate("test")
    write(1)
    audit.seal(stranger)
    assert any(problem.startswith("checkpoint 12: ") for problem in problems())


def test_a_changed_tree_state_is_named_before_sealing_goes_on_from_it(log: Log) -> None:
    peaks = AuditCheckpoint.objects.get(size=11).peaks
    AuditCheckpoint.objects.filter(size=11).update(peaks=bytes(len(peaks)))
    assert problems() == ["checkpoint 11 keeps a tree that is not the signed one"]


@pytest.mark.parametrize("peaks", [b"", b"\x00" * 31, b"\x00" * 320])
def test_a_tree_state_of_the_wrong_length_is_named(log: Log, peaks: bytes) -> None:
    AuditCheckpoint.objects.filter(size=11).update(peaks=peaks)
    assert problems() == ["checkpoint 11 keeps a tree that is not the signed one"]


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"nonsense", "李\n".encode()])
def test_a_damaged_head_is_named(log: Log, junk: bytes) -> None:
    log.head.write_bytes(junk)
    (problem,) = problems()
    assert problem.startswith("the head file: ")


# ── sealing ──


def test_sealing_goes_on_where_it_stopped(log: Log) -> None:
    write(2)
    assert audit.anything_unsealed()
    assert audit.seal(KEYS) == 2  # the tree is read from the table, as after a restart
    assert not audit.anything_unsealed()
    assert last() == 12
    assert [problem for problem in problems() if "head" not in problem] == []


def test_more_rows_than_a_batch_are_sealed_one_batch_after_the_other(
    db: None, keys_folder: Path, django_capture_on_commit_callbacks: Capture
) -> None:
    AuditEntry.objects.bulk_create(
        [
            AuditEntry(at=NOW, verb="x", actor="a", actor_name="n", outcome="done")
            for _ in range(audit.BATCH + 7)
        ]
    )
    with django_capture_on_commit_callbacks(execute=True):
        assert [audit.seal(KEYS), audit.seal(KEYS), audit.seal(KEYS)] == [audit.BATCH, 7, 0]
    assert problems() == []


@pytest.mark.django_db(transaction=True)
def test_sealers_that_work_at_once_seal_each_row_once(keys_folder: Path) -> None:
    write(40)
    outcomes = at_once(*[lambda: audit.seal(KEYS)] * 3)
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert sum(outcome.value for outcome in outcomes) == 40
    assert problems() == []
    assert [path.name for path in keys_folder.iterdir()] == ["audit-head"]


def test_a_log_may_grow_while_it_is_checked(
    log: Log, django_capture_on_commit_callbacks: Capture
) -> None:
    write(1)
    checking = audit.problems(CARD)
    AuditCheckpoint.objects.filter(size=4).update(text="x")
    assert next(checking).startswith("checkpoint 4: ")
    with django_capture_on_commit_callbacks(execute=True):
        write(5)
        seal_all()
    assert list(checking) == []


@pytest.mark.django_db(transaction=True)
def test_a_seal_that_is_rolled_back_leaves_no_head(
    keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(3)
    monkeypatch.setattr(AuditCheckpoint.objects, "create", lambda **_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        audit.seal(KEYS)
    assert list(keys_folder.iterdir()) == []
    assert AuditLeaf.objects.count() == 0 and AuditEntry.objects.filter(leaf=None).count() == 3


def test_the_auditor_of_an_organisation_reads_its_entries_and_the_nodes(db: None) -> None:
    node = f"urn:zhengtong:node:{django_settings.NODE.name}"
    for actor, organisation in (
        ("urn:zhengtong:person:1", UUID(int=7)),
        ("urn:zhengtong:person:2", UUID(int=8)),
        ("urn:zhengtong:public", None),
        (node, UUID(int=8)),
    ):
        AuditEntry.objects.create(
            at=moment.now(),
            verb="x",
            actor=actor,
            actor_name="n",
            outcome="done",
            organisation=organisation,
        )
    seen = AuditEntry.objects.filter(audit.organisation_filter((UUID(int=7),)))
    assert set(seen.values_list("actor", flat=True)) == {
        "urn:zhengtong:person:1",
        "urn:zhengtong:public",
        node,
    }
