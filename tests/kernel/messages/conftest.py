"""A neighbour for the tests of the exchange."""

from __future__ import annotations

import pytest

from tests.federation.neighbour import Poser
from zhengtong.kernel.messages.identity import own_card


@pytest.fixture
def fugou(db: None) -> Poser:
    """Admitted by the node under test."""
    return Poser(own_card()).admitted()
