"""Bad lines: cut, lossy, slow. Nothing is lost, nothing comes twice, and the alarms are right."""

from __future__ import annotations

import time

import pytest

from tests.faults.province import Province
from tests.faults.traffic import Traffic
from tests.federation.city import wait_until

pytestmark = [pytest.mark.long, pytest.mark.soak]

LATE = "overdue"
"""What officers are rightly told when urgent letters take long: no misbehaviour."""


def test_a_cut_while_both_sides_write(province: Province, traffic: Traffic) -> None:
    centre, fugou, shenqiu = province.nodes
    cable = province.cables["fugou"]
    cable.cut = True
    traffic.post(centre, fugou, 100)
    traffic.post(fugou, centre, 100)
    traffic.post(centre, shenqiu, 25)
    traffic.send(centre, fugou, 20)
    traffic.send(fugou, centre, 20)
    wait_until(traffic.came("centre", "shenqiu"), what="the other county to be served meanwhile")
    time.sleep(20)
    assert fugou.do("heard", origin="centre", mark=traffic.mark) == {}
    wait_until(lambda: fugou.do("link", node="centre")["failures"] > 0, what="the failed dials")

    centre.do("age_link", node="fugou", minutes=15)
    wait_until(lambda: centre.do("alarms", node="fugou") == ["no_contact"], what="the alarm")
    cable.repair()
    traffic.faults |= {"cut": 1, "packets lost": cable.lost}
    traffic.prove()
    traffic.sound("no_contact", LATE)


def test_three_packets_of_ten_are_lost(province: Province, traffic: Traffic) -> None:
    centre, *counties = province.nodes
    for cable in province.cables.values():
        cable.loss, cable.latency, cable.lost = 0.3, 0.01, 0
    for county in counties:
        traffic.post(centre, county, 50)
        traffic.post(county, centre, 50)
        traffic.send(centre, county, 10)
        traffic.send(county, centre, 10)
    wait_until(
        lambda: all(cable.lost > 50 for cable in province.cables.values()), what="many losses"
    )
    traffic.faults["packets lost"] = sum(cable.lost for cable in province.cables.values())
    traffic.prove()
    for cable in province.cables.values():
        cable.repair()
    traffic.sound("no_contact", LATE)


def test_an_emergency_overtakes_a_file_on_a_slow_line(province: Province, traffic: Traffic) -> None:
    """256 kbit/s: a MiB takes half a minute, and nobody whose house is flooded can wait for it."""
    centre, fugou, _ = province.nodes
    cable = province.cables["fugou"]
    cable.rate, cable.latency = 256_000, 0.05
    traffic.faults["slow line"] = 1
    document = traffic.send_large(centre, fugou)
    wait_until(lambda: centre.do("handed", node="fugou") > 0, what="the file to set out")
    traffic.post(centre, fugou, 5)
    wait_until(
        lambda: fugou.do("heard", origin="centre", mark=traffic.mark).get("0") == [*range(5)],
        what="the emergency letters",
    )
    assert document not in fugou.do("received", clerk=fugou.clerk)
    traffic.prove()
    assert fugou.do("attachment_size", clerk=fugou.clerk, document=document) == 1 << 20
    cable.repair()
    traffic.sound("no_contact", LATE)
