"""The watcher of the links: looks every few seconds, raises alarms, and clears its own."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import models

from zhengtong.kernel import leases, moment
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.messages import alarms, delays, health
from zhengtong.kernel.messages.link_commands import announce, clear
from zhengtong.kernel.messages.models import LinkAlarm, Neighbour
from zhengtong.kernel.messages.store import raise_alarm

EVERY = timedelta(seconds=5)
LEASE = "link-watch"
PASSED = "情况已恢复正常。"
STEP = 60.0
"""Seconds by which the clock may gain or lose between two looks; more, and somebody has set it."""


class LinkWatch(models.Model):
    """What the watcher remembers of one link; `moved` is lane → [acknowledged, since]."""

    neighbour = models.OneToOneField(Neighbour, models.CASCADE, primary_key=True, related_name="+")
    contact_since = models.DateTimeField(null=True)
    moved = models.JSONField(default=dict)

    @property
    def seen(self) -> alarms.Seen:
        moved = {
            int(lane): (number, datetime.fromisoformat(since))
            for lane, (number, since) in self.moved.items()
        }
        return alarms.Seen(self.contact_since, moved)

    def note(self, seen: alarms.Seen) -> bool:
        """Remember; whether that is news."""
        moved = {
            str(lane): [number, since.isoformat()] for lane, (number, since) in seen.moved.items()
        }
        if (self.contact_since, self.moved) == (seen.contact_since, moved):
            return False
        self.contact_since, self.moved = seen.contact_since, moved
        return True


class Watcher:
    """The worker's job. Of several workers only the holder of the lease looks."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self._next: datetime | None = None
        self._clock = _clock()

    def work(self) -> bool:
        """Look at every link, unless that was done a moment ago; whether anything changed."""
        now = moment.now()
        if self._next is not None and self._next - EVERY <= now < self._next:
            return False
        self._next = now + EVERY
        if not leases.take(LEASE, self.holder, 3 * EVERY.total_seconds()):
            return False
        self._heed_the_clock()
        counted = delays.count_new()
        if counted:
            self._next = now  # there may be more: a week's letters are counted in many turns
        return look() | counted

    def _heed_the_clock(self) -> None:
        """Once our clock was set, forget since when things are as they are: nobody knows."""
        before, self._clock = self._clock, _clock()
        if abs(self._clock - before) > STEP:
            LinkWatch.objects.update(contact_since=None, moved={})


def _clock() -> float:
    """Our clock against one that nobody sets; it changes when ours is set."""
    return moment.now().timestamp() - time.monotonic()


def look() -> bool:
    """One look at all the links; whether an alarm came or went."""
    now = moment.now()
    nodes = list(Neighbour.objects.all())
    lanes = health.lanes_of(nodes)
    backlogs = health.backlogs_of(lanes)
    watches = {watch.pk: watch for watch in LinkWatch.objects.all()}
    standing = {
        (alarm.neighbour_id, alarm.code): alarm
        for alarm in LinkAlarm.objects.filter(cleared_at=None, code__in=alarms.WATCHED)
    }
    changed = False
    for node in nodes:
        _not_to_come(node, now)
        watch = watches.get(node.pk) or LinkWatch(neighbour=node)
        seen, found = alarms.look(health.standing_of(node, lanes, backlogs), watch.seen, now)
        if watch.note(seen):
            watch.save()
        for code in alarms.WATCHED:
            changed |= _settle(node, code, found.get(code, ""), standing.get((node.pk, code)))
    return changed | _announce_new()


def _not_to_come(node: Neighbour, now: datetime) -> None:
    """Once our clock was set back the last contact lies ahead; silence is counted from here."""
    if node.last_contact is not None and node.last_contact > now:
        node.last_contact = now
        node.save(update_fields=["last_contact"])


def _settle(node: Neighbour, code: str, detail: str, standing: LinkAlarm | None) -> bool:
    """Open, keep up to date, or clear one alarm; whether it came or went."""
    if detail and standing is None:
        raise_alarm(node, code, detail)
        return True
    if not detail and standing is not None:
        clear(node_actor({"links.clear"}), standing.pk, PASSED)
        return True
    if standing is not None and standing.detail != detail:
        LinkAlarm.objects.filter(pk=standing.pk).update(detail=detail)
    return False


def _announce_new() -> bool:
    """Tell people of alarms that they have not heard of, whoever raised them."""
    fresh = list(LinkAlarm.objects.filter(announced=False, cleared_at=None).values_list("pk"))
    for (alarm,) in fresh:
        announce(node_actor({"links.announce"}), alarm)
    return bool(fresh)
