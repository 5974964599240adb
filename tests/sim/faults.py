"""What goes wrong in a simulated world, how often and for how long: drawn from its own chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.sim.node import CEILING, Node
from tests.sim.people import look_after
from tests.sim.world import DAY, HOUR, MINUTE, Wire, World


@dataclass(frozen=True)
class Faults:
    """How many of each befall a node or line in a day, on average; shares for loss and repeats."""

    loss: float = 0.0
    repeats: float = 0.0
    jitter: float = 0.0
    cuts: float = 0.0
    weeks: float = 0.0
    crashes: float = 0.0
    full: float = 0.0
    slow: float = 0.0
    jumps: float = 0.0
    restores: float = 0.0
    rotations: float = 0.0
    ceilings: float = 0.0


NONE = Faults()
EVERYTHING = Faults(
    loss=0.03, repeats=0.02, jitter=0.05, cuts=0.5, weeks=0.01, crashes=0.6, full=0.2, slow=0.2,
    jumps=0.1, restores=0.05, rotations=0.05,
)  # fmt: skip
HARSH = Faults(
    loss=0.15, repeats=0.1, jitter=0.3, cuts=4, weeks=0.05, crashes=8, full=2, slow=2, jumps=1,
    restores=1,
)  # fmt: skip


def schedule(
    world: World, nodes: list[Node], wires: list[Wire], faults: Faults, until: float
) -> None:
    """Let the faults happen from now to `until`; afterwards all is well."""
    for wire in wires:
        wire.loss, wire.repeats = faults.loss, faults.repeats
        wire.jitter = faults.jitter * max(1.0, wire.latency)  # what takes hours varies by hours
        _often(world, faults.cuts, until, partial(_interrupt, world, wire))
        _often(world, faults.weeks, until, partial(wire.cut, 7 * DAY))
    if faults.restores and faults.rotations:
        world.at(HOUR, look_after, world, nodes)
    for node in nodes:
        _often(world, faults.crashes, until, partial(_crash, world, node))
        _often(world, faults.full, until, partial(_full, world, node))
        _often(world, faults.slow, until, partial(_slow, world, node))
        _often(world, faults.restores, until, partial(_lose, world, node))
        _often(world, faults.rotations, until, node.change_keys)
        _often(world, faults.jumps, until, partial(_jump, world, node))
        _often(world, faults.ceilings, until, partial(_lower, world, node))
    world.at(until - world.now, _calm, world, nodes, wires)


def _often(world: World, a_day: float, until: float, happen: Callable[[], None]) -> None:
    """At random moments, so many a day."""
    if not a_day:
        return

    def again() -> None:
        happen()
        wait()

    def wait() -> None:
        pause = world.chance.expovariate(a_day / DAY)
        if world.now + pause < until:
            world.at(pause, again)

    wait()


def _length(world: World) -> float:
    return world.chance.choice([5.0, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR])


def _interrupt(world: World, wire: Wire) -> None:
    wire.cut(_length(world))


def _crash(world: World, node: Node) -> None:
    """At once, or in the middle of a transaction that is yet to come."""
    if world.happens(0.3):
        node.fall()
    else:
        node.crash_after = world.chance.randrange(1, 60)


def _full(world: World, node: Node) -> None:
    node.full = True
    world.note("disk full", node.name)
    world.at(_length(world), setattr, node, "full", False)


def _slow(world: World, node: Node) -> None:
    node.slow = world.chance.choice([0.5, 5.0, 40.0])
    world.note("disk slow", node.name)
    world.at(_length(world), setattr, node, "slow", 0.0)


def _jump(world: World, node: Node) -> None:
    node.skew = world.chance.choice([-HOUR, -MINUTE, 5 * MINUTE, HOUR, 30 * DAY])
    world.note("clock jump", node.name, node.skew)
    world.at(_length(world), setattr, node, "skew", 0.0)


def _lower(world: World, node: Node) -> None:
    """For a while no letter of the office may go to one of the neighbours."""
    peer = world.chance.choice([*node.store.peers])
    world.note("ceiling lowered", node.name, peer)
    node.hold_to(peer, 0)
    world.at(_length(world), node.hold_to, peer, CEILING)


def _lose(world: World, node: Node) -> None:
    """The disk is lost. The backup that is at hand was taken some time ago, and is put back: not
    seldom twice.

    It is none of a past that an earlier restore has undone: such a backup holds letters under
    numbers that others bear by now.
    """
    backup, taken = node.backup(), world.now
    delay = world.chance.choice([MINUTE, HOUR, 6 * HOUR])

    def restore() -> None:
        if not node.up:
            world.at(HOUR, restore)
            return
        if any(to < taken < at for to, at in node.undone):
            return
        node.fall(downtime=world.chance.choice([1.0, 2 * MINUTE, 10 * MINUTE]))
        node.restore(backup, taken)
        if world.happens(0.3):
            world.at(world.chance.choice([5.0, HOUR]), restore)

    world.at(delay, restore)


def _calm(world: World, nodes: list[Node], wires: list[Wire]) -> None:
    for wire in wires:
        wire.loss = wire.repeats = wire.jitter = 0.0
    for node in nodes:
        node.crash_after, node.full, node.slow, node.skew = 0, False, 0.0, 0.0
