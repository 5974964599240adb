"""Both ends of a link: compose a batch, accept a batch. No transport is known here.

Resending is driven by receipts: a side sends from the first number it holds no receipt for, so a
lost answer costs a repetition and nothing else. The other side answers repeats from its arrivals.
Every batch says how far its sender has got, so that a side restored from a backup is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.messages import facts, pieces
from zhengtong.kernel.messages.identity import card_of, finder, own_keys
from zhengtong.kernel.messages.models import Arrival, Message, Neighbour, Receipt, Sent
from zhengtong.kernel.messages.reactions import reactions_to
from zhengtong.kernel.messages.sealing import unpack
from zhengtong.wire.batch import (
    MAX_LETTERS,
    Batch,
    Letter,
    Refused,
    decode_batch,
    encode_batch,
    require_fresh,
    take_what_fits,
)
from zhengtong.wire.envelope import Opened, open_envelope
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.link import Arrival as Verdict
from zhengtong.wire.link import Inbound
from zhengtong.wire.receipts import (
    Event,
    ReceiptItem,
    encode_receipt,
    verify_receipt,
)
from zhengtong.wire.receipts import Receipt as ReceiptStatement

WHOLE_BATCH = 0
"""Stands in a batch's refusals for the number of a letter: the whole last batch was refused."""


@dataclass(frozen=True, slots=True)
class Owed:
    """What a side has taken from the last batch and must receipt in its next one."""

    numbers: tuple[int, ...] = ()


def compose(
    name: str, owed: Owed = Owed(), *, refusing: WireError | None = None, letters: bool = True
) -> bytes:
    """The next batch for a neighbour: receipts for what is owed, letters not yet receipted.

    `refusing` says why their last batch was refused as a whole, so that they see it too.
    """
    with transaction.atomic():
        neighbour = locked_for_update(Neighbour.objects.filter(name=name)).get()
        neighbour.said = max(neighbour.said + 1, int(moment.now().timestamp() * 1_000_000))
        going = _letters(neighbour) if letters else ()
        neighbour.save(update_fields=["said", "receipted"])
        statement, refusals = _receipt(neighbour, owed)
        if refusing:
            refusals = (*refusals, Refused(WHOLE_BATCH, refusing.code, refusing.detail))
        batch = Batch(
            sender=settings.NODE.name,
            receiver=name,
            at=moment.now(),
            counter=neighbour.said,
            acknowledged=neighbour.received,
            high=neighbour.sealed,
            letters=going,
            receipts=statement,
            refusals=refusals,
        )
    return encode_batch(batch, own_keys())


def _letters(neighbour: Neighbour) -> tuple[Letter, ...]:
    """What to send: the letters that follow the last receipt without a gap.

    Numbers without a letter of ours were lost when this node was restored from a backup; the
    neighbour has told us that it holds them (see `_meet`), so we go on behind them.
    """
    if neighbour.sealed == neighbour.receipted or neighbour.last_contact is None:
        return ()
    rows = list(
        Sent.objects.filter(neighbour=neighbour, sequence__gt=neighbour.receipted)
        .order_by("sequence")
        .values_list("sequence", "envelope")[:MAX_LETTERS]
    )
    neighbour.receipted = rows[0][0] - 1 if rows else neighbour.sealed
    return take_what_fits(
        Letter(number, bytes(envelope))
        for place, (number, envelope) in enumerate(rows, neighbour.receipted + 1)
        if number == place
    )


def _receipt(neighbour: Neighbour, owed: Owed) -> tuple[bytes | None, tuple[Refused, ...]]:
    if not owed.numbers:
        return None, ()
    rows = list(
        Arrival.objects.filter(neighbour=neighbour, sequence__in=owed.numbers)
        .order_by("sequence")
        .values_list("sequence", "digest", "refusal", "refusal_detail", "at")
    )
    items = tuple(
        ReceiptItem(number, bytes(digest), Event.DEAD if refusal else Event.DELIVERED, at)
        for number, digest, refusal, _, at in rows
    )
    refusals = tuple(
        Refused(number, Refusal(refusal), detail)
        for number, _, refusal, detail, _ in rows
        if refusal
    )
    if not items:
        return None, ()
    statement = ReceiptStatement(neighbour.name, settings.NODE.name, items)
    return encode_receipt(statement, own_keys()), refusals


def accept(data: bytes) -> tuple[str, Owed, Batch]:
    """Take in a batch from any neighbour: who sent it, what we owe, and the batch itself.

    All or nothing, in one transaction. Raises WireError when the batch as a whole is refused;
    a single bad letter is refused by itself, with its number, and the others are taken.
    """
    batch = decode_batch(data, finder(*Neighbour.objects.all()), receiver=settings.NODE.name)
    with transaction.atomic():
        neighbour = locked_for_update(Neighbour.objects.filter(name=batch.sender)).get()
        if neighbour.suspended:
            raise WireError(Refusal.NOT_A_NEIGHBOUR, f"{neighbour.name} is suspended")
        require_fresh(batch, neighbour.heard, moment.now())
        neighbour.heard = batch.counter
        _meet(neighbour, batch)
        _take_receipts(neighbour, batch)
        owed = _take_letters(neighbour, batch.letters)
        neighbour.last_contact = moment.now()
        neighbour.failures, neighbour.last_error = _complaint(neighbour, batch)
        neighbour.save(
            update_fields=[
                "heard",
                "received",
                "sealed",
                "receipted",
                "last_contact",
                "failures",
                "last_error",
            ]
        )
    return batch.sender, owed, batch


