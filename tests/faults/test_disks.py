"""Disks of 8 MiB: a full node says so, keeps what it has, and goes on once there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import pytest

from tests.engines import Engine
from tests.faults.province import Province, Walled
from tests.faults.traffic import Traffic
from tests.federation.city import ActFailed, office_id, wait_until
from tests.federation.disk import MemoryDisk

pytestmark = [pytest.mark.long, pytest.mark.soak]

FULL = "磁盘已满"
MEGABYTES = 8
TEXT = "水位表" * 20_000  # a file of 180 kB


@pytest.fixture
def province(
    machine: None, tmp_path_factory: pytest.TempPathFactory, engine: Engine
) -> Iterator[Province]:
    """A centre and a county, either with all it has on a disk of 8 MiB."""
    city = Province(tmp_path_factory.mktemp("disks"), engine)
    disks = []
    try:
        city.site("centre", database_inside=True)
        city.site("fugou", "centre", database_inside=True)
        for site in city.nodes:
            disks.append(MemoryDisk(site.folder, MEGABYTES))
        city.settle_down()
        city.start()
        city.meet()
        yield city
    finally:
        city.close()
        for disk in disks:
            disk.close()


def _grow(site: Walled) -> None:
    size = ["-o", "remount,size=64m"]
    subprocess.run(["mount", *size, str(site.folder)], check=True)


def _send(origin: Walled, to: Walled, number: int) -> str:
    return str(
        origin.do(
            "send",
            clerk=origin.clerk,
            leader=f"{origin.office}领导",
            to=[str(office_id(to.office))],
            title=f"关于报送第{number}次水位",
            attachment=f"{number}{TEXT}",
        )
    )


def _until_full(origin: Walled, to: Walled, traffic: Traffic, full: Callable[[], bool]) -> None:
    """Officers go on sending documents until the disk of one node will take no more."""
    kept = traffic.documents.setdefault((origin.name, to.name), [])
    for number in range(200):
        try:
            kept.append(_send(origin, to, number))
        except ActFailed as error:
            assert FULL in str(error), error
            traffic.faults["ENOSPC"] += 1
        if full():
            return
    raise AssertionError("8 MiB hold more than they can")


def _ready(site: Walled) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.parametrize("narrow", ["fugou", "centre"])
def test_a_disk_of_8_mib_fills_up(province: Province, traffic: Traffic, narrow: str) -> None:
    """One node is full, the other has room: what was acknowledged anywhere arrives in the end."""
    centre, fugou = province.nodes
    full, other = (fugou, centre) if narrow == "fugou" else (centre, fugou)
    _grow(other)

    def told() -> bool:
        """Both ends say so: the full one in its log, and the link to it on the child's page."""
        heard = fugou.do("link", node="centre")["last_error"]
        return FULL in (heard if full is centre else full.log.read_text())

    _until_full(other, full, traffic, told)
    wait_until(told, what="the full disk to be told")
    _fill_by_its_own_officers(full, other, traffic)
    traffic.post(other, full, 10)
    assert _ready(full)[0] in (200, 503), "it still answers"
    before = full.do("counts")["documents"]
    _grow(full)
    wait_until(lambda: _ready(full)[0] == 200, what="the node to be ready again")
    traffic.prove()
    assert full.do("counts")["documents"] >= before
    for document in traffic.documents[other.name, full.name]:
        assert full.do("attachment_of", clerk=full.clerk, document=document).endswith(TEXT)
    traffic.sound("no_contact", "overdue", "silent_stall")


def _fill_by_its_own_officers(full: Walled, other: Walled, traffic: Traffic) -> None:
    """They are refused in plain words, and what they are not refused counts."""
    kept = traffic.documents.setdefault((full.name, other.name), [])
    for number in range(200):
        try:
            kept.append(_send(full, other, number))
        except ActFailed as error:
            assert FULL in str(error), error
            traffic.faults["ENOSPC"] += 1
        if traffic.faults["ENOSPC"] >= 3:
            return
    raise AssertionError("8 MiB hold more than they can")
