"""The roads between nodes: each carries batches and knows nothing of what is in them.

A road may lose, repeat, delay or reorder what it carries; `exchange` makes good for all of that.
The child's `node.toml` says which road it takes to its parent; the parent notes the same at the
neighbour (`zhengtong node road`).
"""

from __future__ import annotations

from typing import Protocol

from django.conf import settings


class Courier(Protocol):
    """What the worker keeps running for a road: a thread that can be told to stop."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def couriers(holder: str) -> list[Courier]:
    """Those of the roads that this node takes by itself; `holder` names the worker for leases."""
    from zhengtong.kernel.messages import courier
    from zhengtong.kernel.messages.roads.links import note_parent_road

    note_parent_road()
    node, found = settings.NODE, list[Courier]()
    if node.parent and node.parent.road == "https":
        found += courier.couriers(holder)
    if node.nats:
        from zhengtong.kernel.messages.roads.nats import NatsRoad

        found.append(NatsRoad(holder))
    return found
