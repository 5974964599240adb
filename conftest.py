"""Set up for every test, in `tests/` and beside the code in `src/` alike.

It stands in the root because pytest reads only the conftest files above the tests it was given.
Django's settings are named here and not in `pyproject.toml`: pytest-django would load them before
this file has written the node they describe.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace

import django
import hypothesis
import pytest
from django.conf import settings

from tests import engines, thrift
from tests.postgres import PostgresServer
from zhengtong.kernel.messages.keyfile import create_keys

pytest_plugins = ("tests.faults.report", "tests.sim.report")

ENGINE = engines.choose()
django.setup()
create_keys(settings.NODE.keys, settings.NODE.name)
thrift.save()
# The workers of pytest-xdist inherit this environment. With the name in it, pytest-django would
# load the settings there before this file has given the worker a node of its own.
del os.environ["DJANGO_SETTINGS_MODULE"]

# A busy machine must not fail a property; what fails is printed so that it can be repeated.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")

USES_DATABASE = {
    *("db", "transactional_db", "live_server"),
    *("engine", "durable_engine", "database_url"),
}


@pytest.hookimpl(tryfirst=True)  # before `-m db` selects by the mark
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what touches the database, so that it runs on both engines and the rest only once.

    The long runs of `make soak`, and what needs a program that only tools/debian installs, are left
    out unless they are asked for by their mark.
    """
    for mark in ("soak", "debian"):
        if mark not in config.option.markexpr:
            others = [item for item in items if item.get_closest_marker(mark)]
            items[:] = [item for item in items if item not in others]
            config.hook.pytest_deselected(items=others)
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") or fixtures & USES_DATABASE:
            item.add_marker("db")


def pytest_report_header() -> str:
    return f"engine: {ENGINE.name}"


@pytest.fixture(scope="session")
def engine() -> engines.Engine:
    """The engine under test, for tests that start programs with databases of their own."""
    return ENGINE


@pytest.fixture(scope="session")
def durable_engine() -> Iterator[engines.Engine]:
    """The same for whole nodes: a node refuses a database that may forget, as the suite's own."""
    if not ENGINE.server:
        yield ENGINE
        return
    with PostgresServer(durable=True) as server:
        yield replace(ENGINE, server=server.url)


@pytest.fixture
def database_url(engine: engines.Engine) -> Iterator[str]:
    """The address of an empty database that lives as long as one test."""
    name = f"t{uuid.uuid4().hex}"
    yield engine.create(name)
    engine.drop(name)
