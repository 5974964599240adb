"""The courier's patience: long with a parent that cannot be reached, none with an emergency."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from django.conf import settings
from django.db import InterfaceError, connection
from django.db.models import F

from tests.federation.neighbour import Poser, neighbour
from zhengtong.kernel.bell import ring
from zhengtong.kernel.messages.courier import EXPRESS, REGULAR, Courier
from zhengtong.kernel.messages.doorbell import Doorbell
from zhengtong.kernel.messages.models import LinkLane
from zhengtong.kernel.messages.outbox import Lane
from zhengtong.kernel.node import Parent

pytestmark = pytest.mark.django_db(transaction=True)
Begin = Callable[[tuple[int, ...]], threading.Thread]


@pytest.fixture
def pausing(fugou: Poser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begins a courier to fugou that is to wait a minute before it dials again."""
    parent = Parent("fugou", "http://127.0.0.1:9")
    begun = list[tuple[Courier, threading.Thread]]()
    monkeypatch.setattr(settings, "NODE", replace(settings.NODE, parent=parent))
    for lane in (Lane.EMERGENCY, Lane.URGENT):
        LinkLane.objects.create(neighbour=neighbour(), lane=lane, sealed=3)

    def begin(lanes: tuple[int, ...]) -> threading.Thread:
        courier = Courier("test", lanes, Doorbell(parent))

        def pause() -> None:
            courier._pause(60)
            connection.close()

        thread = threading.Thread(target=pause)
        thread.start()
        begun.append((courier, thread))
        thread.join(0.3)
        return thread

    yield begin
    for courier, thread in begun:
        courier._stopping.set()
        ring()
        thread.join()
        courier.bell.close()


def seal(lane: Lane) -> None:
    """One more letter is numbered in a lane, and the bell rings."""
    LinkLane.objects.filter(lane=lane).update(sealed=F("sealed") + 1)
    ring()


def test_an_emergency_does_not_wait_until_the_parent_is_dialled_again(pausing: Begin) -> None:
    waiting = pausing(EXPRESS)
    assert waiting.is_alive(), "for what is there already it has dialled in vain"
    seal(Lane.URGENT)
    waiting.join(0.5)
    assert waiting.is_alive(), "a bell alone is no reason to dial"
    seal(Lane.EMERGENCY)
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_database_that_is_away_ends_neither_the_pause_nor_the_courier(
    pausing: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the very reason for the pause; psycopg says InterfaceError of a lost connection."""

    def away(*_: object, **__: object) -> None:
        raise InterfaceError("the connection is closed")

    with monkeypatch.context() as patch:
        patch.setattr(LinkLane.objects, "filter", away)
        waiting = pausing(EXPRESS)
        ring()
        waiting.join(0.5)
        assert waiting.is_alive()
    ring()
    waiting.join(5)
    assert not waiting.is_alive(), "it is back, and what it holds may never have been tried"


def test_the_courier_of_the_other_lanes_keeps_waiting(pausing: Begin) -> None:
    waiting = pausing(REGULAR)
    seal(Lane.EMERGENCY)
    waiting.join(0.5)
    assert waiting.is_alive()
