"""Three nodes for the tests of a file, as building them takes long; each test marks its letters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.engines import Engine
from tests.faults.namespaces import missing
from tests.faults.province import Province, three_nodes
from tests.faults.report import PROPERTY
from tests.faults.traffic import Traffic


@pytest.fixture(scope="session")
def engine(durable_engine: Engine) -> Engine:
    return durable_engine


@pytest.fixture(scope="session")
def machine() -> None:
    """A machine on which faults can be made; a test that could not make them has not passed."""
    if lacking := missing():
        pytest.fail(lacking, pytrace=False)


@pytest.fixture(scope="module")
def province(
    machine: None, tmp_path_factory: pytest.TempPathFactory, engine: Engine
) -> Iterator[Province]:
    with three_nodes(tmp_path_factory.mktemp("province"), engine) as made:
        yield made


@pytest.fixture
def traffic(
    province: Province,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> Traffic:
    """What this test gives the nodes to carry; once proven it is told in the report."""
    return Traffic(
        province,
        mark=request.node.name,
        tell=lambda counts: record_property(PROPERTY, json.dumps(counts)),
    )
