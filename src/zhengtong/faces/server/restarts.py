"""When to start a crashed child again, and when to give up: a pure rule, time is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """first_delay     seconds before the first restart; doubles with each further crash
    longest_delay   seconds; the doubling stops here
    healthy_after   a child that lived so many seconds starts again at first_delay
    early           a crash within so many seconds of the start is an early one
    hopeless_after  so many early crashes in a row and the child is given up
    """

    first_delay: float = 1.0
    longest_delay: float = 30.0
    healthy_after: float = 60.0
    early: float = 5.0
    hopeless_after: int = 6


@dataclass(slots=True)
class Restarts:
    """The crash history of one child."""

    policy: RestartPolicy = field(default_factory=RestartPolicy)
    crashes: int = 0
    early_crashes: int = 0

    def after_crash(self, lived: float) -> float | None:
        """Seconds to wait before the next start of a child that lived `lived` seconds;
        None if it is hopeless."""
        policy = self.policy
        if lived >= policy.healthy_after:
            self.crashes = 0
        self.early_crashes = self.early_crashes + 1 if lived < policy.early else 0
        if self.early_crashes >= policy.hopeless_after:
            return None
        delay = min(policy.longest_delay, policy.first_delay * 2.0 ** min(self.crashes, 16))
        self.crashes += 1
        return delay
