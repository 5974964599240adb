"""Letters become numbered envelopes. Done by the worker, ahead of the road that carries them."""

from __future__ import annotations

import os

import cbor2
from django.conf import settings
from django.db import transaction

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.messages import facts, pieces
from zhengtong.kernel.messages.identity import card_of, own_keys
from zhengtong.kernel.messages.models import Letter, Message, Neighbour, Sent
from zhengtong.wire.envelope import Content, FileRef, Sealed, seal_disclosed
from zhengtong.wire.errors import WireError

BATCH = 100
WINDOW = 400
"""Sealed but not yet receipted letters on one link. Small, so that urgent letters overtake."""


def seal_waiting() -> bool:
    """Seal what waits for every neighbour; whether anything was sealed."""
    links = Neighbour.objects.filter(pk__in=Letter.objects.filter(waiting=True).values("neighbour"))
    return any([_seal_for(pk) for pk in links.values_list("pk", flat=True)])


def _seal_for(pk: int) -> bool:
    """Give up to BATCH letters of one link their numbers and envelopes, urgent lanes first."""
    with transaction.atomic():
        neighbour = locked_for_update(Neighbour.objects.filter(pk=pk), skip=True).first()
        if neighbour is None or neighbour.sealed - neighbour.receipted >= WINDOW:
            return False
        letters = list(
            Letter.objects.filter(neighbour=neighbour, waiting=True)
            .select_related("message")
            .order_by("lane", "id")[:BATCH]
        )
        sent = []
        for letter in letters:
            try:
                sealed = _seal(letter, neighbour)
            except (WireError, FileNotFoundError) as error:
                Letter.objects.filter(pk=letter.pk).update(problem=str(error)[:300])
                continue
            neighbour.sealed += 1
            sent.append(
                Sent(
                    neighbour=neighbour,
                    sequence=neighbour.sealed,
                    letter=letter,
                    digest=sealed.envelope_hash,
                    envelope=sealed.envelope,
                    disclosure=b"" if _is_piece(letter.message) else sealed.disclosure,
                    at=moment.now(),
                )
            )
        Sent.objects.bulk_create(sent)
        Letter.objects.filter(pk__in=[letter.pk for letter in letters]).update(waiting=False)
        neighbour.save(update_fields=["sealed"])
    return bool(letters)


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
    return seal_disclosed(content, own_keys(), [card_of(neighbour)], None, os.urandom)


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
