"""A neighbour for the tests of the exchange."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests.federation.neighbour import Poser
from zhengtong.kernel.messages.identity import own_card
from zhengtong.kernel.messages.keyfile import FILE, create_keys


@pytest.fixture
def fugou(db: None) -> Poser:
    """Admitted by the node under test, which has keys."""
    if not (settings.NODE.keys / FILE).exists():
        create_keys(settings.NODE.keys, settings.NODE.name)
    return Poser(own_card()).admitted()
