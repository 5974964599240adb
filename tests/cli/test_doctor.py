"""`zhengtong doctor` finds what is wrong, and says what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from tests import build
from tests.cli.inside import Inside
from tests.federation.neighbour import Poser, a_fact
from zhengtong.kernel import audit, engine, files
from zhengtong.kernel.audit import AuditCheckpoint, AuditEntry, AuditLeaf
from zhengtong.kernel.messages.facts import encode
from zhengtong.kernel.messages.identity import own_card, own_keys
from zhengtong.kernel.messages.keyfile import FILE
from zhengtong.kernel.messages.models import (
    Handling,
    Letter,
    LinkAlarm,
    Message,
    Neighbour,
    Sent,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def sound(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A node with an organisation, a neighbour, a letter, a file and a sealed log."""
    if connection.vendor == "postgresql":  # the suite's own server forgets on purpose
        monkeypatch.setattr(engine, "assert_engine", lambda: None)
    (settings.NODE.keys / "audit-head").unlink(missing_ok=True)
    settings.NODE.keys.chmod(0o700)
    build.organisation()
    Poser(own_card()).admitted()
    fact, link = a_fact(), Neighbour.objects.get(name="fugou")
    to = {"neighbour": link, "destination": link.name}
    message = Message.objects.create(
        kind=fact.kind, body=encode(fact), level=1, origin="test", at=datetime.now(UTC)
    )
    Sent.objects.create(
        neighbour=link,
        lane=2,
        sequence=1,
        chain=b"",
        epoch=1,
        leaf=0,
        letter=Letter.objects.create(message=message, waiting=False, **to),
        digest=b"",
        envelope=b"",
    )
    Handling.objects.create(message=message, reaction="documents.reactions.receive")
    files.store_bytes("水位表".encode(), "水位表.txt")
    audit.seal(own_keys())
    yield
    (settings.NODE.keys / "audit-head").unlink(missing_ok=True)


def test_a_sound_node_is_said_to_be_sound(inside: Inside) -> None:
    for words in (["doctor"], ["doctor", "--audit"]):
        found = inside(*words)
        assert (found.code, found.out[:1]) == (0, "✓"), found.out


def _stored() -> files.StoredFile:
    return files.StoredFile.objects.get()


def _damage_keys() -> Callable[[], None]:
    path = settings.NODE.keys / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:60])
    return lambda: _write(path, whole)


def _write(path: object, data: bytes) -> None:
    path.write_bytes(data)  # type: ignore[attr-defined]


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "a file is gone": (lambda: files.path_of(_stored().pk).unlink(), "missing or cut short"),
    "a file was cut": (
        lambda: files.path_of(_stored().pk).write_bytes(b"x"), "missing or cut short",
    ),
    "keys others can read": (lambda: settings.NODE.keys.chmod(0o755), "chmod 700"),
    "a letter was refused": (
        lambda: Sent.objects.update(refusal="above_ceiling"), "1 letters were refused",
    ),
    "a letter is stuck": (
        lambda: Letter.objects.update(problem="oversized"), "could not be sealed",
    ),
    "a link is down": (
        lambda: Neighbour.objects.update(failures=7, last_error="no route"),
        "link to fugou: 7 failures in a row, no route",
    ),
    "an alarm is open": (
        lambda: LinkAlarm.objects.create(
            neighbour=Neighbour.objects.get(), code="forked_log", detail="第 812 条"
        ),
        "alarm on the link to fugou: 对方的存证日志出现分叉. 第 812 条",
    ),
    "a reaction has failed": (lambda: Handling.objects.update(dead=True), "failed for good"),
    "an audit entry was changed": (
        lambda: AuditEntry.objects.update(actor_name="别人"), "was changed",
    ),
    "an audit entry was deleted": (
        lambda: AuditEntry.objects.order_by("id").first().delete(),  # type: ignore[union-attr]
        "has been deleted",
    ),
    "the audit log was cut short": (
        lambda: [
            table.objects.all().delete() for table in (AuditEntry, AuditLeaf, AuditCheckpoint)
        ],
        "cut short",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_doctor_finds(inside: Inside, fault: str) -> None:
    plant, line = FAULTS[fault]
    plant()
    found = inside("doctor")
    assert found.code == 1
    assert line in found.out, found.out
    assert all(text.startswith("✗") for text in found.out.splitlines())


def test_the_doctor_finds_damaged_keys(inside: Inside) -> None:
    mend = _damage_keys()
    try:
        found = inside("doctor")
    finally:
        mend()
    assert found.code == 1
    assert "keys" in found.out and "from the backup" in found.out


def test_the_doctor_finds_an_unprepared_database(inside: Inside) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'documents'")
    try:
        found = inside("doctor")
    finally:
        call_command("migrate", "documents", fake=True, verbosity=0)
    assert (found.code, "zhengtong init" in found.out) == (1, True)
