"""When a link gives cause for alarm: pure rules over what was said, what was heard, and now.

A dumb road and a silent peer look alike from here: nothing comes back. So three things are watched:
that the neighbour speaks at all, that it acknowledges what it was given, and that no letter waits
longer than its lane allows while the two do speak. A fourth is the clocks: batches from one that is
off are refused, and then nothing passes however well both run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from zhengtong.kernel.moment import CHINA
from zhengtong.wire.errors import Refusal
from zhengtong.wire.standing import CLOCK_TOLERANCE

LANE_WORDS = ("特急", "加急", "普通", "批量")
WATCHED = ("no_contact", "silent_stall", "overdue", "clock_off")
"""The codes that the watcher raises and clears; all others come from the link itself."""

LIMITS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(days=1))
"""How long a letter of each lane may wait while the link is in contact.

A 特急 letter is due "at once" and a dial takes seconds, so a minute is already a fault; 加急 leaves
one whole backoff (5 min); a normal letter may stand behind a mass mailing for half an hour; bulk is
meant for the night, so it has a day."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a road brings the two ends together, as far as that tells a fault from a rest.

    `contact`: heard from within this, the two are in contact. `quiet`: silence that is too long
    while letters wait. `live`: the road runs by itself, so waiting on it is a fault.
    """

    contact: timedelta
    quiet: timedelta
    live: bool = True


# An idle child dials every 20 s; a failing one at least every 5 min, so 10 min are two tries.
LIVE = Pace(timedelta(minutes=2), timedelta(minutes=10))
PACES = {
    "https": LIVE,
    "nats": LIVE,
    # Somebody carries a disc: once each working day, so three days span a weekend.
    "ferry": Pace(timedelta(days=1), timedelta(days=3), live=False),
}
STALL = timedelta(minutes=5)
"""In contact, and yet nothing more acknowledged. A full batch is stored within seconds."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one lane: not yet sealed, sealed without receipt, and since when."""

    waiting: int = 0
    underway: int = 0
    oldest: datetime | None = None

    @property
    def letters(self) -> int:
        return self.waiting + self.underway


@dataclass(frozen=True, slots=True)
class Standing:
    """One link as the tables have it: `acknowledged` is the highest receipted number by lane.

    `skew`: their clock minus ours when last heard. `complaint`: why they refuse us, as a code.
    """

    road: str
    suspended: bool
    last_contact: datetime | None
    backlog: Mapping[int, Backlog] = field(default_factory=dict)
    acknowledged: Mapping[int, int] = field(default_factory=dict)
    skew: timedelta = timedelta(0)
    complaint: str = ""

    @property
    def pace(self) -> Pace:
        return PACES.get(self.road, LIVE)

    def in_contact(self, now: datetime) -> bool:
        return self.last_contact is not None and now - self.last_contact <= self.pace.contact


@dataclass(frozen=True, slots=True)
class Seen:
    """What earlier looks have noted, so that a stall is told from a link that has just come back.

    `contact_since`: since when the two have been in contact without a break. `moved`: by lane, the
    acknowledged number and since when it has stood there with letters under way.
    """

    contact_since: datetime | None = None
    moved: Mapping[int, tuple[int, datetime]] = field(default_factory=dict)


def look(link: Standing, seen: Seen, now: datetime) -> tuple[Seen, dict[str, str]]:
    """What to remember for the next look, and the alarms that hold now: code → detail in words."""
    noted = _note(link, seen, now)
    if link.suspended:
        return noted, {}
    found = {
        "no_contact": _no_contact(link, now),
        "silent_stall": _stall(link, noted, now),
        "overdue": _overdue(link, noted, now),
        "clock_off": _clock(link),
    }
    return noted, {code: detail for code, detail in found.items() if detail}


def _note(link: Standing, seen: Seen, now: datetime) -> Seen:
    if not link.in_contact(now):
        return Seen()
    moved = {}
    for lane, backlog in link.backlog.items():
        if backlog.underway:
            number = link.acknowledged.get(lane, 0)
            before, since = seen.moved.get(lane, (None, now))
            moved[lane] = (number, min(since, now) if before == number else now)
    return Seen(min(seen.contact_since or now, now), moved)  # our clock may have been set back


def _no_contact(link: Standing, now: datetime) -> str:
    waiting = sum(item.letters for item in link.backlog.values())
    oldest = min((item.oldest for item in link.backlog.values() if item.oldest), default=None)
    since = link.last_contact or oldest
    if not waiting or since is None or now - since < link.pace.quiet:
        return ""
    if link.last_contact is None:
        return f"从未联系上，{waiting} 封信件在等待，最早的一封始于{_time(since)}。"
    return f"{_time(since)}以后没有联系，{waiting} 封信件在等待。"


def _stall(link: Standing, seen: Seen, now: datetime) -> str:
    if not link.pace.live:
        return ""
    stuck = [
        f"{LANE_WORDS[lane]}件 {link.backlog[lane].underway} 封自{_time(since)}起没有得到确认"
        for lane, (_, since) in sorted(seen.moved.items())
        if now - since >= STALL
    ]
    return "；".join(stuck) + "。" if stuck else ""


def _overdue(link: Standing, seen: Seen, now: datetime) -> str:
    """Time without contact does not count: then the silence is the fault, and is told as such."""
    if not link.pace.live or seen.contact_since is None:
        return ""
    late = [
        f"{LANE_WORDS[lane]}件最早的一封自{_time(item.oldest)}起等待，超过 {_span(LIMITS[lane])}"
        for lane, item in sorted(link.backlog.items())
        if item.oldest and now - max(item.oldest, seen.contact_since) > LIMITS[lane]
    ]
    return "；".join(late) + "。" if late else ""


def _clock(link: Standing) -> str:
    """A batch that is long on a slow road tells nothing of a clock that is behind."""
    slow = link.skew < -CLOCK_TOLERANCE and link.road == "https"
    if link.skew > CLOCK_TOLERANCE or slow:
        way = "慢" if slow else "快"
        return f"对方时钟比本节点{way} {_span(abs(link.skew))}，信件停止收发。"
    if link.complaint == Refusal.CLOCK.value:
        return "对方因双方时钟相差过大，拒收本节点的信件。"
    return ""


def _time(at: datetime) -> str:
    local = at.astimezone(CHINA)
    return f" {local.month}月{local.day}日 {local:%H:%M} "


def _span(limit: timedelta) -> str:
    return f"{limit.days} 天" if limit.days else f"{limit.seconds // 60} 分钟"
