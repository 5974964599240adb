"""One node for each test of the administrator's commands, made by those commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.inside import Inside
from tests.engines import Engine
from tests.federation.city import Site, free_port


@pytest.fixture(scope="session")
def engine(durable_engine: Engine) -> Engine:
    return durable_engine


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Inside:
    """The commands on the test's own node."""
    return Inside(capsys)


@pytest.fixture
def site(tmp_path: Path, engine: Engine) -> Iterator[Site]:
    """A node that is ready and not running."""
    made = Site("centre", tmp_path / "centre", free_port(), engine, database_inside=True)
    made.build()
    yield made
    made.close()
