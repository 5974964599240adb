"""What the conformance suite asks of a road; one joins by a subclass and a line in ROADS.

The suite builds its nodes as a `City` (tests/federation), lets the road be laid, starts the nodes,
and from then on looks only at what officers see and at the tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from tests.federation.city import City, Site


class Road(ABC):
    """The road between a parent and its children, in the hands of a test."""

    name: ClassVar[str]

    def __init__(self, city: City) -> None:
        self.city = city

    @property
    def children(self) -> list[Site]:
        return [site for site in self.city.sites.values() if site.parent]

    @abstractmethod
    def lay(self) -> None:
        """Once all nodes are built and know one another, and before any starts: make the road."""

    def step(self) -> None:
        """Carry what waits, once, where a person must: the suite calls it while it waits."""
        return

    @abstractmethod
    def cut(self, child: Site) -> None:
        """From now on nothing passes between this child and its parent."""

    @abstractmethod
    def heal(self, child: Site) -> None:
        """What was cut works again."""

    @abstractmethod
    def kill(self, child: Site) -> None:
        """kill -9 a process that the road to this child rests on; it comes back by itself."""

    @abstractmethod
    def disturb(self, child: Site, seed: int) -> None:
        """Repeat, reorder and lose batches on the way for a few seconds, chosen by `seed`."""

    def told(self, child: Site, code: str) -> bool:
        """Whether people at the child learn that all they send is refused, and by which code."""
        assert child.parent
        return code in child.do("link", node=child.parent.name)["last_error"]

    def lose(self, child: Site) -> None:
        """All that is under way from this child is gone for good. The child is stopped."""
        return

    def close(self) -> None:
        """Let go of what the road holds; nodes are stopped elsewhere."""
        return
