"""How long letters take: counts by link, ten-minute slot and bucket, kept up from the receipts.

Counting once, when a receipt has come, makes every figure cheap however many letters there were:
the page's percentiles, the chart of a day, and the ever-growing histogram of the metrics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from django.db import models, transaction
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.messages.models import Neighbour, Receipt, Sent

BOUNDS = (
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7),
    *(10, 15, 20, 30, 45, 60, 120, 300, 600, 1800, 3600, 10800, 43200, 86400, 604800),
)
"""Upper bounds of the buckets in seconds; one more bucket takes whatever took longer. So close up
to a minute that a percentile read from them is off by a fifth at most."""
SLOT = timedelta(minutes=10)
EVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The slot that counts every letter since the node was set up."""
KEPT = timedelta(days=8)
RECEIPTS = 20  # of each link, in one turn of the worker


class LinkDelay(models.Model):
    """How many letters, receipted in one slot, took at most `BOUNDS[bucket]` seconds.

    A letter's time runs from its sealing here to its storing there, by our clock.
    """

    neighbour = models.ForeignKey(Neighbour, models.CASCADE, related_name="+")
    slot = models.DateTimeField()
    bucket = models.PositiveSmallIntegerField()
    letters = models.BigIntegerField(default=0)
    seconds = models.FloatField(default=0)  # all of them together

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["neighbour", "slot", "bucket"], name="delay_once")
        ]


class LinkTimed(models.Model):
    """Up to which receipt the letters of a link have been counted."""

    neighbour = models.OneToOneField(Neighbour, models.CASCADE, primary_key=True, related_name="+")
    receipt = models.BigIntegerField(default=0)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The time in seconds that `share` of the letters did not exceed, read from bucket counts.

    Inside its bucket it is interpolated, as Prometheus' `histogram_quantile` does; in the last,
    unbounded one it is that bucket's lower bound. None when there were no letters.
    """
    rank = share * sum(counts.values())
    if not rank:
        return None
    passed = 0
    for bucket in sorted(counts):
        if passed + counts[bucket] >= rank:
            low = BOUNDS[bucket - 1] if bucket else 0.0
            high = BOUNDS[bucket] if bucket < len(BOUNDS) else low
            return low + (high - low) * (rank - passed) / counts[bucket]
        passed += counts[bucket]
    raise AssertionError("the ranks of all letters were passed")


def count_new() -> bool:
    """Count the letters of receipts that have come since the last turn; whether there were any."""
    timed = dict(LinkTimed.objects.values_list("neighbour", "receipt"))
    fresh = ~Q(neighbour__in=list(timed))
    for link, newest in timed.items():
        fresh |= Q(neighbour=link, pk__gt=newest)
    links = Receipt.objects.filter(fresh).order_by().values_list("neighbour", flat=True).distinct()
    for link in (found := list(links)):
        _count_link(link)
    return bool(found)


def _count_link(link: int) -> None:
    """One link's turn, in one transaction: its row is the lock, so nothing counts twice."""
    with transaction.atomic():
        LinkTimed.objects.get_or_create(neighbour_id=link)
        timed = locked_for_update(LinkTimed.objects.filter(neighbour=link)).get()
        receipts = list(
            Receipt.objects.filter(neighbour=link, pk__gt=timed.receipt).order_by("pk")[:RECEIPTS]
        )
        if not receipts:
            return
        _add(link, _times(link, receipts))
        timed.receipt = receipts[-1].pk
        timed.save(update_fields=["receipt"])


def _times(link: int, receipts: Sequence[Receipt]) -> list[float]:
    """How long the letters of these receipts took, in seconds of our clock."""
    skew = Neighbour.objects.values_list("skew_ms", flat=True).get(pk=link)
    wanted = Q()
    for receipt in receipts:
        wanted |= Q(lane=receipt.lane, sequence__gte=receipt.first, sequence__lte=receipt.last)
    sent = Sent.objects.filter(wanted, neighbour=link).values_list("lane", "sequence", "at")
    theirs = {
        (receipt.lane, number): receipt.at
        for receipt in receipts
        for number in range(receipt.first, receipt.last + 1)
    }
    return [took(at, theirs[lane, number], skew) for lane, number, at in sent]


def took(sealed: datetime, stored: datetime, skew_ms: int | None) -> float:
    """Seconds from our sealing to their storing, which they told by their own clock.

    `skew_ms` was taken from a batch on its way, so it is too low by the time that took: a clock
    that seems a little behind may well be right, and is corrected only if it must be wrong.
    """
    raw, skew = (stored - sealed).total_seconds(), (skew_ms or 0) / 1000
    return max(0.0, raw - skew if skew > 0 or raw < 0 else raw)


def _add(link: int, times: Iterable[float]) -> None:
    """Put times into the present slot and into the one for ever, and forget old slots."""
    letters: Counter[int] = Counter()
    seconds: Counter[int] = Counter()
    for time in times:
        bucket = bisect_left(BOUNDS, time)
        letters[bucket] += 1
        seconds[bucket] += time  # type: ignore[assignment]  # a sum, not a count
    now = moment.now()
    rows = {
        (row.slot, row.bucket): row
        for row in LinkDelay.objects.filter(neighbour=link, slot__in=[EVER, slot_of(now)])
    }
    for slot in (EVER, slot_of(now)):
        for bucket in letters:
            row = rows.get((slot, bucket)) or LinkDelay(neighbour_id=link, slot=slot, bucket=bucket)
            row.letters += letters[bucket]
            row.seconds += seconds[bucket]
            row.save()
    LinkDelay.objects.filter(neighbour=link, slot__gt=EVER, slot__lt=now - KEPT).delete()


def slot_of(at: datetime) -> datetime:
    """The beginning of the ten minutes that hold a moment."""
    return at - (at - EVER) % SLOT
