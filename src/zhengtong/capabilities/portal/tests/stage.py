"""The two nodes of the portal's story, played on one database: first the city's, then the public's.

A letter is carried by hand: what the city told becomes a message that arrived at the public node.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings

from tests import build
from zhengtong.capabilities.documents.messages import Offered
from zhengtong.capabilities.portal import messages
from zhengtong.capabilities.portal.commands import offering
from zhengtong.capabilities.portal.commands.seed import MAIN, WATER, seed
from zhengtong.capabilities.portal.models import Article, Column
from zhengtong.capabilities.portal.web import bake
from zhengtong.kernel import files
from zhengtong.kernel.baked import BakedStore
from zhengtong.kernel.directory.actors import Actor, node_actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.labels import Level, Zone
from zhengtong.kernel.messages import reactions
from zhengtong.kernel.messages.facts import Fact, FileRef, decode, encode
from zhengtong.kernel.messages.models import Arrival, Letter, Message, Neighbour
from zhengtong.kernel.search import indexer
from zhengtong.kernel.worker import extract_one

RELEASER = "portal.release portal.confirm_release portal.reject portal.withdraw portal.revise"
PORTAL, CITY = "zhoukou-portal", "zhoukou"
F = TypeVar("F", bound=Fact)


@dataclass
class City:
    """The releasing office: two people who may release, and a clerk who may not."""

    office: build.Office
    first: Actor
    second: Actor


def city(*, connected: bool = True) -> City:
    """The city's side, with its sites and, unless told otherwise, its public neighbour."""
    office = build.office()
    seed(node_actor({"portal.seed"}))
    if connected:
        neighbour(PORTAL, "public", Level.PUBLIC)
    return City(
        office,
        build.person(office.organisation, RELEASER.split(), name="苏思齐"),
        build.person(office.organisation, RELEASER.split(), name="程予安"),
    )


def neighbour(name: str, zone: str, ceiling: Level) -> Neighbour:
    return Neighbour.objects.create(name=name, title=name, zone=zone, ceiling=ceiling, card=b"")


def stored(data: bytes, name: str) -> FileRef:
    """A file on this node whose text has been read."""
    file = files.store(io.BytesIO(data), name)
    while extract_one():
        pass
    return FileRef(file.sha256, name, file.size, file.media_type)


def offer(owner: Organisation, *, attached: Iterable[FileRef] = (), **given: Any) -> Article:
    """A document as the documents capability offers it, taken in as an article."""
    values: dict[str, Any] = {
        "document": new_id(),
        "title": "关于做好汛期防汛准备工作的通知",
        "document_kind": "通知",
        "number": "周政办〔2026〕12号",
        "body": "各县（市、区）人民政府：\n一、提高认识\n切实做好防汛准备。\n特此通知。",
        "issuing_office": owner.pk,
        "issuing_name": owner.name,
        "issued_on": date(2026, 6, 1),
        "level": int(Level.PUBLIC),
        "files": tuple(attached),
        "offered_by": "李明禾",
    }
    fact = Offered(**(values | given))
    taken: Article = offering.take_offer(node_actor(), fact)
    return taken


def column(key: str = "zcwj", site: str = "zhoukou") -> Column:
    return Column.objects.select_related("site").get(site__key=site, key=key)


def told(kind: type[F]) -> list[F]:
    """The facts of a kind that have been told on this node, oldest first."""
    rows = Message.objects.filter(kind=kind.kind).exclude(body=b"").order_by("id")
    return [decode(row.kind, bytes(row.body)) for row in rows]  # type: ignore[misc]


def letters() -> list[tuple[str, str]]:
    """(kind, node) of every letter on its way."""
    rows = Letter.objects.order_by("id").values_list("message__kind", "neighbour__name")
    return [(kind, name) for kind, name in rows]


class PublicNode:
    """The node in the public zone. It hosts nobody; its neighbour is the city."""

    def __init__(self, home: Path) -> None:
        self.home = home
        settings.NODE = replace(
            settings.NODE,
            name=PORTAL,
            title="门户节点",
            zone=Zone.PUBLIC,
            ceiling=Level.PUBLIC,
            home=home,
            files=home / "files",
            url="https://www.zhoukou.example",
            demo=True,
        )
        settings.PUBLIC_FACE = True
        indexer.index.cache_clear()
        bake._look.cache_clear()
        self.parent = neighbour(CITY, "private", Level.WORK_SECRET)
        self.indexer = indexer.Indexer()
        self.sequence = 0
        self.organisation = Organisation.objects.first() or build.organisation()
        Organisation.objects.update(node=CITY)
        seed(node_actor(), (MAIN, WATER))

    @property
    def store(self) -> BakedStore:
        return BakedStore(settings.NODE.baked)

    def article(self, **given: Any) -> messages.Published:
        """A letter as the city sends it."""
        now = datetime(2026, 6, 2, 1, 30, tzinfo=UTC)
        values: dict[str, Any] = {
            "article": new_id(),
            "version": 1,
            "site": "zhoukou",
            "column": "zcwj",
            "title": "关于做好汛期防汛准备工作的通知",
            "summary": "各县区六月十日前完成排查。",
            "body": "各县（市、区）：\n一、提高认识\n切实做好防汛准备。",
            "owner": self.organisation.pk,
            "source": "周口市人民政府办公室",
            "document_number": "周政办〔2026〕12号",
            "document_kind": "通知",
            "issued_on": date(2026, 6, 1),
            "index_number": "411600/2026-00001",
            "published_at": now,
            "updated_at": now,
            "files": (),
        }
        return messages.Published(**(values | given))

    def file(self, data: bytes, name: str) -> FileRef:
        return stored(data, name)

    def arrive(self, fact: Fact, article: UUID, *, origin: str = CITY) -> Message:
        """A letter comes in, with the envelope it came in."""
        self.sequence += 1
        body = encode(fact)
        message = Message.objects.create(
            kind=fact.kind,
            body=body,
            level=0,
            subject=f"urn:zhengtong:article:{article}",
            origin=origin,
            at=datetime(2026, 6, 2, 1, 30, tzinfo=UTC),
        )
        Arrival.objects.create(
            neighbour=self.parent,
            lane=2,
            sequence=self.sequence,
            digest=b"d",
            chain=b"c",
            epoch=1,
            leaf=self.sequence,
            envelope=b"envelope:" + body,
            message=message.pk,
        )
        return message

    def publish(self, fact: messages.Published) -> messages.Published:
        self.arrive(fact, fact.article)
        self.settle()
        return fact

    def withdraw(self, fact: messages.Published) -> None:
        self.arrive(messages.Withdrawn(fact.article, fact.version), fact.article)
        self.settle()

    def settle(self) -> None:
        """What the worker does until nothing is left."""
        while reactions.work() or extract_one() or self.indexer.work() or bake.bake_waiting():
            pass

    def learn(self) -> None:
        """The reactions and the index, without the pages."""
        while reactions.work() or extract_one() or self.indexer.work():
            pass

    def take_in(self) -> None:
        """Only the reactions: the pages are left for later."""
        while reactions.work():
            pass

    def close(self) -> None:
        self.indexer.close()
        indexer.index.cache_clear()
