"""One suite for every road: what is given to it arrives once, in order, or is visibly refused."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.federation.city import Site, office_id, wait_until
from tests.roads.conftest import COUNTY, OTHER
from tests.roads.road import Road

pytestmark = [pytest.mark.long, pytest.mark.soak]

CLERK, LEADER = "市府办办事员", "市府办领导"
LANES = (0, 1, 2, 3)


def await_(road: Road, condition: Callable[[], bool], what: str, seconds: float = 180) -> None:
    """Wait for the nodes, carrying on the way what must be carried by hand."""

    def step() -> bool:
        road.step()
        return condition()

    wait_until(step, seconds, what)


def sites(road: Road) -> tuple[Site, Site, Site]:
    found = road.city.sites
    return found["centre"], found[COUNTY], found[OTHER]


def met(road: Road) -> None:
    centre, *counties = sites(road)
    for county in counties:
        await_(
            road,
            lambda county=county: (  # type: ignore[misc]
                bool(centre.do("link", node=county.name)["met"])
                and bool(county.do("link", node="centre")["met"])
            ),
            f"{county.name} and the centre to meet",
        )


def rest(road: Road, *chosen: Site) -> None:
    """Everything has its receipt and its effect, and nothing was refused on the way."""
    for site in chosen or sites(road):
        await_(road, lambda site=site: at_rest(site.do("counts")), f"{site.name} to rest")  # type: ignore[misc]


def at_rest(left: dict[str, int]) -> bool:
    assert (left["refused"], left["dead"]) == (0, 0)
    return not any(left[name] for name in ("pending", "waiting", "unreceipted"))


def in_order(site: Site, origin: str, mark: str, number: int) -> bool:
    """Whether each lane brought exactly these letters, once, in the order they were posted."""
    heard = site.do("heard", origin=origin, mark=mark)
    return all(heard.get(str(lane)) == list(range(number)) for lane in LANES)


def test_all_lanes_both_ways_and_large_files(road: Road) -> None:
    centre, county, other = sites(road)
    met(road)
    for lane in LANES:
        centre.do("post_lane", node=COUNTY, lane=lane, number=150, mark="both")
        county.do("post_lane", node="centre", lane=lane, number=150, mark="both")
    document = centre.do(
        "send",
        clerk=CLERK,
        leader=LEADER,
        to=[str(office_id("扶沟县")), str(office_id("沈丘县"))],
        title="关于做好防汛工作",
        attachment="水位表" * 1_000_000,
    )
    for site, clerk in ((county, "扶沟县办事员"), (other, "沈丘县办事员")):
        await_(
            road,
            lambda site=site, clerk=clerk: document in site.do("received", clerk=clerk),  # type: ignore[misc]
            f"the document to reach {site.name}",
        )
        text = site.do("attachment_of", clerk=clerk, document=document)
        assert text == "水位表" * 1_000_000
    county.do("sign_for", clerk="扶沟县办事员", document=document)
    await_(road, lambda: document in centre.do("signed_for", clerk=CLERK), "the signature")
    rest(road)
    assert in_order(county, "centre", "both", 150)
    assert in_order(centre, COUNTY, "both", 150)
    assert other.do("heard", origin="centre", mark="both") == {}


def test_a_cut_loses_nothing_and_stops_nobody_else(road: Road) -> None:
    centre, county, other = sites(road)
    met(road)
    road.cut(county)
    centre.do("post_lane", node=COUNTY, lane=3, number=1000, mark="cut")
    county.do("post_lane", node="centre", lane=2, number=200, mark="cut")
    centre.do("post_lane", node=OTHER, lane=2, number=50, mark="cut")
    await_(
        road,
        lambda: other.do("heard", origin="centre", mark="cut") == {"2": list(range(50))},
        "the other county to be served",
    )
    await_(
        road,
        lambda: centre.do("counts")["unreceipted"] >= 100,
        "the letters to stand before the cut",
    )
    centre.do("post_lane", node=COUNTY, lane=0, number=5, mark="cut")
    assert county.do("heard", origin="centre", mark="cut") == {}
    road.heal(county)
    await_(
        road,
        lambda: (
            county.do("heard", origin="centre", mark="cut")
            == {"0": [*range(5)], "3": [*range(1000)]}
        ),
        "everything to arrive after the cut",
    )
    rest(road)
    assert centre.do("heard", origin=COUNTY, mark="cut") == {"2": list(range(200))}
    await_(
        road,
        lambda: county.do("link", node="centre")["failures"] == 0,
        "the link to be shown as sound again",
    )


def test_an_emergency_overtakes_bulk(road: Road) -> None:
    centre, county, _ = sites(road)
    met(road)
    centre.do("post_lane", node=COUNTY, lane=3, number=2000, mark="slow")
    centre.do("post_lane", node=COUNTY, lane=0, number=5, mark="slow")
    await_(
        road,
        lambda: (
            county.do("heard", origin="centre", mark="slow")
            == {"0": [*range(5)], "3": [*range(2000)]}
        ),
        "both lanes to arrive whole",
    )
    order = county.do("heard_lanes", origin="centre", mark="slow")
    assert order.index(0) < 1500, "the emergency did not wait behind the bulk"


def test_five_hundred_documents_while_processes_die(road: Road) -> None:
    centre, county, _ = sites(road)
    met(road)
    to = [str(office_id("扶沟县"))]
    documents = centre.do("prepare", clerk=CLERK, leader=LEADER, to=to, number=500)
    for place, document in enumerate(documents):
        if place in (100, 300):
            road.kill(county)
        if place in (200, 400):
            for site in (centre, county):
                for pid in site.children():  # its web process, worker, broker
                    os.kill(pid, signal.SIGKILL)
        centre.insist("dispatch", clerk=CLERK, document=document)
    await_(
        road,
        lambda: set(documents) <= set(county.do("received", clerk="扶沟县办事员")),
        "every document to arrive",
    )
    assert set(county.do("received", clerk="扶沟县办事员").values()) == {1}, "exactly once"
    rest(road)
    for site in (centre, county):
        wait_until(lambda site=site: site.do("counts")["unsealed"] == 0)  # type: ignore[misc]
        site.stop()
        assert not site.examine("--audit")
        site.start()


def test_what_a_road_has_lost_is_offered_again(road: Road) -> None:
    centre, county, _ = sites(road)
    met(road)
    road.cut(county)
    county.do("post_lane", node="centre", lane=2, number=50, mark="lost")
    await_(road, lambda: county.do("handed", node="centre") >= 50, "the letters to be on the road")
    county.stop()
    road.lose(county)
    road.heal(county)
    county.start()
    await_(
        road,
        lambda: centre.do("heard", origin=COUNTY, mark="lost") == {"2": list(range(50))},
        "what was lost",
    )
    rest(road)


def test_a_cut_of_half_a_minute(road: Road) -> None:
    """Longer than every wait on the way: leases, fetches, redelivery, the pause of an idle link."""
    centre, county, _ = sites(road)
    met(road)
    road.cut(county)
    for lane in LANES:
        centre.do("post_lane", node=COUNTY, lane=lane, number=150, mark="long")
        county.do("post_lane", node="centre", lane=lane, number=150, mark="long")
    time.sleep(35)
    road.heal(county)
    await_(road, lambda: in_order(county, "centre", "long", 150), "everything from the centre")
    await_(road, lambda: in_order(centre, COUNTY, "long", 150), "everything from the county")
    rest(road)


def test_repeated_and_reordered_batches_do_no_harm(road: Road) -> None:
    centre, county, _ = sites(road)
    met(road)
    for lane in LANES:
        centre.do("post_lane", node=COUNTY, lane=lane, number=400, mark="again")
        county.do("post_lane", node="centre", lane=lane, number=400, mark="again")
    road.disturb(county, seed=20261125)
    rest(road)
    assert in_order(county, "centre", "again", 400)
    assert in_order(centre, COUNTY, "again", 400)


def test_refusals_come_back_with_their_reason(road: Road) -> None:
    centre, county, _ = sites(road)
    met(road)

    # One letter is refused by itself, the others are taken: the county knows no way for it.
    centre.do("post_astray", node=COUNTY)
    centre.do("post_lane", node=COUNTY, lane=2, number=3, mark="yes", level=0)
    await_(road, lambda: centre.do("refusals") == ["wrong_recipient"], "the refusal of one letter")
    await_(
        road,
        lambda: county.do("heard", origin="centre", mark="yes") == {"2": [0, 1, 2]},
        "the others",
    )

    # Whole batches are refused: the centre has suspended the county.
    centre.do("suspend", node=COUNTY, suspended=True)
    county.do("post_lane", node="centre", lane=1, number=3, mark="later", level=0)
    await_(road, lambda: road.told(county, "suspended"), "the county to hear why nothing passes")
    assert centre.do("heard", origin=COUNTY, mark="later") == {}

    # Once it may speak again nothing is lost.
    centre.do("suspend", node=COUNTY, suspended=False)
    await_(
        road,
        lambda: centre.do("heard", origin=COUNTY, mark="later") == {"1": [0, 1, 2]},
        "what was refused as a batch",
    )


def test_a_lowered_ceiling_stops_no_lane(road: Road) -> None:
    """What had its number when the ceiling was lowered goes as a mere hash; all else arrives."""
    centre, county, _ = sites(road)
    met(road)
    centre.do("hold_to", node=COUNTY, level=0)
    for lane in LANES:
        centre.do("post_lane", node=COUNTY, lane=lane, number=2, mark="secret", level=1)
        centre.do("post_lane", node=COUNTY, lane=lane, number=3, mark="plain", level=0)
    await_(road, lambda: in_order(county, "centre", "plain", 3), "what may still go")
    await_(road, lambda: centre.do("handed", node=COUNTY) == 0, "the receipts")
    assert centre.do("refusals").count("withheld") == 2 * len(LANES)
    assert county.do("heard", origin="centre", mark="secret") == {}
    assert centre.do("alarms", node=COUNTY) == county.do("alarms", node="centre") == []

    centre.do("hold_to", node=COUNTY, level=2)
    centre.do("send_again")
    await_(road, lambda: in_order(county, "centre", "secret", 2), "what was sent again")
