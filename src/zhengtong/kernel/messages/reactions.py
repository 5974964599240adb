"""Reactions: what a capability does when a fact becomes known here.

A reaction calls at most one command, as the node. The row saying "handled" is written inside that
command's transaction, so however often a message comes, its effect comes once.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from zhengtong.kernel import moment
from zhengtong.kernel.commands import cause
from zhengtong.kernel.directory.actors import Actor, hosted, node_actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.engine import locked_for_update, plain_errors
from zhengtong.kernel.errors import HouseError, Unavailable
from zhengtong.kernel.messages.facts import Fact, MalformedFact, UnknownKind, decode
from zhengtong.kernel.messages.models import Handling, Message

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 8
LEASE = timedelta(seconds=60)

F = TypeVar("F", bound=Fact)
Reaction = Callable[["Reacting", Any], None]
_reactions: dict[str, dict[str, Reaction]] = defaultdict(dict)


class OneCommandOnly(RuntimeError):
    """A reaction called a second command. Two effects need two reactions."""


class AlreadyHandled(RuntimeError):
    """Another worker's effect was committed first; this one is undone."""


@dataclass(frozen=True, slots=True)
class Reacting:
    """The circumstances of a reaction: where the fact comes from and whom it is for, here."""

    message: UUID
    origin: str
    at: datetime
    level: int
    subject: str
    addressees: tuple[Organisation, ...]

    def as_node(self, organisation: UUID | None = None) -> Actor:
        """The node itself, if need be acting for one of the organisations it hosts."""
        actor = node_actor()
        return actor.acting_for(organisation) if organisation else actor


def on(fact: type[F]) -> Callable[[Callable[[Reacting, F], None]], Callable[[Reacting, F], None]]:
    """Register a reaction to a fact. Its module and name are its identity for ever."""

    def wrap(body: Callable[[Reacting, F], None]) -> Callable[[Reacting, F], None]:
        name = f"{body.__module__.removeprefix('zhengtong.capabilities.')}.{body.__name__}"
        _reactions[fact.kind][name] = body
        return body

    return wrap


def reactions_to(kind: str) -> dict[str, Reaction]:
    return dict(_reactions.get(kind, {}))


def claim(limit: int = 50) -> list[Message]:
    """Take messages whose turn it is; SKIP LOCKED and a lease keep several workers apart.

    A message waits while an earlier one about the same record is unhandled, so each record's
    facts take effect in order and a stuck record holds up no other.
    """
    now = moment.now()
    earlier = Message.objects.filter(
        pending=True, subject=OuterRef("subject"), id__lt=OuterRef("id")
    )
    ready = (
        Message.objects.filter(Q(claimed_until=None) | Q(claimed_until__lt=now), pending=True)
        .filter(Q(subject="") | ~Exists(earlier))
        .order_by("id")
    )
    if not ready.exists():  # looking takes no lock, so an idle worker holds up no writer
        return []
    with transaction.atomic():
        claimed = list(locked_for_update(ready, skip=True)[:limit])
        Message.objects.filter(pk__in=[item.pk for item in claimed]).update(
            claimed_until=now + LEASE
        )
    return claimed


def handle(message: Message) -> None:
    """Run every reaction that has not yet taken effect; keep what failed, with its error."""
    try:
        fact = decode(message.kind, bytes(message.body))
    except (UnknownKind, MalformedFact) as error:
        _fail(message, "decode", error, permanent=True)
        return
    settled = message.handlings.filter(Q(done=True) | Q(dead=True))
    passed = set(settled.values_list("reaction", flat=True))
    complete = True
    for name, reaction in reactions_to(message.kind).items():
        if name not in passed:
            complete &= _react(message, fact, name, reaction)
    if complete:
        Message.objects.filter(pk=message.pk).update(pending=False)


def _react(message: Message, fact: Fact, name: str, reaction: Reaction) -> bool:
    """Run one reaction; whether the message needs it no more (done, or given up as dead)."""
    used = False

    def handled() -> None:
        nonlocal used
        if used:
            raise OneCommandOnly(name)
        _mark_done(message, name)
        used = True

    token = cause.set(handled)
    try:
        with plain_errors():
            reaction(_circumstances(message), fact)
        if not used:
            handled()
        return True
    except AlreadyHandled:
        return True
    except OneCommandOnly:
        raise
    except HouseError as error:
        return _fail(message, name, error, permanent=error.status not in (503, 404))
    except Exception as error:
        log.exception("reaction %s to message %s", name, message.pk)
        return _fail(message, name, error)
    finally:
        cause.reset(token)


def _mark_done(message: Message, name: str) -> None:
    """Write that a reaction has taken effect, in the transaction of the effect itself.

    Whoever comes second waits here for the first to commit, and raises AlreadyHandled. To update
    the row instead would let both effects stand.
    """
    with transaction.atomic():
        key = {"message": message, "reaction": name}
        Handling.objects.bulk_create([Handling(**key)], ignore_conflicts=True)
        handling = locked_for_update(Handling.objects.filter(**key)).get()
        if handling.done:
            raise AlreadyHandled(name)
        handling.done, handling.dead, handling.error = True, False, ""
        handling.save(update_fields=["done", "dead", "error"])


def _circumstances(message: Message) -> Reacting:
    here = set(hosted())
    wanted = [UUID(item) for item in message.addressees if UUID(item) in here]
    found = tuple(Organisation.objects.filter(pk__in=wanted)) if wanted else ()
    return Reacting(
        message=message.pk,
        origin=message.origin,
        at=message.at,
        level=message.level,
        subject=message.subject,
        addressees=found,
    )


def _fail(message: Message, name: str, error: Exception, *, permanent: bool = False) -> bool:
    """Remember a failure; after the last attempt it is dead: visible, and out of the way.

    What the machine cannot do for now, as on a full disk, is never given up.
    """
    handling, _ = Handling.objects.get_or_create(message=message, reaction=name)
    if handling.done:
        return True  # another worker was quicker, and luckier
    handling.attempts += 1
    handling.error = f"{type(error).__name__}: {error}"[:300]
    hopeless = handling.attempts >= MAX_ATTEMPTS and not isinstance(error, Unavailable)
    handling.dead = permanent or hopeless
    handling.save(update_fields=["attempts", "error", "dead"])
    delay = timedelta(seconds=min(300, 2**handling.attempts))
    if handling.dead and name == "decode":
        Message.objects.filter(pk=message.pk).update(pending=False)
    elif not handling.dead:
        Message.objects.filter(pk=message.pk).update(claimed_until=moment.now() + delay)
    return handling.dead


def work() -> bool:
    """Handle what is waiting; whether there was anything."""
    claimed = claim()
    for message in claimed:
        handle(message)
    return bool(claimed)
