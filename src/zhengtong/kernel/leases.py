"""Leases: work that only one process of a node does at a time, wherever the processes run."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.messages.models import Lease


def take(name: str, holder: str, seconds: float) -> bool:
    """Take or renew a lease; False while somebody else holds it.

    What is done under a lease must also be safe if two do it: a paused holder may wake late.
    """
    now = moment.now()
    with transaction.atomic():
        Lease.objects.bulk_create(
            [Lease(name=name, holder=holder, until=now)], ignore_conflicts=True
        )
        lease = locked_for_update(Lease.objects.filter(name=name), skip=True).first()
        if lease is None or (lease.holder != holder and lease.until > now):
            return False
        lease.holder, lease.until = holder, now + timedelta(seconds=seconds)
        lease.save()
    return True


def give_back(name: str, holder: str) -> None:
    """End a lease early, at a clean stop."""
    Lease.objects.filter(name=name, holder=holder).delete()