def _meet(neighbour: Neighbour, batch: Batch) -> None:
    """Go on from where the neighbour stands, should either side have been restored from a backup.

    A neighbour that holds fewer of our letters than it once receipted has lost them with its disk:
    they are sent again. One that holds more than we have numbered got them before our own disk was
    lost: those numbers are spent.
    """
    neighbour.receipted = min(neighbour.receipted, batch.acknowledged)
    neighbour.sealed = max(neighbour.sealed, batch.acknowledged)


def _complaint(neighbour: Neighbour, batch: Batch) -> tuple[int, str]:
    """How many of our batches the neighbour has refused in a row, and why the last one."""
    for refused in batch.refusals:
        if refused.sequence == WHOLE_BATCH:
            error = WireError(refused.code, refused.detail)
            return neighbour.failures + 1, storable(f"{refused.code.value}: {error.zh}", 200)
    return 0, ""


def _take_receipts(neighbour: Neighbour, batch: Batch) -> None:
    """Move `receipted` forward over letters whose receipt names the very envelope we sent."""
    if batch.receipts is None:
        return
    statement = verify_receipt(batch.receipts, finder(neighbour))
    if statement.sender != settings.NODE.name or statement.receiver != neighbour.name:
        raise WireError(Refusal.WRONG_RECIPIENT, "a receipt for another link")
    items = sorted(statement.items, key=lambda item: item.sequence)
    first = neighbour.receipted + 1
    fresh = [item for item in items if item.sequence >= first]
    if not fresh:
        return
    numbers = [item.sequence for item in fresh]
    if numbers != list(range(first, first + len(numbers))):
        raise WireError(Refusal.OUT_OF_ORDER, f"receipts {numbers[0]}…, expected {first}")
    ours = dict(
        Sent.objects.filter(neighbour=neighbour, sequence__in=numbers).values_list(
            "sequence", "digest"
        )
    )
    reasons = {refused.sequence: refused for refused in batch.refusals}
    for item in fresh:
        if bytes(ours.get(item.sequence, b"")) != item.envelope_hash:
            raise WireError(Refusal.MALFORMED, f"receipt {item.sequence} names another envelope")
        if item.event is Event.DEAD:
            why = reasons.get(item.sequence)
            Sent.objects.filter(neighbour=neighbour, sequence=item.sequence).update(
                refusal=why.code if why else Refusal.MALFORMED,
                refusal_detail=storable(why.detail, 500) if why else "",
            )
    Receipt.objects.create(
        neighbour=neighbour,
        first=numbers[0],
        last=numbers[-1],
        at=max(item.at for item in fresh),
        body=batch.receipts,
    )
    neighbour.receipted = numbers[-1]


def _take_letters(neighbour: Neighbour, letters: Iterable[Letter]) -> Owed:
    """Store new letters, recognise repeats, refuse bad ones. `received` moves over all of them."""
    letters = list(letters)
    if not letters:
        return Owed()
    state = Inbound(neighbour.received)
    find = finder(neighbour)
    hash_of = card_of(neighbour).crypto.hash
    known = {
        number: bytes(digest)
        for number, digest in Arrival.objects.filter(
            neighbour=neighbour, sequence__in=[item.sequence for item in letters]
        ).values_list("sequence", "digest")
    }
    taken: list[int] = []
    arrivals: list[Arrival] = []
    messages: list[tuple[Arrival, Message]] = []
    for letter in letters:
        digest = hash_of(letter.envelope)
        # A gap or a reused number is a fault of the link, not of one letter: refuse the batch.
        state, verdict = state.accept(letter.sequence, digest, known.get)
        taken.append(letter.sequence)
        if verdict is Verdict.DUPLICATE:
            continue
        arrival = Arrival(
            neighbour=neighbour, sequence=letter.sequence, digest=digest, envelope=letter.envelope
        )
        arrivals.append(arrival)
        try:
            message = _read(
                open_envelope(letter.envelope, own_keys(), find, ceiling=int(settings.NODE.ceiling))
            )
        except WireError as error:
            _refuse(arrival, error)
            continue
        if message is None:
            arrival.envelope = b""
        else:
            messages.append((arrival, message))
    _store(messages)
    Arrival.objects.bulk_create(arrivals)
    neighbour.received = state.high
    return Owed(tuple(taken))


def _store(arrived: Sequence[tuple[Arrival, Message]]) -> None:
    """Store what is new. A message may come twice, when its letter has been sent anew."""
    there = Message.objects.in_bulk([message.pk for _, message in arrived])
    fresh = []
    for arrival, message in arrived:
        known = there.setdefault(message.pk, message)
        said = (known.origin, known.kind, bytes(known.body))
        if said != (message.origin, message.kind, bytes(message.body)):
            _refuse(arrival, WireError(Refusal.REPLAYED, f"message {message.pk} said otherwise"))
            continue
        arrival.message = message.pk
        if known is message:
            fresh.append(message)
    Message.objects.bulk_create(fresh)


def _refuse(arrival: Arrival, error: WireError) -> None:
    if error.code is Refusal.ABOVE_CEILING:
        arrival.envelope = b""  # what may not be here is not kept, not even sealed
    arrival.refusal = error.code.value
    arrival.refusal_detail = storable(error.detail, 500)


def _read(opened: Opened) -> Message | None:
    """The message in an opened letter; None for a file piece, which is stored at once."""
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
            pieces.receive(fact)
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


def storable(text: str, length: int) -> str:
    """A neighbour's words as a column can hold them: cut, and without zero characters."""
    return text.replace("\x00", "\ufffd")[:length]


def answer(data: bytes) -> bytes:
    """The parent's side of a dial: take what comes, give what waits."""
    name, owed, _ = accept(data)
    return compose(name, owed)


def has_mail(name: str) -> bool:
    """Whether sealed letters wait for a neighbour."""
    return Neighbour.objects.filter(name=name, sealed__gt=F("receipted")).exists()
