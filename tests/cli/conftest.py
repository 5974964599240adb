"""One node for each test of the administrator's commands, made by those commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.cli.inside import Inside
from tests.engines import Engine
from tests.federation.city import Site, free_port
from tests.federation.durable import durable_engine
from zhengtong.kernel.messages.keyfile import FILE, create_keys


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with durable_engine() as made:
        yield made


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Inside:
    """The commands on the test's own node, which has keys."""
    if not (settings.NODE.keys / FILE).exists():
        create_keys(settings.NODE.keys, settings.NODE.name)
    return Inside(capsys)


@pytest.fixture
def site(tmp_path: Path, engine: Engine) -> Iterator[Site]:
    """A node that is ready and not running."""
    made = Site("centre", tmp_path / "centre", free_port(), engine, database_inside=True)
    made.build()
    yield made
    made.close()
