"""The ferry: batches on discs and sticks that a person carries over an air gap.

Going out (loading.py): `make` loads a voyage that was ordered. Coming in (landing.py): `land`
copies a volume from its medium, `unload` takes in what has landed. Every one can be killed at any
moment and called again. The link knows nothing of all this: a voyage that never arrives is a road
that has lost its batches.
"""

from __future__ import annotations

import logging

from zhengtong.kernel.errors import HouseError
from zhengtong.kernel.messages.roads.landing import land, read_head, read_head_of, unload
from zhengtong.kernel.messages.roads.loading import make, settle
from zhengtong.kernel.messages.roads.models import State, Voyage
from zhengtong.kernel.messages.roads.places import (
    absent,
    discard,
    folder_of,
    full_or,
    landed,
    needs,
    take_lease,
)
from zhengtong.wire.errors import WireError

__all__ = [
    "absent",
    "discard",
    "folder_of",
    "full_or",
    "land",
    "landed",
    "make",
    "needs",
    "read_head",
    "read_head_of",
    "settle",
    "unload",
    "work",
]

log = logging.getLogger(__name__)


def work() -> bool:
    """The worker's part: make what was ordered on a page, unload what has landed."""
    worked = False
    for voyage in Voyage.objects.filter(state__in=(State.MAKING, State.ARRIVING), problem=""):
        making = voyage.state == State.MAKING and not voyage.folder
        arriving = voyage.state == State.ARRIVING and landed(voyage, voyage.volume).exists()
        if (making or arriving) and take_lease(voyage.neighbour):
            try:
                make(voyage) if making else unload(voyage)
            except (HouseError, WireError) as error:  # noted with the voyage
                log.warning("voyage %s: %s", voyage.name, error)
            worked = True
    return bool(settle()) or worked
