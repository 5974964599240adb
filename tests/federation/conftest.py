"""A city for each test of the federation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import Engine
from tests.federation.city import City


@pytest.fixture(scope="session")
def engine(durable_engine: Engine) -> Engine:
    return durable_engine


@pytest.fixture
def city(tmp_path: Path, engine: Engine) -> Iterator[City]:
    made = City(tmp_path, engine)
    yield made
    made.close()
