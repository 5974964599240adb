"""Files come in pieces, in any order, over a crash, and anew when they were refused."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from tests.federation.neighbour import Poser
from zhengtong.capabilities.documents.messages import Offered
from zhengtong.kernel import files
from zhengtong.kernel.messages import exchange, pieces, sealing
from zhengtong.kernel.messages.facts import FileRef
from zhengtong.kernel.messages.models import IncomingFile, Letter, Neighbour, Sent
from zhengtong.kernel.messages.routes import way_to
from zhengtong.kernel.messages.sealing import seal_waiting
from zhengtong.wire.batch import Letter as Numbered
from zhengtong.wire.batch import Refused
from zhengtong.wire.errors import Refusal
from zhengtong.wire.keys import NodeKeys

pytestmark = pytest.mark.django_db
PIECES = 3


def a_file() -> tuple[FileRef, list[pieces.FilePiece]]:
    """A file of three pieces that nobody has seen before."""
    data = uuid4().bytes * (pieces.PIECE // 16 * (PIECES - 1) + 5)
    file = FileRef(hashlib.sha256(data).hexdigest(), "水位.txt", len(data), "text/plain")
    size = pieces.PIECE
    return file, [
        pieces.FilePiece(file, number, data[number * size : (number + 1) * size])
        for number in range(PIECES)
    ]


def whole(file: FileRef) -> bool:
    """Whether the file is stored, row and content, and nothing is left of its pieces."""
    if not files.exists(file.sha256) or IncomingFile.objects.filter(sha256=file.sha256).exists():
        return False
    with files.open_file(file.sha256) as stream:
        return hashlib.sha256(stream.read()).hexdigest() == file.sha256


@tuned(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(PIECES)),
    again=st.lists(st.integers(0, PIECES - 1), max_size=4),
    crash=st.integers(0, PIECES + 4),
)
def test_a_file_arrives_in_any_order_and_over_a_crash(
    fugou: Poser, order: list[int], again: list[int], crash: int
) -> None:
    """The crash undoes a transaction whose effect on the disk stays, as a killed process would."""
    file, parts = a_file()
    coming = [*order, *again]
    for turn, index in enumerate(coming):
        if turn == crash % len(coming):
            with transaction.atomic():
                pieces.receive(parts[index])
                transaction.set_rollback(True)
        pieces.receive(parts[index])
    assert whole(file)


def test_a_file_with_false_content_is_refused_and_may_come_again(fugou: Poser) -> None:
    file, parts = a_file()
    false = pieces.FilePiece(file, 1, bytes(pieces.PIECE))
    letters = fugou.letters(*map(fugou.envelope, (parts[0], false, parts[2])))
    answer = fugou.read(exchange.answer(fugou.batch(*letters)))
    assert [(item.sequence, item.code) for item in answer.refusals] == [(3, Refusal.MALFORMED)]
    assert not files.path_of(file.sha256).exists()
    again = fugou.letters(*map(fugou.envelope, parts), first=4)
    assert fugou.read(exchange.answer(fugou.batch(*again))).refusals == ()
    assert whole(file)


def test_a_file_is_sent_once_and_anew_when_it_was_refused(fugou: Poser) -> None:
    exchange.answer(fugou.batch())
    stored = files.store_bytes(uuid4().hex.encode(), "水位.txt")
    told = Offered(
        document=uuid4(),
        title="水情通报",
        document_kind="通报",
        number="周测〔2026〕1号",
        body="",
        issuing_office=uuid4(),
        issuing_name="周口市水利局",
        issued_on=date(2026, 3, 2),
        level=0,
        files=(FileRef(stored.pk, "水位.txt", stored.size, stored.media_type),),
        offered_by="李明禾",
    )
    link = Neighbour.objects.get(name="fugou")

    def tell() -> int:
        pieces.send_missing(told, 1, [way_to(link)], 2, datetime.now(UTC))
        return Letter.objects.filter(neighbour=link).count()

    assert (tell(), tell()) == (1, 1), "the neighbour has it already"
    letters = _seal_and_fetch(fugou)
    refused = Refused(1, Refusal.MALFORMED, "content hash")
    exchange.answer(fugou.refusing(letters, refused))
    assert Sent.objects.get().refusal == "malformed"
    assert tell() == 2, "the next document that needs it brings it anew"


def _seal_and_fetch(fugou: Poser) -> list[Numbered]:
    while seal_waiting():
        pass
    letters = fugou.read(exchange.compose("fugou", 2)).letters
    fugou.hears(letters)
    return list(letters)


@pytest.mark.parametrize("suite", ["intl", "gm"])
def test_a_letter_names_its_files_by_the_hash_of_its_own_suite(fugou: Poser, suite: str) -> None:
    """The evidence judge compares an attachment with what the letter's own suite says of it."""
    keys = NodeKeys.generate("test", suite)
    text = "水位".encode() * 200_000
    stored = files.store_bytes(text, "水位.txt")
    assert sealing._file_hash(stored.sha256, keys.suite) == keys.suite.hash(text)
