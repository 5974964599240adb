"""The records that letters are about, as far as a reader may see them: titles and pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps

from zhengtong.kernel.capability import Searchable, searchables
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.records import Record

MOST = 500  # records looked through for one title


@dataclass(frozen=True, slots=True)
class Subject:
    """A record that the reader may see; of itself only its name and title have been read."""

    record: Any
    kind: str
    place: Callable[[str], str]

    @property
    def title(self) -> str:
        return str(self.record.title)

    @property
    def page(self) -> str:
        """Its page. Asked for one at a time: some records must look theirs up."""
        return self.place(str(self.record.pk))


def _models() -> dict[str, tuple[Any, Searchable]]:
    """By the word in a urn, every kind of record that has a title and a page of its own."""
    return {
        model._meta.model_name or "": (model, item)
        for label, item in searchables().items()
        if issubclass(model := apps.get_model(label), Record) and hasattr(model, "title")
    }


def seen(actor: Actor, urns: Collection[str]) -> dict[str, Subject]:
    """Of these urns the records that the actor may read: one query for each kind of record."""
    wanted = defaultdict(set)
    for urn in urns:
        _, _, rest = urn.partition("urn:zhengtong:")
        word, _, pk = rest.partition(":")
        if _is_uuid(pk):
            wanted[word].add(pk)
    found: dict[str, Subject] = {}
    for word, (model, item) in _models().items():
        if wanted[word]:
            visible = model.objects.visible_to(actor).filter(pk__in=wanted[word])
            for record in visible.only("id", "title"):
                found[record.urn] = Subject(record, item.title, item.page)
    return found


def titled(actor: Actor, text: str) -> tuple[str, ...]:
    """The urns of visible records with these words in their title, the newest first."""
    return tuple(
        f"urn:zhengtong:{word}:{pk}"
        for word, (model, _) in _models().items()
        for pk in model.objects.visible_to(actor)
        .filter(title__icontains=text)
        .order_by("-created_at")
        .values_list("pk", flat=True)[:MOST]
    )


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
