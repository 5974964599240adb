"""The one place that asks what time it is, so that tests and simulations can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")

_read: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731


def now() -> datetime:
    """The present instant, zone-aware, in UTC."""
    return _read()


def today() -> date:
    """The present calendar day in China, by which documents are dated and numbered."""
    return now().astimezone(CHINA).date()


@contextmanager
def fixed(instant: datetime | Callable[[], datetime]) -> Iterator[None]:
    """Let `now()` answer with `instant` (or what it returns) inside the block."""
    global _read
    before = _read
    _read = instant if callable(instant) else (lambda: instant)
    try:
        yield
    finally:
        _read = before
