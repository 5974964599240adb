"""Forgetting what was told about a record, and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.db import connection

from tests import build
from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.kernel import files, moment
from zhengtong.kernel.engine import leave_no_trace, overwrite_deleted
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.messages import purge
from zhengtong.kernel.messages.models import Arrival, Message, Neighbour
from zhengtong.kernel.messages.pieces import FilePiece

pytestmark = pytest.mark.django_db(transaction=True)


def message(subject: str, body: bytes = b"words", **given: object) -> Message:
    values = {"kind": "a.b", "level": 0, "origin": "x", "at": moment.now(), "pending": False}
    return Message.objects.create(subject=subject, body=body, **(values | given))


def test_handled_messages_and_their_envelopes_lose_their_words() -> None:
    neighbour = Neighbour.objects.create(name="n", title="n", zone="private", ceiling=2, card=b"")
    mine, pending, other = message("one"), message("one", pending=True), message("two")
    for number, each in enumerate((mine, pending, other), 1):
        Arrival.objects.create(
            neighbour=neighbour,
            lane=2,
            sequence=number,
            digest=b"d",
            chain=b"c",
            epoch=1,
            leaf=number,
            envelope=b"e",
            message=each.pk,
        )
    assert purge.forget("one") == 1
    assert purge.forget("one") == 0
    bodies = {row.pk: bytes(row.body) for row in Message.objects.all()}
    assert bodies == {mine.pk: b"", pending.pk: b"words", other.pk: b"words"}
    envelopes = Arrival.objects.order_by("sequence").values_list("envelope", "digest")
    assert [(bytes(e), bytes(d)) for e, d in envelopes] == [
        (b"", b"d"),
        (b"e", b"d"),
        (b"e", b"d"),
    ]


def test_a_file_is_forgotten_only_when_no_row_names_it() -> None:
    office = build.office()
    free = files.store(io.BytesIO(b"free"), "a.txt")
    stored, name = build.upload(b"used", "b.txt")
    outgoing.draft(office.clerk, build.draft([office.organisation]), [(stored, name)])
    assert not purge.forget_file(stored.sha256)
    assert purge.forget_file(free.sha256)
    assert not purge.forget_file(free.sha256)
    assert list(StoredFile.objects.values_list("pk", flat=True)) == [stored.sha256]


def test_pieces_that_may_travel_again_no_longer_count_as_sent() -> None:
    sent = message("file:" + "0" * 64, kind=FilePiece.kind)
    kept = message("file:" + "1" * 64, kind=FilePiece.kind)
    assert purge.allow_resending(["0" * 64]) == 1
    sent.refresh_from_db()
    kept.refresh_from_db()
    assert (sent.subject, kept.subject) == ("", "file:" + "1" * 64)


def test_deleted_words_are_in_no_file_of_the_database() -> None:
    marker = b"a-marker-that-occurs-nowhere-else"
    overwrite_deleted()
    rows = [message("s", marker * 50) for _ in range(50)]
    Message.objects.filter(pk__in=[row.pk for row in rows]).update(body=b"")
    assert leave_no_trace(Message)
    if connection.vendor == "sqlite":
        database = Path(connection.settings_dict["NAME"])
        for file in database.parent.glob(f"{database.name}*"):
            assert marker not in file.read_bytes(), file.name
