"""A run: a tree of nodes, its roads, its office traffic and its faults, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.sim.culprit import TRICKS, cheated, corrupt
from tests.sim.faults import HARSH, Faults, schedule
from tests.sim.invariants import settled, unnamed, violations
from tests.sim.node import DiskFull, Down, Node
from tests.sim.roads import BatchRoad, HttpsRoad, Road
from tests.sim.world import DAY, HOUR, MINUTE, Restless, Wire, World

LONGEST_CALM = 40 * DAY
BUSY = 50_000
"""Events that a link may have in a day: four times what the busiest does that a cheat lies on."""
LANES = (0, 1, 2, 2, 2, 3)
"""Most documents are in no hurry."""


@dataclass(frozen=True)
class Plan:
    """What sort of run: `children[i]` is the parent of node i+1; of 10 roads `ferries` are slow
    one-way ones; documents a day and node; `culprits` begin to cheat at some time."""

    parents: tuple[int, ...] = (0, 1)
    days: float = 1.0
    documents: float = 8.0
    faults: Faults = HARSH
    ferries: int = 2
    suite: str = "sim"
    poll: float = HOUR
    culprits: int = 0


CITY = Plan(parents=(0, *(1,) * 17), days=30, documents=3.0, poll=6 * HOUR)


@dataclass
class Run:
    """What came of it: `problems` is empty if nothing was lost, repeated or hidden."""

    seed: int
    plan: Plan
    world: World
    nodes: list[Node]
    roads: list[Road] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return self.world.digest


def build(seed: int, plan: Plan) -> Run:
    """The world at its beginning, everything in it planned but nothing yet done."""
    world = World(seed)
    nodes = [Node(world, f"n{place}", plan.suite) for place in range(len(plan.parents) + 1)]
    run = Run(seed, plan, world, nodes)
    world.most = BUSY * len(plan.parents)
    for place, above in enumerate(plan.parents):
        child, parent = nodes[place + 1], nodes[above]
        ferry = world.chance.randrange(10) < plan.ferries
        child.befriend(parent, patient=ferry)
        parent.befriend(child, patient=ferry)
        bandwidth = world.chance.choice([32e3, 1e6])
        wire = Wire(world, latency=2 * HOUR if ferry else 0.02, bandwidth=bandwidth)
        sort = BatchRoad if ferry else HttpsRoad
        every = 2 * HOUR if ferry else plan.poll
        run.roads.append(sort(world, wire, child, parent, every))
    for node in nodes:
        _office(world, node, plan)
    for node in world.chance.sample(nodes, plan.culprits):
        trick = world.chance.choice([*TRICKS])
        world.at(world.chance.random() * plan.days * DAY, corrupt, node, trick)
    schedule(world, nodes, [road.wire for road in run.roads], plan.faults, plan.days * DAY)
    return run


def play(seed: int, plan: Plan) -> Run:
    """Let the whole run happen and judge it."""
    run = build(seed, plan)
    finish(run)
    return run


def finish(run: Run) -> None:
    world, until = run.world, run.plan.days * DAY
    try:
        world.run(until)
        before = {node.name: cheated(node) for node in run.nodes}
        while not settled(run.nodes) and world.now < until + LONGEST_CALM:
            world.run(world.now + 6 * HOUR)
        run.problems += unnamed(run.nodes, before, until)
    except Restless as error:
        run.problems.append(str(error))
    run.problems += violations(run.nodes)


def _office(world: World, node: Node, plan: Plan) -> None:
    """People write to the neighbours in working hours; some documents have later versions."""
    neighbours = list(node.store.peers)
    written = dict[str, tuple[str, int, int]]()

    def write() -> None:
        chance = world.chance
        if written and world.happens(0.4):
            name = chance.choice(list(written))
            to, lane, version = written[name]
        else:
            name, version = f"{node.name}-{len(written)}", 0
            to, lane = chance.choice(neighbours), chance.choice(LANES)
        size = chance.choice([0, 0, 0, 200, 20_000]) if lane == 3 else 0
        try:
            node.tell(to, lane, name, version + 1, size)
        except (Down, DiskFull):
            return
        written[name] = to, lane, version + 1
        node.on_mail[to]()

    for day in range(max(1, round(plan.days))):
        for _ in range(round(plan.documents * min(1.0, plan.days))):
            opening = day * DAY + 8 * HOUR if plan.days >= 2 else 10 * MINUTE
            length = 10 * HOUR if plan.days >= 2 else plan.days * DAY - 20 * MINUTE
            world.at(opening + world.chance.random() * length, write)
