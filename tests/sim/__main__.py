"""`python -m tests.sim SEED … [FIELD=VALUE …]`: play runs of one plan and say what came of them.

A failing test prints such a line. FIELD is one of a plan's, or `faults.` and a fault:

    python -m tests.sim 27 days=2 'parents=(0, 1, 1, 1)' faults.restores=1
"""

from __future__ import annotations

import sys

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.plans import plan_of
from tests.sim.scenario import play


def main(words: list[str]) -> int:
    seeds = [int(word) for word in words if "=" not in word]
    if not seeds:
        print(__doc__)
        return 2
    plan, failed = plan_of(word for word in words if "=" in word), 0
    for seed in seeds:
        run = play(seed, plan)
        print(seed, run.digest, dict(run.world.counts), *run.problems, sep="\n  ")
        failed += bool(run.problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
