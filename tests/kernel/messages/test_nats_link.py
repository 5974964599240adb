"""A link over NATS, without its server: when it speaks."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests import links
from tests.federation.neighbour import Poser
from zhengtong.kernel import moment
from zhengtong.kernel.messages.models import LinkLane, Neighbour
from zhengtong.kernel.messages.roads import nats_link

pytestmark = pytest.mark.django_db


async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


def ended(work: Coroutine[Any, Any, int | None]) -> int | None:
    """What a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


def on_nats(**changes: Any) -> Neighbour:
    Neighbour.objects.filter(name="fugou").update(road="nats", **changes)
    return Neighbour.objects.get(name="fugou")


def test_where_the_neighbour_must_answer_first_nothing_is_said_twice_in_a_row(
    fugou: Poser,
) -> None:
    links.standing_at(on_nats(last_contact=None), lane=2, sealed=0, receipted=0)
    link = nats_link.Link("fugou", upward=False, in_database=at_once)
    assert ended(link._to_say()) == 2, "it knocks"
    assert ended(link._to_say()) is None, "and waits for an answer"
    link._knock_at[2] -= nats_link.KNOCK
    assert ended(link._to_say()) == 2, "and knocks again"


def test_a_neighbour_that_has_answered_is_told_all_there_is(fugou: Poser) -> None:
    links.standing_at(on_nats(last_contact=moment.now()), lane=2, sealed=0, receipted=0)
    LinkLane.objects.update(again=True)
    link = nats_link.Link("fugou", upward=False, in_database=at_once)
    assert [ended(link._to_say()) for _ in range(3)] == [2, 2, 2]
