"""Whoever dies leaves nothing locked: what a dead process held is free again at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.federation.neighbour import a_fact
from zhengtong.kernel import leases, moment
from zhengtong.kernel.messages.facts import encode
from zhengtong.kernel.messages.models import Message
from zhengtong.kernel.worker import at_work

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


def _dead() -> str:
    """A process of this system that has been and is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{leases.holder().rpartition(':')[0]}:{process.pid}"


def test_a_lease_is_held_by_one_until_it_ends() -> None:
    elsewhere = "another-system:7"
    with moment.fixed(NOW):
        assert leases.take("courier", elsewhere, 30)
        assert leases.take("courier", elsewhere, 30), "and renewed"
        assert not leases.take("courier", leases.holder(), 30)
        assert leases.take("audit", leases.holder(), 30), "another lease is another matter"
    with moment.fixed(NOW + timedelta(seconds=31)):
        assert leases.take("courier", leases.holder(), 30)
        assert not leases.take("courier", elsewhere, 30), "we live"
        leases.give_back("courier", leases.holder())
        assert leases.take("courier", elsewhere, 30)


def test_the_lease_of_a_dead_process_is_free_at_once() -> None:
    with moment.fixed(NOW):
        assert leases.take("courier", _dead(), 30)
        assert leases.take("courier", leases.holder(), 30)


def test_what_dead_workers_had_claimed_is_free_when_the_first_one_comes() -> None:
    fact = a_fact()
    message = Message.objects.create(
        kind=fact.kind,
        body=encode(fact),
        level=1,
        origin="test",
        at=NOW,
        claimed_until=NOW + timedelta(days=9),
    )
    with at_work():
        assert Message.objects.get().claimed_until is None
        Message.objects.filter(pk=message.pk).update(claimed_until=NOW)
        with at_work():  # a second one leaves alone what the first may be working on
            assert Message.objects.get().claimed_until == NOW
