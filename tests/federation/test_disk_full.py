"""A full disk stops a node from taking anything in; it says so, and nothing is lost or halved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.federation.city import ActFailed, City, Site, office_id, wait_until
from tests.federation.disk import LimitedWrites, MemoryDisk, small_disk

pytestmark = pytest.mark.long
FULL = "磁盘已满"
TEXT = "水位表" * 400_000  # 3.6 MB: a file of several pieces


@pytest.fixture
def disks(city: City) -> Iterator[dict[str, MemoryDisk | LimitedWrites]]:
    """A disk of 48 MB for each node, its database on it where that is a file."""
    city.site("centre", database_inside=True)
    city.site("fugou", "centre", database_inside=True)
    with ExitStack() as open_disks:
        yield {
            name: open_disks.enter_context(small_disk(site.folder, 48, _processes(site)))
            for name, site in city.sites.items()
        }
        city.close()


def _processes(site: Site) -> Callable[[], list[int]]:
    return lambda: [*site.children(), *([site.driver.pid] if site.driver else [])]


def test_a_full_disk_is_said_and_survived(
    city: City, disks: dict[str, MemoryDisk | LimitedWrites]
) -> None:
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"]})
    city.start()
    centre, fugou = city.sites["centre"], city.sites["fugou"]
    wait_until(lambda: bool(fugou.do("link", node="centre")["met"]), what="the two to meet")

    # The centre can take nothing in: neither from its own people nor from the county.
    before = centre.do("counts")
    disks["centre"].fill()
    with pytest.raises(ActFailed, match=FULL):
        _send(centre, "市府办", "扶沟县")
    upwards = _send(fugou, "扶沟县", "市府办")
    wait_until(
        lambda: disks["centre"].heard in fugou.do("link", node="centre")["last_error"],
        what="the sender to hear of the full disk",
    )
    assert _kept(centre.do("counts")) == _kept(before)
    disks["centre"].free()
    wait_until(lambda: centre.do("received", clerk="市府办办事员") == {upwards: 1})
    assert centre.do("attachment_of", clerk="市府办办事员", document=upwards) == TEXT

    # The county can take nothing in from the centre.
    before = fugou.do("counts")
    disks["fugou"].fill()
    downwards = _send(centre, "市府办", "扶沟县", text=TEXT[3:])
    wait_until(lambda: FULL in fugou.log.read_text(), what="the county to find its disk full")
    assert _kept(fugou.do("counts")) == _kept(before)
    disks["fugou"].free()
    wait_until(lambda: fugou.do("received", clerk="扶沟县办事员") == {downwards: 1})
    assert fugou.do("attachment_of", clerk="扶沟县办事员", document=downwards) == TEXT[3:]

    for site in (fugou, centre):  # a child whose parent is gone would complain of that
        wait_until(lambda site=site: _at_rest(site))  # type: ignore[misc]
        site.stop()
        assert not [line for line in site.examine().splitlines() if "less than 1 GiB" not in line]


def _send(site: Site, sender: str, to: str, text: str = TEXT) -> str:
    return str(
        site.do(
            "send",
            clerk=f"{sender}办事员",
            leader=f"{sender}领导",
            to=[str(office_id(to))],
            title="关于报送水位",
            attachment=text,
        )
    )


def _kept(counts: dict[str, int]) -> tuple[int, int]:
    return counts["documents"], counts["incoming"]


def _at_rest(site: Site) -> bool:
    left = site.do("counts")
    assert (left["refused"], left["dead"]) == (0, 0)
    return not any(left[name] for name in ("pending", "waiting", "unreceipted", "unsealed"))
