"""Letters become numbered envelopes. Done by the worker, ahead of the road that carries them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from django.conf import settings
from django.db.models import F, Q

from zhengtong.kernel import files, moment
from zhengtong.kernel.engine import insert_all, locked_for_update
from zhengtong.kernel.messages import exchange, facts, pieces
from zhengtong.kernel.messages.identity import own_keys
from zhengtong.kernel.messages.letter_body import pack
from zhengtong.kernel.messages.models import Letter, LinkLane, Message, Neighbour, Sent
from zhengtong.kernel.messages.routes import Way, ways_to
from zhengtong.wire.envelope import (
    MAX_ENVELOPE,
    SIGNATURE_ROOM,
    Audience,
    Content,
    FileRef,
    Sealed,
    Unsigned,
    open_to,
    prepare,
    sign_alone,
    sign_together,
)
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.keys import NodeKeys
from zhengtong.wire.link import Numbered
from zhengtong.wire.suite import Suite

SHA_256 = -16
BATCH = 200
BATCH_BYTES = 8 << 20
"""How much one transaction numbers; the pieces of files are not held, only hashed."""
AHEAD = 800
"""Sealed but not yet receipted letters of one lane: enough to keep a road busy, no more."""
CANNOT_BE_SEALED = (WireError, FileNotFoundError, facts.UnknownKind, facts.MalformedFact)


def seal_waiting() -> bool:
    """Seal what waits for every neighbour; whether anything was sealed.

    A link is numbered only once both ends have met: a node restored from a backup must first
    hear which numbers it has already used.
    """
    # Not EXISTS: SQLite would answer that from an index that also holds every letter ever sent.
    waiting = Letter.objects.filter(waiting=True).values("neighbour")
    links = Neighbour.objects.filter(pk__in=waiting, last_contact__isnull=False)
    sealed = [_seal_for(neighbour) for neighbour in links]
    return any(sealed)


def _seal_for(neighbour: Neighbour) -> bool:
    """Seal up to BATCH letters of one link, urgent lanes first; whether any were dealt with.

    Sealing takes long and needs no lock; only numbering does, and the link goes on meanwhile.
    """
    _promote(neighbour)
    not_now = Q(heard__lt=0)  # just restored
    if neighbour.road != "ferry":  # a voyage takes all there is
        not_now |= Q(sealed__gte=F("receipted") + AHEAD)
    full = LinkLane.objects.filter(not_now, neighbour=neighbour)
    letters = list(
        Letter.objects.filter(neighbour=neighbour, waiting=True)
        .exclude(lane__in=full.values("lane"))
        .select_related("message")
        .order_by("lane", "id")[:BATCH]
    )
    letters = _few(letters)
    if not letters:
        return False
    _stay_behind(neighbour, letters)
    sealed, problems = _seal(letters)
    return _number(neighbour, letters, sealed, problems)


def _few(letters: list[Letter]) -> list[Letter]:
    """The first of these, no more than one transaction should seal."""
    taken, size = list[Letter](), 0
    for letter in letters:
        size += len(letter.message.body) + len(letter.envelope)
        if taken and size > BATCH_BYTES:
            break
        taken.append(letter)
    return taken


def _seal(letters: list[Letter]) -> tuple[dict[int, Sealed], dict[int, str]]:
    """Envelopes for these letters by their keys, and why some could not be sealed.

    Letters in transit were sealed by the node that wrote them and go on untouched.
    """
    keys, together = own_keys(), len(letters) > 1
    sealed = {
        letter.pk: Sealed(bytes(letter.envelope), keys.suite.hash(bytes(letter.envelope)), b"")
        for letter in letters
        if letter.envelope
    }
    ways = ways_to(letter.destination for letter in letters)
    audiences: dict[str, Audience] = {}
    prepared: dict[int, Unsigned] = {}
    problems: dict[int, str] = {}
    for letter in letters:
        if letter.pk in sealed:
            continue
        try:
            to = letter.destination
            if to not in audiences:
                audiences[to] = _audience(ways.get(to))
            prepared[letter.pk] = _prepare(letter, keys, audiences[to], together=together)
        except CANNOT_BE_SEALED as error:
            problems[letter.pk] = str(error)[:300]
    unsigned = list(prepared.values())
    signed = (
        sign_together(unsigned, keys)
        if together and unsigned
        else [sign_alone(letter, keys) for letter in unsigned]
    )
    return sealed | dict(zip(prepared, signed, strict=True)), problems


def _audience(way: Way | None) -> Audience:
    if way is None:
        raise WireError(Refusal.NOT_A_NEIGHBOUR, "no way to that node is known any more")
    return open_to([way.card], way.recovery, os.urandom)


def _promote(neighbour: Neighbour) -> None:
    """Let what an urgent letter rests on go as fast as the letter itself.

    That is whatever waits about the same record, and the pieces of the files it speaks of: a
    reminder that came before its document would find nothing to remind of.
    """
    waiting = Letter.objects.filter(neighbour=neighbour, waiting=True)
    waiting = waiting.select_related("message")
    lanes = sorted(set(waiting.order_by().values_list("lane", flat=True).distinct()))
    for lane in lanes[:-1]:
        done: set[str] = set()
        subjects = _rests_on(waiting.filter(lane=lane).order_by("id")[:BATCH])
        while subjects > done:
            slower = list(waiting.filter(lane__gt=lane, message__subject__in=subjects - done))
            Letter.objects.filter(pk__in=[letter.pk for letter in slower]).update(lane=lane)
            done |= subjects
            subjects |= _rests_on(slower)


def _rests_on(letters: Iterable[Letter]) -> set[str]:
    """The subjects of these letters, and of the file pieces they need."""
    subjects = set()
    for letter in letters:
        subjects.add(letter.message.subject)
        with suppress(facts.UnknownKind, facts.MalformedFact):
            told = facts.decode(letter.message.kind, bytes(letter.message.body))
            subjects |= {pieces.subject_of(file) for file in facts.files_of(told)}
    return subjects - {""}


def _stay_behind(neighbour: Neighbour, letters: list[Letter]) -> None:
    """Let a letter follow in the slower lane of one about the same record that is on its way."""
    slower = LinkLane.objects.filter(
        neighbour=neighbour, lane__gt=letters[0].lane, sealed__gt=F("receipted")
    )
    for lane in slower.order_by("lane"):
        subjects = _rests_on(letters)
        rows = Sent.objects.filter(neighbour=neighbour, lane=lane.lane, sequence__gt=lane.receipted)
        behind = rows.filter(letter__message__subject__in=subjects)
        ahead = set(behind.values_list("letter__message__subject", flat=True))
        for letter in letters:
            if letter.lane < lane.lane and _rests_on([letter]) & ahead:
                letter.lane = lane.lane


def _number(
    neighbour: Neighbour, letters: list[Letter], sealed: dict[int, Sealed], problems: dict[int, str]
) -> bool:
    """Give sealed letters the next numbers of their lanes, unless another worker was quicker."""
    links = exchange.links()
    with links.store.transaction():
        locked_for_update(Neighbour.objects.filter(pk=neighbour.pk)).get()
        chosen = Letter.objects.filter(pk__in=[letter.pk for letter in letters], waiting=True)
        waiting = set(chosen.values_list("pk", flat=True))
        now, sent, lanes = moment.now(), list[Sent](), dict[int, list[Letter]]()
        for letter in letters:
            if letter.pk in waiting and letter.pk in problems:
                Letter.objects.filter(pk=letter.pk).update(problem=problems[letter.pk])
            elif letter.pk in waiting:
                lanes.setdefault(letter.lane, []).append(letter)
        for lane, going in sorted(lanes.items()):
            digests = [sealed[letter.pk].envelope_hash for letter in going]
            numbered = links.number(neighbour.name, lane, digests)
            sent += [
                _sent(neighbour, letter, sealed[letter.pk], number, now)
                for letter, number in zip(going, numbered, strict=True)
            ]
        insert_all(sent)
        chosen.update(waiting=False)
    return bool(waiting)


def _sent(
    neighbour: Neighbour, letter: Letter, sealed: Sealed, number: Numbered, now: datetime
) -> Sent:
    return Sent(
        neighbour=neighbour,
        lane=letter.lane,
        sequence=number.sequence,
        letter_id=letter.pk,
        digest=number.mark.digest,
        chain=number.mark.chain,
        epoch=number.epoch,
        leaf=number.leaf,
        envelope=sealed.envelope,
        disclosure=b"" if _is_piece(letter.message) else sealed.disclosure,
        bulk=_is_piece(letter.message),
        at=now,
    )


def _file_hash(sha256: str, suite: Suite) -> bytes:
    """A file's hash by our own suite, by which its letter is judged. Raises FileNotFoundError."""
    if suite.hash_algorithm == SHA_256:
        return bytes.fromhex(sha256)
    with files.open_file(sha256) as stream:
        return suite.hash_stream(iter(lambda: stream.read(files.BLOCK), b""))


def _is_piece(message: Message) -> bool:
    return message.kind == pieces.FilePiece.kind


def _prepare(letter: Letter, keys: NodeKeys, audience: Audience, *, together: bool) -> Unsigned:
    message = letter.message
    fact = bytes(message.body)
    told = facts.decode(message.kind, fact)
    bulk = pieces.sealed(told, keys.suite) if isinstance(told, pieces.FilePiece) else b""
    content = Content(
        message_id=message.pk,
        kind=message.kind,
        version=1,
        level=message.level,
        origin=settings.NODE.name,
        lane=letter.lane,
        sent_at=message.at,
        body=pack(fact, message.addressees, message.subject),
        files=tuple(
            FileRef(item.name, item.size, _file_hash(item.sha256, keys.suite))
            for item in facts.files_of(told)
        ),
        bulk_hash=keys.suite.hash(bulk) if bulk else b"",
    )
    prepared = prepare(content, keys, audience, os.urandom, together=together)
    if len(prepared.body) + len(prepared.protected) + SIGNATURE_ROOM > MAX_ENVELOPE:
        raise WireError(Refusal.OVERSIZED, f"{len(prepared.body)} bytes")
    return prepared
