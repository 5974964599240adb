"""A running node notices a link that has fallen silent, and a fault of its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from http.client import HTTPConnection

import psycopg
import pytest

from tests.federation.city import City, Site, office_id, wait_until
from tests.federation.desk import Desk
from tests.federation.disk import small_disk
from zhengtong.kernel.node import load

pytestmark = pytest.mark.long

CLERK, LEADER, KEEPER, COUNTY = "市府办办事员", "市府办领导", "网络管理员", "扶沟县办事员"


@pytest.mark.soak
def test_a_county_that_falls_silent_is_missed_and_its_return_is_seen(city: City) -> None:
    city.site("centre")
    city.site("fugou", "centre")
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"]})
    centre, fugou = city.sites["centre"], city.sites["fugou"]
    office = str(office_id("市府办"))
    duties = ["links.read", "links.clear"]
    centre.do("officer", sign_in_name=KEEPER, organisation=office, duties=duties)
    county = [str(office_id("扶沟县"))]
    (document,) = centre.do("prepare", clerk=CLERK, leader=LEADER, to=county, number=1)
    city.start()
    wait_until(lambda: bool(centre.do("link", node="fugou")["met"]), what="the two to meet")
    wait_until(lambda: centre.do("counts")["unsealed"] == 0)
    assert centre.do("alarms", node="fugou") == []

    fugou.stop()
    centre.do("dispatch", clerk=CLERK, document=document)
    centre.do("age_link", node="fugou", minutes=15)
    wait_until(lambda: centre.do("alarms", node="fugou") == ["no_contact"], what="the alarm")
    keeper = Desk(centre, KEEPER)
    assert "失去联系" in keeper.page("/links/")
    assert "电话询问对方管理员" in keeper.page("/links/fugou/")
    wait_until(lambda: "fugou：长时间没有联系" in keeper.page("/"), what="the to-do entry")
    assert "alarm on the link to fugou: 长时间没有联系" in centre.examine()

    fugou.start()
    wait_until(lambda: document in fugou.do("received", clerk=COUNTY))
    wait_until(lambda: centre.do("alarms", node="fugou") == [], what="the alarm to be cleared")
    assert "失去联系" not in keeper.page("/links/")
    assert "长时间没有联系" not in keeper.page("/")
    assert "已解除的告警" in keeper.page("/links/fugou/")


def _ready(site: Site) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_node_whose_disk_or_database_fails_is_not_ready(city: City) -> None:
    centre = city.site("centre", database_inside=True)
    with small_disk(centre.folder, 48, centre.children) as disk:
        city.build({"centre": ["市府办"]})
        centre.start()
        assert _ready(centre) == (200, "database: ok\ndisk: ok\n")
        disk.fill()
        status, text = _ready(centre)
        assert (status, "disk: ok" in text) == (503, False), text
        disk.free()
        wait_until(lambda: _ready(centre)[0] == 200, what="the node to be ready again")
        _break_database(centre)
        status, text = _ready(centre)
        assert (status, "database: failed" in text) == (503, True), text
        city.close()


def _break_database(site: Site) -> None:
    """A table is lost, as with a damaged file or a restore that went wrong."""
    database = load(site.node_file).database
    statement = "ALTER TABLE kernel_neighbour RENAME TO lost"
    if database.startswith("sqlite:"):
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"), timeout=20)) as other:
            other.execute(statement)
            other.commit()
        return
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(statement)
