"""What membership looks like: invitations, members, directories, and what is about to expire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from zhengtong.kernel import moment
from zhengtong.kernel.membership import keeping
from zhengtong.kernel.membership.models import (
    DirectoryVersion,
    Invitation,
    JoinAttempt,
    Member,
    Rotation,
)
from zhengtong.kernel.messages.identity import card_of, finder, own_card
from zhengtong.kernel.messages.models import Neighbour
from zhengtong.wire import directory
from zhengtong.wire.certificates import expires_at
from zhengtong.wire.directory import Directory
from zhengtong.wire.errors import WireError
from zhengtong.wire.keys import FindCard, NodeCard

WARN_BEFORE = timedelta(days=30)
WINDOW = timedelta(minutes=15)
TRIES_PER_ADDRESS = 20


def invitations() -> QuerySet[Invitation]:
    """Every invitation with its approvals, newest first."""
    return Invitation.objects.prefetch_related("approvals").order_by("-made_at")


def newest_directory(issuer: str) -> DirectoryVersion | None:
    return DirectoryVersion.objects.filter(issuer=issuer).order_by("-version").first()


def directories() -> list[Directory]:
    """The newest directory of every issuer, our own first; each was verified when it came."""
    issuers = DirectoryVersion.objects.order_by().values_list("issuer", flat=True).distinct()
    found = [read_held(row) for name in issuers if (row := newest_directory(name))]
    return sorted(found, key=lambda item: (item.issuer != settings.NODE.name, item.issuer))


def read_held(row: DirectoryVersion) -> Directory:
    """A stored directory taken apart. The signer may have changed its keys since, so the
    signature, checked when it was stored, is not asked for again."""
    return directory.reread(bytes(row.signed), bytes(row.digest))


def find_issuer() -> FindCard:
    """The cards under which we believe a directory: our own, those of our neighbours, and those
    that the directory of the node above names as active."""
    neighbours = list(Neighbour.objects.filter(expelled=False))
    near = finder(*neighbours)
    cards: dict[bytes, NodeCard] = {own_card().signing_kid: own_card()}
    for item in neighbours:
        row = newest_directory(item.name) if item.is_parent else None
        for entry in read_held(row).entries if row else ():
            if entry.status is directory.Status.ACTIVE and entry.card.node not in (
                settings.NODE.name,
                *(other.name for other in neighbours),
            ):
                cards[entry.card.signing_kid] = entry.card

    def find(kid: bytes) -> NodeCard | None:
        return near(kid) or cards.get(kid)

    return find


@dataclass(frozen=True, slots=True)
class Standing:
    """A node as the page and the command line show it."""

    neighbour: Neighbour
    card: NodeCard
    days_left: int | None

    @property
    def expiring(self) -> bool:
        return self.days_left is not None and self.days_left <= WARN_BEFORE.days


def members() -> list[Standing]:
    """The nodes we exchange with, the one above first."""
    expires = dict(Member.objects.values_list("node", "certificate_expires"))
    return [
        Standing(item, card_of(item), _days_left(expires.get(item.name)))
        for item in Neighbour.objects.order_by("expelled", "-is_parent", "name")
    ]


def own_certificate_expires() -> datetime | None:
    found = keeping.own_certificate()
    return expires_at(found) if found else None


def own_days_left() -> int | None:
    return _days_left(own_certificate_expires())


def _days_left(expires: datetime | None) -> int | None:
    return (expires - moment.now()).days if expires else None


def warnings() -> Iterator[tuple[str, int]]:
    """Certificates with at most 30 days to go: (node, days left), ours among them."""
    try:
        own = own_days_left()
    except WireError:
        own = -1  # a certificate that cannot be read is as good as none
    if own is not None and own <= WARN_BEFORE.days:
        yield settings.NODE.name, own
    for item in members():
        if item.expiring and not item.neighbour.expelled and item.days_left is not None:
            yield item.neighbour.name, item.days_left


def rotation() -> Rotation | None:
    """The change of our own keys that is under way."""
    return Rotation.objects.filter(finished_at=None).order_by("-started_at").first()


def too_many_failures(address: str) -> bool:
    """Whether an address has failed so often of late that it is not listened to."""
    tried = JoinAttempt.objects.filter(address=address, at__gt=moment.now() - WINDOW)
    return tried.count() >= TRIES_PER_ADDRESS


def note_failure(address: str) -> None:
    now = moment.now()
    JoinAttempt.objects.filter(at__lte=now - WINDOW).delete()
    JoinAttempt.objects.create(address=address, at=now)


def invitation_of(request: bytes) -> Invitation | None:
    """The invitation that a request with this digest has used."""
    return Invitation.objects.filter(request=request).first()
