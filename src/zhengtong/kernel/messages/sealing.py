"""Letters become numbered envelopes. Done by the worker, ahead of the road that carries them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

import cbor2
from django.conf import settings
from django.db import transaction

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.messages import facts, pieces
from zhengtong.kernel.messages.identity import card_of, own_keys
from zhengtong.kernel.messages.models import Letter, Message, Neighbour, Sent
from zhengtong.wire.envelope import MAX_ENVELOPE, Content, FileRef, Sealed, seal_disclosed
from zhengtong.wire.errors import Refusal, WireError

BATCH = 100
BATCH_BYTES = 8 << 20
"""How much one transaction numbers: pieces of files would otherwise fill the memory."""
WINDOW = 400
"""Sealed but not yet receipted letters on one link. Small, so that urgent letters overtake; a
voyage of the ferry takes all there is."""
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
    if neighbour.road != "ferry" and neighbour.sealed - neighbour.receipted >= WINDOW:
        return False
    _promote(neighbour)
    letters = list(
        Letter.objects.filter(neighbour=neighbour, waiting=True)
        .select_related("message")
        .order_by("lane", "id")[:BATCH]
    )
    sealed: dict[int, Sealed] = {}
    problems: dict[int, str] = {}
    size = 0
    for letter in letters:
        try:
            sealed[letter.pk] = _seal(letter, neighbour)
            size += len(sealed[letter.pk].envelope)
        except CANNOT_BE_SEALED as error:
            problems[letter.pk] = str(error)[:300]
        if size > BATCH_BYTES:
            break
    letters = letters[: len(sealed) + len(problems)]
    return _number(neighbour.pk, letters, sealed, problems)


def _promote(neighbour: Neighbour) -> None:
    """Let what an urgent letter rests on go as fast as the letter itself.

    That is whatever waits about the same record, and the pieces of the files it speaks of: a
    reminder that came before its document would find nothing to remind of.
    """
    waiting = Letter.objects.filter(neighbour=neighbour, waiting=True).select_related("message")
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


def _number(
    link: int, letters: list[Letter], sealed: dict[int, Sealed], problems: dict[int, str]
) -> bool:
    """Give sealed letters the next numbers of their link, unless another worker was quicker."""
    with transaction.atomic():
        neighbour = locked_for_update(Neighbour.objects.filter(pk=link)).get()
        chosen = Letter.objects.filter(pk__in=[letter.pk for letter in letters], waiting=True)
        waiting = set(chosen.values_list("pk", flat=True))
        now, sent = moment.now(), []
        for letter in letters:
            if letter.pk not in waiting:
                continue
            if letter.pk in problems:
                Letter.objects.filter(pk=letter.pk).update(problem=problems[letter.pk])
                continue
            neighbour.sealed += 1
            done = sealed[letter.pk]
            sent.append(
                Sent(
                    neighbour_id=link,
                    sequence=neighbour.sealed,
                    letter_id=letter.pk,
                    digest=done.envelope_hash,
                    envelope=done.envelope,
                    disclosure=b"" if _is_piece(letter.message) else done.disclosure,
                    at=now,
                )
            )
        Sent.objects.bulk_create(sent)
        chosen.update(waiting=False)
        neighbour.save(update_fields=["sealed"])
    return bool(waiting)


def _is_piece(message: Message) -> bool:
    return message.kind == pieces.FilePiece.kind


def _seal(letter: Letter, neighbour: Neighbour) -> Sealed:
    message = letter.message
    fact = bytes(message.body)
    told = facts.decode(message.kind, fact)
    if isinstance(told, pieces.FilePiece):
        fact = pieces.enclose(told)
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
            FileRef(item.name, item.size, bytes.fromhex(item.sha256))
            for item in facts.files_of(told)
        ),
    )
    sealed = seal_disclosed(content, own_keys(), [card_of(neighbour)], None, os.urandom)
    if len(sealed.envelope) > MAX_ENVELOPE:
        raise WireError(Refusal.OVERSIZED, f"{len(sealed.envelope)} bytes")
    return sealed


def pack(fact: bytes, addressees: list[str], subject: str) -> bytes:
    """A letter's body: the fact, the organisations it is for, the record it is about."""
    return cbor2.dumps({"fact": fact, "to": addressees, "subject": subject}, canonical=True)


def unpack(body: bytes) -> tuple[bytes, list[str], str]:
    """The inverse of `pack`. Raises ValueError on anything else."""
    try:
        value = cbor2.loads(body)
        fact, addressees, subject = value["fact"], value["to"], value["subject"]
    except Exception as error:  # cbor2 raises many kinds on hostile bytes
        raise ValueError("letter body is not readable") from error
    named = isinstance(addressees, list) and all(isinstance(item, str) for item in addressees)
    if not (isinstance(fact, bytes) and named and isinstance(subject, str)):
        raise ValueError("letter body has the wrong fields")
    return fact, addressees, subject
