"""How the links stand: one set-based query for each question, however many links there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum

from zhengtong.kernel import moment
from zhengtong.kernel.messages.alarms import Backlog, Standing
from zhengtong.kernel.messages.delays import EVER, LinkDelay, quantile
from zhengtong.kernel.messages.models import Letter, LinkAlarm, LinkLane, Neighbour, Sent

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Delay:
    """How long the letters of a span took: their number, and p50 and p99 in seconds."""

    letters: int = 0
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """One neighbour with everything the node page shows of the link to it."""

    node: Neighbour
    standing: Standing
    lanes: Mapping[int, LinkLane] = field(default_factory=dict)
    hour: Delay = Delay()
    day: Delay = Delay()
    alarms: tuple[LinkAlarm, ...] = ()

    @property
    def backlog(self) -> int:
        return sum(item.letters for item in self.standing.backlog.values())

    @property
    def oldest(self) -> datetime | None:
        """Since when the letter waits that has waited longest."""
        times = [item.oldest for item in self.standing.backlog.values() if item.oldest]
        return min(times, default=None)


def links(name: str = "") -> list[Link]:
    """Every link (or the one to `name`), the parent's first: five queries in all."""
    nodes = Neighbour.objects.order_by("-is_parent", "name")
    found = list(nodes.filter(name=name) if name else nodes)
    lanes = lanes_of(found)
    backlogs = backlogs_of(lanes)
    hours, days = delays_of(found)
    alarms = defaultdict(list)
    for alarm in open_alarms():
        alarms[alarm.neighbour_id].append(alarm)
    return [
        Link(
            node,
            standing_of(node, lanes, backlogs),
            lanes[node.pk],
            hours.get(node.pk, Delay()),
            days.get(node.pk, Delay()),
            tuple(alarms[node.pk]),
        )
        for node in found
    ]


Lanes = Mapping[int, Mapping[int, LinkLane]]
Backlogs = Mapping[int, Mapping[int, Backlog]]
Counted = tuple[int, int, int, datetime]
"""Link, lane, letters, since when the oldest of them."""


def standing_of(node: Neighbour, lanes: Lanes, backlogs: Backlogs) -> Standing:
    """A link as the rules of `alarms` look at it."""
    return Standing(
        node.road,
        node.suspended,
        node.last_contact,
        backlogs.get(node.pk, {}),
        {number: lane.receipted for number, lane in lanes.get(node.pk, {}).items()},
        timedelta(milliseconds=node.skew_ms or 0),
        node.last_error.partition(":")[0] if node.failures else "",
    )


def lanes_of(nodes: Iterable[Neighbour]) -> dict[int, dict[int, LinkLane]]:
    """By link and lane, how far each has come."""
    found: dict[int, dict[int, LinkLane]] = {node.pk: {} for node in nodes}
    for row in LinkLane.objects.filter(neighbour__in=list(found)).order_by("lane"):
        found[row.neighbour_id][row.lane] = row
    return found


def backlogs_of(lanes: Lanes) -> dict[int, dict[int, Backlog]]:
    """By link and lane, what waits to be sealed and what was sealed but has no receipt."""
    found: dict[int, dict[int, Backlog]] = defaultdict(dict)
    waiting = Letter.objects.filter(waiting=True, problem="", neighbour__in=list(lanes))
    for link, lane, letters, oldest in _by_lane(waiting, "neighbour", "lane", "created_at"):
        found[link][lane] = Backlog(waiting=letters, oldest=oldest)
    for link, lane, letters, oldest in _underway(lanes):
        before = found[link].get(lane, Backlog())
        times = [item for item in (before.oldest, oldest) if item]
        found[link][lane] = Backlog(before.waiting, letters, min(times))
    return found


def _by_lane(rows: QuerySet[Any], link: str, lane: str, at: str) -> QuerySet[Any, Counted]:
    """By link and lane, how many rows, and since when the oldest."""
    grouped: QuerySet[Any, Any] = rows.order_by().values_list(link, lane)
    counted: QuerySet[Any, Counted] = grouped.annotate(letters=Count("pk"), oldest=Min(at))
    return counted


def _underway(lanes: Lanes) -> Iterable[Counted]:
    """The sealed letters of these lanes that have no receipt yet, in one query.

    Each lane is a part of its own: the index on (link, lane, number) then leads straight to its
    letters, past all that were ever sent. One condition with ORs would read them all.
    """
    parts = [
        _by_lane(
            Sent.objects.filter(neighbour=link, lane=row.lane, sequence__gt=row.receipted),
            "neighbour",
            "letter__lane",
            "letter__created_at",
        )
        for link, rows in lanes.items()
        for row in rows.values()
        if row.sealed > row.receipted
    ]
    return parts[0].union(*parts[1:], all=True) if parts else ()


def delays_of(nodes: Iterable[Neighbour]) -> tuple[dict[int, Delay], dict[int, Delay]]:
    """By link, the delays of the last hour and of the last day."""
    now = moment.now()
    hour: dict[int, dict[int, int]] = defaultdict(dict)
    day: dict[int, dict[int, int]] = defaultdict(dict)
    rows = (
        LinkDelay.objects.filter(neighbour__in=list(nodes), slot__gt=now - DAY)
        .order_by()
        .values_list("neighbour", "bucket")
        .annotate(
            whole=Sum("letters"),
            recent=Sum("letters", filter=Q(slot__gt=now - HOUR), default=0),
        )
    )
    for link, bucket, whole, recent in rows:
        day[link][bucket] = whole
        if recent:
            hour[link][bucket] = recent
    return _delays(hour), _delays(day)


def _delays(counts: Mapping[int, Mapping[int, int]]) -> dict[int, Delay]:
    return {link: delay(row) for link, row in counts.items()}


def delay(counts: Mapping[int, int]) -> Delay:
    """The figures of one set of bucket counts."""
    return Delay(sum(counts.values()), quantile(counts, 0.5), quantile(counts, 0.99))


def history(node: Neighbour, hours: int = 24) -> list[tuple[datetime, Delay]]:
    """The delays of each of the last full or begun hours, oldest first; an empty one has None."""
    newest = moment.now().replace(minute=0, second=0, microsecond=0)
    counts: dict[datetime, dict[int, int]] = {
        newest - HOUR * back: defaultdict(int) for back in reversed(range(hours))
    }
    rows = LinkDelay.objects.filter(neighbour=node, slot__gte=newest - HOUR * (hours - 1))
    for slot, bucket, letters in rows.values_list("slot", "bucket", "letters"):
        hour = slot.replace(minute=0)
        if hour in counts:
            counts[hour][bucket] += letters
    return [(hour, delay(row)) for hour, row in counts.items()]


def totals() -> list[tuple[str, int, int, float]]:
    """Every letter that was ever receipted: neighbour, bucket, letters, seconds together."""
    rows = LinkDelay.objects.filter(slot=EVER).order_by("neighbour", "bucket")
    return list(rows.values_list("neighbour__name", "bucket", "letters", "seconds"))


def open_alarms() -> QuerySet[LinkAlarm]:
    """What is wrong now, the oldest first."""
    return (
        LinkAlarm.objects.filter(cleared_at=None).select_related("neighbour").order_by("at", "pk")
    )
