"""Both worlds for the tests that hold whatever the suite: see builders.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wire import builders


@pytest.fixture(scope="module", params=["intl", "gm"])
def suite(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the tests of a module once in each world: its names are replaced by that world's."""
    name: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        for known, value in builders.world(name).items():
            for module in (builders, request.module):
                if hasattr(module, known):
                    patch.setattr(module, known, value)
        yield name
