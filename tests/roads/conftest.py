"""One city for each road, shared by the tests of a file: building three nodes takes long.

Each test marks its own letters and leaves the links at rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import Engine
from tests.federation.city import City
from tests.roads.ferry import FerryRoad
from tests.roads.https import HttpsRoad
from tests.roads.nats import NatsRoad
from tests.roads.road import Road

ROADS: tuple[type[Road], ...] = (HttpsRoad, NatsRoad, FerryRoad)
COUNTY, OTHER = "fugou", "shenqiu"


@pytest.fixture(scope="session")
def engine(durable_engine: Engine) -> Engine:
    return durable_engine


@pytest.fixture(scope="module", params=ROADS, ids=lambda kind: kind.name)
def road(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, engine: Engine
) -> Iterator[Road]:
    """The city node with two counties below, joined by the road and started."""
    yield from laid(request.param, tmp_path_factory.mktemp(request.param.name), engine)


def laid(kind: type[Road], folder: Path, engine: Engine) -> Iterator[Road]:
    city = City(folder, engine)
    made = kind(city)
    try:
        city.site("centre")
        city.site(COUNTY, "centre")
        city.site(OTHER, "centre")
        city.build({"centre": ["市府办"], COUNTY: ["扶沟县"], OTHER: ["沈丘县"]})
        made.lay()
        city.start()
        yield made
    finally:
        city.close()
        made.close()
