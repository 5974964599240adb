"""What becomes of a letter that has arrived: stored as a message, or refused with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from zhengtong.kernel.engine import insert_all, storable
from zhengtong.kernel.messages import facts, pieces, transit, transit_files
from zhengtong.kernel.messages.facts import FileRef
from zhengtong.kernel.messages.letter_body import unpack
from zhengtong.kernel.messages.models import Arrival, Message, Neighbour
from zhengtong.kernel.messages.reactions import reactions_to
from zhengtong.wire.bulk import open_bulk
from zhengtong.wire.envelope import Opened, Verified
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.link import Arrived, Incoming


def deliver(neighbour: Neighbour, letters: Sequence[Incoming]) -> Mapping[int, WireError]:
    """Store the messages in new letters; why some were refused, by their numbers.

    A message may come twice, when its letter has been sent anew.
    """
    errors: dict[int, WireError] = {}
    arriving = pieces.Arriving()
    read: list[tuple[int, Message]] = []
    for incoming in letters:
        number = incoming.letter.sequence
        try:
            message = _read(neighbour, incoming, arriving)
        except WireError as error:
            errors[number] = error
            continue
        if message is not None:
            read.append((number, message))
    there = Message.objects.in_bulk([message.pk for _, message in read])
    fresh = []
    for number, message in read:
        known = there.setdefault(message.pk, message)
        said = (known.origin, known.kind, bytes(known.body))
        if said != (message.origin, message.kind, bytes(message.body)):
            errors[number] = WireError(Refusal.REPLAYED, f"message {message.pk} said otherwise")
        elif known is message:
            fresh.append(message)
    insert_all(fresh)
    for number, fault in arriving.settle():
        errors[number] = WireError(Refusal.MALFORMED, str(fault))
    return errors


def keep(neighbour: Neighbour, lane: int, letters: Sequence[Arrived]) -> None:
    """Store arrivals under their numbers, with what they became."""
    insert_all(
        [
            Arrival(
                neighbour=neighbour,
                lane=lane,
                sequence=item.incoming.letter.sequence,
                digest=item.incoming.digest,
                chain=item.chain,
                epoch=item.epoch,
                leaf=item.leaf,
                envelope=_worth_keeping(item),
                message=None if item.error else _message(item.incoming),
                refusal=item.error.code.value if item.error else "",
                refusal_detail=storable(item.error.detail, 500) if item.error else "",
                at=item.at,
            )
            for item in letters
        ]
    )


def _worth_keeping(item: Arrived) -> bytes:
    """The envelope as evidence; what may not be here is not kept, not even sealed, and a file's
    pieces are kept as the file they make up."""
    if item.error:
        return b"" if item.error.code is Refusal.ABOVE_CEILING else item.incoming.letter.envelope
    return item.incoming.letter.envelope if _message(item.incoming) else b""


def _message(incoming: Incoming) -> UUID | None:
    content = incoming.opened.content if incoming.opened else None
    return content.message_id if content and content.kind != pieces.FilePiece.kind else None


def _read(neighbour: Neighbour, incoming: Incoming, arriving: pieces.Arriving) -> Message | None:
    """The message in a letter; None for what is dealt with at once."""
    letter = incoming.letter
    if incoming.transit is not None:
        transit.forward(neighbour, incoming.transit, letter.envelope)
    return _opened(incoming.opened, letter.sequence, arriving) if incoming.opened else None


class Aside:
    """What came beside the letters of one batch: written at once, durable before it is taken in."""

    def __init__(self) -> None:
        self._transit: list[str] = []
        self._pieces: dict[FileRef, set[int]] = {}

    def take(self, neighbour: Neighbour, letter: Opened | Verified, sealed: bytes) -> None:
        """Write it to where its file arrives, or where it waits to go on. Raises WireError."""
        if isinstance(letter, Verified):
            self._transit.append(transit.put_aside(neighbour, letter, sealed))
        else:
            piece = _write_piece(letter, sealed)
            self._pieces.setdefault(piece.file, set()).add(piece.index)

    def settle(self) -> None:
        """What takes long, ahead of the transaction: bring all to the disk, and files that are
        now whole to their places. Raises Unavailable when the disk is full."""
        if self._transit:
            transit_files.sync(self._transit)
        for file, came in self._pieces.items():
            pieces.settle_ahead(file, came)
        self._transit, self._pieces = [], {}


def _write_piece(opened: Opened, sealed: bytes) -> pieces.FilePiece:
    content = opened.content
    if content.kind != pieces.FilePiece.kind:
        raise WireError(Refusal.MALFORMED, f"{content.kind} with something beside it")
    try:
        fact = facts.decode(content.kind, unpack(content.body)[0])
        assert isinstance(fact, pieces.FilePiece)
        pieces.write(fact, open_bulk(sealed, fact.key, opened.sender.crypto))
    except (ValueError, facts.MalformedFact) as error:
        raise WireError(Refusal.MALFORMED, str(error)) from error
    return fact


def _opened(opened: Opened, number: int, arriving: pieces.Arriving) -> Message | None:
    """The message in a letter; None for a piece of a file, or a receipt that was carried back."""
    content = opened.content
    if content.kind not in facts.kinds():
        raise WireError(Refusal.UNKNOWN_KIND, content.kind)
    try:
        body, addressees, subject = unpack(content.body)
        fact = facts.decode(content.kind, body)
        [UUID(item) for item in addressees]
        if "\x00" in subject:
            raise ValueError("letter body: the subject holds a zero character")
        if isinstance(fact, pieces.FilePiece):
            if not content.bulk_hash:
                raise ValueError("file piece: nothing beside the letter")
            arriving.take(number, fact)
            return None
        if isinstance(fact, transit.Carried):
            transit.note(fact, content.origin)
            return None
    except (ValueError, facts.MalformedFact) as error:
        raise WireError(Refusal.MALFORMED, str(error)) from error
    return Message(
        id=content.message_id,
        kind=content.kind,
        body=body,
        level=content.level,
        subject=subject[:120],
        origin=content.origin,
        addressees=addressees,
        at=content.sent_at,
        pending=bool(reactions_to(content.kind)),
    )
