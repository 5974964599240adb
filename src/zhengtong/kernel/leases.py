"""Leases: work that only one process of a node does at a time, wherever the processes run."""

from __future__ import annotations

import hashlib
import os
import socket
from datetime import timedelta
from pathlib import Path

from django.db import transaction

from zhengtong.kernel import moment
from zhengtong.kernel.engine import locked_for_update
from zhengtong.kernel.messages.models import Lease


def holder() -> str:
    """This process as a holder of leases: the system it runs on, and its number there."""
    return f"{_system()}:{os.getpid()}"


def _system() -> str:
    """Names a running system within which process numbers are unique, so not just the host."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    parts = [socket.gethostname(), boot.read_text() if boot.exists() else ""]
    if (space := Path("/proc/self/ns/pid")).exists():
        parts.append(str(space.stat().st_ino))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def take(name: str, holder: str, seconds: float) -> bool:
    """Take or renew a lease; False while somebody else holds it.

    The lease of a process that has died on this system is free at once. What is done under a
    lease must also be safe if two do it: a paused holder may wake late.
    """
    now = moment.now()
    with transaction.atomic():
        Lease.objects.bulk_create(
            [Lease(name=name, holder=holder, until=now)], ignore_conflicts=True
        )
        lease = locked_for_update(Lease.objects.filter(name=name), skip=True).first()
        if lease is None:
            return False
        if lease.holder != holder and lease.until > now and not _has_died(lease.holder):
            return False
        lease.holder, lease.until = holder, now + timedelta(seconds=seconds)
        lease.save()
    return True


def _has_died(holder: str) -> bool:
    """Whether the holder was a process of this system and is no more."""
    system, _, number = holder.rpartition(":")
    if system != _system() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def give_back(name: str, holder: str) -> None:
    """End a lease early, at a clean stop."""
    Lease.objects.filter(name=name, holder=holder).delete()
