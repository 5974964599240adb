"""`python -m tests.sim SEED …`: play runs of one plan and say what came of them."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from tests.sim import suite as suite  # registers the suite of simulated nodes
from tests.sim.faults import EVERYTHING, HARSH
from tests.sim.scenario import CITY, Plan, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--days", type=float, default=0.25)
    parser.add_argument("--city", action="store_true", help="nineteen nodes, milder faults")
    parser.add_argument("--suite", default="sim", help="intl for real cryptography")
    chosen = parser.parse_args()
    plan = Plan(days=chosen.days, documents=24, faults=replace(HARSH, weeks=0))
    if chosen.city:
        plan = replace(CITY, days=chosen.days, faults=EVERYTHING)
    failed = 0
    for seed in chosen.seeds:
        run = play(seed, replace(plan, suite=chosen.suite))
        print(seed, run.digest, dict(run.world.counts), *run.problems, sep="\n  ")
        failed += bool(run.problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
