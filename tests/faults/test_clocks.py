"""Clocks that are wrong: a little is shown and harmless, an hour is told at once and waited out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines import Engine
from tests.faults.clock import Clock
from tests.faults.province import Province, Walled, three_nodes
from tests.faults.traffic import PATIENCE, Traffic
from tests.federation.city import wait_until

pytestmark = [pytest.mark.long, pytest.mark.soak]

HOUR = 3600
OFF = "clock_off"
TOLERATED = ("no_contact", "overdue", OFF)
CLOCKS: dict[str, Clock] = {}


@pytest.fixture(scope="module")
def province(
    machine: None, tmp_path_factory: pytest.TempPathFactory, engine: Engine
) -> Iterator[Province]:
    """Every node has a clock of its own."""

    def give_clock(site: Walled) -> None:
        CLOCKS[site.name] = Clock(site)

    with three_nodes(tmp_path_factory.mktemp("clocks"), engine, give_clock) as made:
        yield made


def _alarmed(site: Walled, other: Walled, told: bool = True) -> None:
    wait_until(
        lambda: (OFF in site.do("alarms", node=other.name)) == told,
        seconds=120 if told else PATIENCE,
        what=f"{site.name} to be told of the clock of {other.name}, or that it is right again",
    )


def test_some_minutes_are_shown_and_stop_nothing(province: Province, traffic: Traffic) -> None:
    centre, fugou, shenqiu = province.nodes
    traffic.faults["clock set"] = 2
    CLOCKS["fugou"].set(8 * 60)
    CLOCKS["shenqiu"].set(-8 * 60)
    for county in (fugou, shenqiu):
        traffic.post(centre, county, 10)
        traffic.post(county, centre, 10)
        traffic.send(centre, county, 5)
        traffic.send(county, centre, 5)
    traffic.prove()
    assert centre.do("clock_shown", node="fugou") in ("快 7 分钟", "快 8 分钟")
    assert centre.do("clock_shown", node="shenqiu") == "至多慢 8 分钟"
    for county in (fugou, shenqiu):
        CLOCKS[county.name].set(0)
    traffic.sound("overdue")


def test_an_hour_ahead_and_an_hour_behind(province: Province, traffic: Traffic) -> None:
    """Set while all run: nothing passes, both ends know why, and then all of it does."""
    centre, fugou, shenqiu = province.nodes
    traffic.faults["clock set"] = 2
    CLOCKS["fugou"].set(HOUR)
    CLOCKS["shenqiu"].set(-HOUR)
    for county in (fugou, shenqiu):
        _alarmed(centre, county)
        _alarmed(county, centre)
        traffic.post(centre, county, 10)
        traffic.post(county, centre, 10)
        traffic.send(centre, county, 5)
        traffic.send(county, centre, 5)
    assert centre.do("clock_shown", node="fugou") in ("快 59 分钟", "快 1 小时")
    assert centre.do("clock_shown", node="shenqiu") == "至多慢 1 小时"
    assert "双方时钟相差过大" in fugou.do("link", node="centre")["last_error"]
    for county in (fugou, shenqiu):
        assert county.do("heard", origin="centre", mark=traffic.mark) == {}
        CLOCKS[county.name].set(0)
    for county in (fugou, shenqiu):
        _alarmed(centre, county, told=False)
        _alarmed(county, centre, told=False)
    traffic.prove()
    traffic.sound(*TOLERATED)


def test_the_clock_of_the_centre_jumps_in_the_midst_of_traffic(
    province: Province, traffic: Traffic
) -> None:
    """An hour ahead, then behind: as a machine whose clock is set by hand, and wrongly."""
    centre, *counties = province.nodes
    for seconds in (HOUR, -HOUR, 0):
        for county in counties:
            traffic.send(centre, county, 10)
            traffic.send(county, centre, 10)
        CLOCKS["centre"].set(seconds)
        traffic.faults["clock set"] += 1
        if seconds:
            for county in counties:
                _alarmed(county, centre)
    for county in counties:
        traffic.post(centre, county, 10)
        traffic.post(county, centre, 10)
    traffic.prove()
    traffic.sound(*TOLERATED)
