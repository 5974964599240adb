"""Processes that die, stand still, or are refused by their disk, in the midst of traffic."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.faults import killing, refusing
from tests.faults.province import Province
from tests.faults.traffic import Traffic
from tests.federation.city import wait_until

pytestmark = [pytest.mark.long, pytest.mark.soak]

LATE = "overdue"


def test_kill_9_of_everything_for_half_a_minute(province: Province, traffic: Traffic) -> None:
    centre, *counties = province.nodes
    pairs = [pair for county in counties for pair in ((centre, county), (county, centre))]
    plan = [(*pair, document) for pair in pairs for document in traffic.prepare(*pair, 60)]
    until = time.monotonic() + 30
    with killing(province.nodes, seed=20261125) as killer:
        for place, (origin, to, document) in enumerate(sorted(plan, key=lambda item: item[2][-6:])):
            traffic.dispatch(origin, to, document)
            time.sleep(max(0.0, (until - time.monotonic()) / (len(plan) - place)))
        for origin, to in pairs:
            traffic.post(origin, to, 10)
    traffic.faults["killed"] = killer.kills
    assert killer.kills >= 20
    traffic.prove()
    traffic.sound("no_contact", LATE)


def test_a_node_that_stands_still_for_a_while(province: Province, traffic: Traffic) -> None:
    centre, fugou, shenqiu = province.nodes
    traffic.post(fugou, centre, 50)
    with fugou.stopped():
        traffic.post(centre, fugou, 50)
        traffic.send(centre, fugou, 20)
        traffic.post(centre, shenqiu, 25)
        wait_until(traffic.came("centre", "shenqiu"), what="the other county to be served")
        time.sleep(20)
        centre.do("age_link", node="fugou", minutes=15)
        wait_until(lambda: centre.do("alarms", node="fugou") == ["no_contact"], what="the alarm")
    wait_until(lambda: centre.do("alarms", node="fugou") == [], 120, "the alarm to be cleared")
    with centre.stopped():
        traffic.send(fugou, centre, 20)
        traffic.post(shenqiu, centre, 25)
        time.sleep(20)
    traffic.faults["node stopped"] = 2
    traffic.prove()
    traffic.sound("no_contact", LATE)


def test_a_single_process_that_stands_still(province: Province, traffic: Traffic) -> None:
    centre, fugou, _ = province.nodes
    with fugou.stopped(fugou.worker):
        traffic.post(centre, fugou, 25)
        traffic.send(centre, fugou, 10)
        time.sleep(10)
        assert fugou.do("heard", origin="centre", mark=traffic.mark) == {}
    with centre.stopped(centre.web):
        traffic.send(fugou, centre, 10)
        time.sleep(10)
    traffic.faults["process stopped"] = 2
    traffic.prove()
    traffic.sound("no_contact", LATE)


def test_writes_and_syncs_that_fail(province: Province, traffic: Traffic, tmp_path: Path) -> None:
    """EIO for one write in nine, in the worker and the web process of a county and the centre."""
    centre, fugou, _ = province.nodes
    own = not centre.engine.server  # else the database is written by others, and only files by us
    every, least = (9, 20) if own else (2, 3)
    for number, (site, other) in enumerate(((fugou, centre), (centre, fugou))):
        log = tmp_path / f"strace-{number}"
        with refusing((site.worker, site.web), "EIO", every, log) as injected:
            traffic.send_large(other, site)
            traffic.send(centre, fugou, 25)
            traffic.send(fugou, centre, 25)
            time.sleep(8)
            wait_until(lambda it=injected: it.errors >= least, what="writes that fail")  # type: ignore[misc]
        traffic.faults["EIO"] += injected.errors
        assert all(pid in site.children() for pid in (site.worker, site.web)), "nobody died of it"
    traffic.post(centre, fugou, 10)
    traffic.prove()
    traffic.sound("no_contact", LATE)
