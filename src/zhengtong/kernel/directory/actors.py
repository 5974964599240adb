"""Who acts: a person in a post, the node itself, or nobody in particular."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.kernel.capability import node_duties
from zhengtong.kernel.directory.models import Appointment, Organisation, Person
from zhengtong.kernel.labels import Level


@dataclass(frozen=True, slots=True)
class Actor:
    """The reader of every query and the doer of every command.

    `organisations` are those whose records count as the actor's own: one for a person, all that
    are hosted for the node. `duties` are the commands it may run.
    """

    name: str
    urn: str
    organisations: tuple[UUID, ...] = ()
    duties: frozenset[str] = frozenset()
    clearance: Level = Level.PUBLIC
    ceiling: Level = Level.PUBLIC
    person: UUID | None = None
    is_node: bool = False
    title: str = ""
    address: str = ""

    @property
    def anonymous(self) -> bool:
        return self.person is None and not self.is_node

    @property
    def organisation(self) -> UUID:
        """The one organisation a person acts for. An actor without one has no business here."""
        if not self.organisations:
            raise LookupError(f"{self.name} acts for no organisation")
        return self.organisations[0]

    def has(self, duty: str) -> bool:
        return duty in self.duties

    def acting_for(self, organisation: UUID) -> Actor:
        """The node on behalf of one of its organisations."""
        rest = tuple(item for item in self.organisations if item != organisation)
        return replace(self, organisations=(organisation, *rest))


def person_actor(person: Person, *, address: str = "") -> Actor:
    """The actor of a signed-in person: the union of the duties of the posts held today.

    All posts must be in one organisation, the one first appointed to; duties of posts elsewhere
    are left out, so that no one acts for two organisations in one breath.
    """
    today = moment.today()
    held = list(
        Appointment.objects.filter(
            Q(until=None) | Q(until__gt=today), person=person, since__lte=today
        )
        .select_related("post")
        .prefetch_related("post__duties")
        .order_by("since", "pk")
    )
    home = held[0].post.organisation_id if held else None
    posts = [item.post for item in held if item.post.organisation_id == home]
    return Actor(
        name=person.name,
        urn=f"urn:zhengtong:person:{person.pk}",
        organisations=(home,) if home else (),
        duties=frozenset(duty.duty for post in posts for duty in post.duties.all()),
        clearance=Level(person.clearance),
        ceiling=settings.NODE.ceiling,
        person=person.pk,
        title="、".join(post.title for post in posts),
        address=address,
    )


def anonymous() -> Actor:
    """A citizen who has not said who they are: sees what has been released, and no more."""
    return Actor(name="公众", urn="urn:zhengtong:public", ceiling=settings.NODE.ceiling)


def node_actor(duties: Iterable[str] | None = None) -> Actor:
    """The node itself, acting for the organisations it hosts, with the duties it is listed for."""
    return Actor(
        name=settings.NODE.title,
        urn=f"urn:zhengtong:node:{settings.NODE.name}",
        organisations=hosted(),
        duties=frozenset(duties) if duties is not None else node_duties(),
        clearance=settings.NODE.ceiling,
        ceiling=settings.NODE.ceiling,
        is_node=True,
    )


def hosted() -> tuple[UUID, ...]:
    """The organisations that live on this node."""
    return tuple(Organisation.objects.filter(node=settings.NODE.name).values_list("pk", flat=True))


def people_with(duty: str, organisations: Collection[UUID]) -> list[Person]:
    """The active people of these organisations whose posts carry a duty today."""
    today = moment.today()
    return list(
        Person.objects.filter(
            Q(appointments__until=None) | Q(appointments__until__gt=today),
            active=True,
            appointments__since__lte=today,
            appointments__post__organisation__in=organisations,
            appointments__post__duties__duty=duty,
        ).distinct()
    )
