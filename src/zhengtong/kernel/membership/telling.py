"""Parts of commands that tell neighbours about membership, and issue the directory.

Membership binds no record, so these letters bear the lowest level and go to every neighbour that
is not expelled, in the urgent lane: whoever is suspended gets them when it is resumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from django.conf import settings

from zhengtong.kernel.commands import Act
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.labels import Level, Zone
from zhengtong.kernel.membership import keeping
from zhengtong.kernel.membership.messages import DirectoryIssued
from zhengtong.kernel.membership.models import DirectoryVersion, Member
from zhengtong.kernel.messages.facts import Fact, encode
from zhengtong.kernel.messages.identity import card_of, own_card, own_keys, recovery_of
from zhengtong.kernel.messages.models import Message, Neighbour
from zhengtong.kernel.messages.outbox import Lane, post
from zhengtong.kernel.messages.routes import way_to
from zhengtong.wire import directory
from zhengtong.wire.directory import Directory, Entry, Hosted, Status


def tell(act: Act, fact: Fact, to: Iterable[Neighbour], lane: Lane = Lane.URGENT) -> None:
    """Put a fact on its way to these neighbours, inside the running command."""
    neighbours = [item for item in to if not item.expelled]
    if not neighbours:
        return
    message = Message.objects.create(
        id=new_id(),
        kind=fact.kind,
        body=encode(fact),
        level=Level.PUBLIC,
        origin=settings.NODE.name,
        at=act.now,
        pending=False,
    )
    post(message, map(way_to, neighbours), lane)
    act.note(told=[*act.detail.get("told", ()), f"{fact.kind} {message.pk}"])


def issue_directory(act: Act) -> Directory:
    """Sign the next version of this node's own directory and send it to every neighbour.

    Nodes in the public zone are told nothing of the others: addresses of inner nodes have no
    business there.
    """
    name = settings.NODE.name
    rows = DirectoryVersion.objects.filter(issuer=name).order_by("-version")
    newest = locked_for_update(rows).first()
    held = directory.Held(name, newest.version, bytes(newest.digest)) if newest else None
    issued = directory.issue(own_keys(), _entries(), after=held, issued_at=act.now)
    store(act, issued)
    tell(act, DirectoryIssued(issued.signed), _may_know(Neighbour.objects.all()))
    return issued


def renew_directory(act: Act) -> None:
    """Issue the directory anew after a change, if there is anybody below who needs one."""
    if Neighbour.objects.filter(is_parent=False).exists():
        issue_directory(act)


def pass_on(act: Act, signed: bytes) -> None:
    """Hand a directory from above down to the nodes below."""
    below = Neighbour.objects.filter(is_parent=False)
    tell(act, DirectoryIssued(signed), _may_know(below))


def tell_held(act: Act, neighbour: Neighbour) -> None:
    """Give a new node the directories from above that the others have got already."""
    below = Neighbour.objects.filter(is_parent=False).values("name")
    rows = DirectoryVersion.objects.exclude(issuer=settings.NODE.name).exclude(issuer__in=below)
    newest: dict[str, DirectoryVersion] = {}
    for row in rows.order_by("version"):
        newest[row.issuer] = row
    for row in newest.values():
        tell(act, DirectoryIssued(bytes(row.signed)), _may_know([neighbour]))


def store(act: Act, issued: Directory) -> None:
    DirectoryVersion.objects.create(
        issuer=issued.issuer,
        version=issued.version,
        digest=issued.digest,
        signed=issued.signed,
        at=act.now,
    )
    act.note(directory=f"{issued.issuer} {issued.version}")


def _may_know(neighbours: Iterable[Neighbour]) -> list[Neighbour]:
    return [item for item in neighbours if item.zone != Zone.PUBLIC]


def _entries() -> list[Entry]:
    """This node first, the one above it, by whose card those below can check what they are
    passed, then those below by name."""
    parent = settings.NODE.parent
    own = Entry(
        card=own_card(),
        parent=parent.name if parent else "",
        certificate=_fingerprint(keeping.own_certificate()),
        recovery=keeping.own_recovery_card(),
        organisations=hosted_on(settings.NODE.name),
    )
    certificates = dict(Member.objects.values_list("node", "certificate"))
    above = Neighbour.objects.filter(is_parent=True, suspended=False)
    below = Neighbour.objects.filter(is_parent=False).order_by("name")
    return [
        own,
        *(Entry(card_of(item)) for item in above),
        *(_entry(item, certificates.get(item.name, "")) for item in below),
    ]


def _entry(neighbour: Neighbour, certificate: str) -> Entry:
    status = Status.ACTIVE
    if neighbour.expelled:
        status = Status.EXPELLED
    elif neighbour.suspended:
        status = Status.SUSPENDED
    return Entry(
        card=card_of(neighbour),
        status=status,
        parent=settings.NODE.name,
        certificate=_fingerprint(certificate.encode()),
        recovery=recovery_of(neighbour),
        organisations=hosted_on(neighbour.name),
    )


def hosted_on(node: str) -> tuple[Hosted, ...]:
    """The organisations of a node as the directory names them."""
    return tuple(
        Hosted(item.pk, item.code, item.name, item.short_name, item.kind)
        for item in Organisation.objects.filter(node=node)
    )


def _fingerprint(pem: bytes) -> bytes:
    """SHA-256 of a certificate's DER; empty for none."""
    return sha256(keeping.der_of(pem)).digest() if pem else b""
