"""Files come in pieces, in any order, over a crash, and anew when they were refused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from tests.federation.neighbour import Poser, dial, offered
from zhengtong.kernel import files
from zhengtong.kernel.messages import exchange, pieces, sealing
from zhengtong.kernel.messages.facts import Fact, FileRef
from zhengtong.kernel.messages.models import Arrival, IncomingFile, Letter, Neighbour, Sent
from zhengtong.kernel.messages.routes import way_to
from zhengtong.kernel.messages.sealing import seal_waiting
from zhengtong.wire.batch import MAX_BATCH, MAX_BULKS, Refused, decode_batch
from zhengtong.wire.batch import Letter as Numbered
from zhengtong.wire.beside import read_head
from zhengtong.wire.bulk import require_bulk
from zhengtong.wire.envelope import read_header
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeKeys

pytestmark = pytest.mark.django_db
PIECES = 3


@dataclass(frozen=True)
class Named(Fact):
    """Something that comes with files."""

    files: tuple[FileRef, ...]


Part = tuple[pieces.FilePiece, bytes]
KEY = bytes(range(32))


def a_file() -> tuple[FileRef, list[Part]]:
    """A file of three pieces that nobody has seen before."""
    data = uuid4().bytes * (pieces.PIECE // 16 * (PIECES - 1) + 5)
    file = FileRef(hashlib.sha256(data).hexdigest(), "水位.txt", len(data), "text/plain")
    size = pieces.PIECE
    return file, [
        (pieces.FilePiece(file, number, KEY), data[number * size : (number + 1) * size])
        for number in range(PIECES)
    ]


def receive(part: Part) -> None:
    """Take in one piece by itself."""
    arriving = pieces.Arriving()
    pieces.write(*part)
    arriving.take(1, part[0])
    assert not list(arriving.settle())


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
                receive(parts[index])
                transaction.set_rollback(True)
        receive(parts[index])
    assert whole(file)


def test_a_file_with_false_content_is_refused_and_may_come_again(fugou: Poser) -> None:
    file, parts = a_file()
    false = (parts[1][0], bytes(pieces.PIECE))
    letters = [fugou.piece(n, *part) for n, part in enumerate((parts[0], false, parts[2]), 1)]
    answer = fugou.read(exchange.answer(fugou.batch(*letters)))
    assert [(item.sequence, item.code) for item in answer.refusals] == [(3, Refusal.MALFORMED)]
    assert not files.path_of(file.sha256).exists()
    again = [fugou.piece(number, *part) for number, part in enumerate(parts, 4)]
    assert fugou.read(exchange.answer(fugou.batch(*again))).refusals == ()
    assert whole(file)


def test_a_file_is_hashed_and_moved_ahead_of_the_transaction_that_notes_it(fugou: Poser) -> None:
    """A transaction that fails shows what came before it."""
    file, parts = a_file()
    letters = [fugou.piece(number, *part) for number, part in enumerate(parts, 1)]
    exchange.answer(fugou.batch(*letters[:1]))
    with pytest.raises(WireError, match="replayed"):
        exchange.answer(fugou.batch(*letters[1:], counter=1))
    assert files.path_of(file.sha256).exists() and not files.exists(file.sha256)
    assert fugou.read(exchange.answer(fugou.batch(*letters[1:]))).refusals == ()
    assert whole(file)


def test_only_the_bulk_that_its_header_names_is_taken(fugou: Poser) -> None:
    file, parts = a_file()
    letters = [fugou.piece(number, *part) for number, part in enumerate(parts, 1)]
    letters[0] = replace(letters[0], bulk=b"")  # the sender does not have it any more
    letters[1] = replace(letters[1], bulk=bytes(letters[1].bulk)[:-1] + b"!")
    letters.append(replace(fugou.letters(fugou.envelope(), first=4)[0], bulk=b"smuggled"))
    answer = fugou.read(exchange.answer(fugou.batch(*letters)))
    refused = [(item.sequence, item.code) for item in answer.refusals]
    assert refused == [(number, Refusal.BAD_SIGNATURE) for number in (1, 2, 4)]
    again = [fugou.piece(number, *part) for number, part in enumerate(parts[:2], 5)]
    assert fugou.read(exchange.answer(fugou.batch(*again))).refusals == ()
    assert whole(file)


def test_pieces_leave_with_their_letters_and_the_database_keeps_none(fugou: Poser) -> None:
    exchange.answer(fugou.batch())
    data = uuid4().hex.encode() * (pieces.PIECE // 32 * PIECES - 7)
    stored = files.store_bytes(data, "水位.txt")
    file = FileRef(stored.pk, "水位.txt", stored.size, stored.media_type)
    link = Neighbour.objects.get(name="fugou")
    pieces.send_missing(Named((file,)), 1, [way_to(link)], 2, datetime.now(UTC))
    letters = _seal_and_fetch(fugou)
    assert b"".join(fugou.opens(letter) for letter in letters) == data
    assert exchange.compose("fugou", 2) != b""
    exchange.rewind("fugou")
    assert fugou.read(exchange.compose("fugou", 2)).letters == tuple(letters), "the same bytes"
    assert all(len(bytes(sent.envelope)) < 2000 for sent in Sent.objects.all())


def test_more_pieces_than_a_batch_holds_come_as_a_stream(fugou: Poser) -> None:
    """Over https: the head first, then piece after piece, read as they are needed."""
    data = uuid4().bytes * (pieces.PIECE // 16 * 11 + 5)
    file = FileRef(hashlib.sha256(data).hexdigest(), "水位.txt", len(data), "text/plain")
    size = pieces.PIECE
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    letters = [
        fugou.piece(number, pieces.FilePiece(file, number - 1, KEY), part)
        for number, part in enumerate(parts, 1)
    ]
    came = Client().post("/exchange", fugou.batch(*letters), content_type="application/cbor")
    assert fugou.read(came.content).refusals == ()
    assert whole(file)


def test_more_pieces_than_a_batch_holds_leave_as_a_stream(fugou: Poser) -> None:
    exchange.answer(fugou.batch())
    data = uuid4().hex.encode() * (pieces.PIECE // 32 * 11 + 5)
    stored = files.store_bytes(data, "水位.txt")
    file = FileRef(stored.pk, "水位.txt", stored.size, stored.media_type)
    link = Neighbour.objects.get(name="fugou")
    pieces.send_missing(Named((file,)), 1, [way_to(link)], 2, datetime.now(UTC))
    while seal_waiting():
        pass
    status, _, answer = dial(fugou.batch(room=MAX_BULKS))
    assert status == 200 and len(answer) > MAX_BATCH
    stream, find = BytesIO(answer), {fugou.node.signing_kid: fugou.node}.get
    head = read_head(stream.read, MAX_BATCH)
    batch = decode_batch(head, find, receiver="fugou", beside=stream.read)
    assert b"".join(fugou.opens(letter) for letter in batch.letters) == data
    assert not stream.read()


def test_a_stream_that_breaks_off_is_refused_whole(fugou: Poser) -> None:
    _, parts = a_file()
    letters = [fugou.piece(number, *part) for number, part in enumerate(parts, 1)]
    cut = fugou.batch(*letters)[:-9]
    came = Client().post("/exchange", cut, content_type="application/cbor")
    assert (came.status_code, came.json()["refused"]) == (409, "truncated")
    assert not Arrival.objects.exists()


def test_a_piece_whose_file_is_gone_holds_nothing_up(fugou: Poser) -> None:
    """Its letter goes without it, to be refused with a reason, and the others arrive."""
    exchange.answer(fugou.batch())
    stored = files.store_bytes(uuid4().hex.encode(), "水位.txt")
    file = FileRef(stored.pk, "水位.txt", stored.size, stored.media_type)
    link = Neighbour.objects.get(name="fugou")
    pieces.send_missing(Named((file,)), 1, [way_to(link)], 2, datetime.now(UTC))
    while seal_waiting():
        pass
    files.path_of(stored.pk).unlink()
    (letter,) = fugou.read(exchange.compose("fugou", 2)).letters
    with pytest.raises(WireError, match="bulk"):
        require_bulk(read_header(letter.envelope), bytes(letter.bulk))


def test_a_file_is_sent_once_and_anew_when_it_was_refused(fugou: Poser) -> None:
    exchange.answer(fugou.batch())
    stored = files.store_bytes(uuid4().hex.encode(), "水位.txt")
    told = offered(FileRef(stored.pk, "水位.txt", stored.size, stored.media_type))
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
