"""The manifest and the registry: capabilities announce themselves, the kernel knows no names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from zhengtong.kernel.records import Record


@dataclass(frozen=True, slots=True)
class Navigation:
    """One entry of the office's left navigation, shown to those holding any of `duties`."""

    title: str
    url: str
    duties: tuple[str, ...] = ()
    order: int = 100


@dataclass(frozen=True, slots=True)
class Searchable:
    """How one kind of record enters the index.

    `entry` names a function from a record to a search Entry (or None), `on_extracted` one that
    queues what a newly read file belongs to; `page` maps a record's id to its address.
    """

    kind: str
    title: str
    model: str
    entry: str
    page: Callable[[str], str]
    on_extracted: str = ""


@dataclass(frozen=True, slots=True)
class Capability:
    """What one capability tells the house: a newcomer reads this file first.

    `task_kinds` maps a kind of task to what closes many at once, a dotted path to a function of
    (actor, record id). `jobs` are what the worker does at every turn, `checks` what `doctor` asks:
    dotted paths to functions that yield what is wrong, in words. `modules` are imported at start
    because importing them registers commands, facts and reactions. `urls` are URLconf paths by
    face. `node_duties` are what the node may do unasked.
    """

    name: str
    title: str
    modules: tuple[str, ...] = ()
    urls: tuple[tuple[str, str, str], ...] = ()  # (face, prefix, urlconf)
    navigation: tuple[Navigation, ...] = ()
    node_duties: tuple[str, ...] = ()
    searchables: tuple[Searchable, ...] = ()
    task_kinds: tuple[tuple[str, str], ...] = ()
    jobs: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    def load(self) -> None:
        for module in self.modules:
            __import__(module)


_registry: dict[str, Capability] = {}


def register(capability: Capability) -> Capability:
    """Add a capability and import the modules that announce its commands and reactions."""
    _registry[capability.name] = capability
    capability.load()
    return capability


def capabilities() -> tuple[Capability, ...]:
    return tuple(_registry.values())


def node_duties() -> frozenset[str]:
    return frozenset(duty for item in capabilities() for duty in item.node_duties)


def searchables() -> dict[str, Searchable]:
    return {item.model: item for part in capabilities() for item in part.searchables}


def entry_of(record: Record) -> Any:
    """The search entry of a record, or None when it is not searchable (any more)."""
    found = searchables().get(record._meta.label)
    return import_string(found.entry)(record) if found else None
