"""The public node as a fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zhengtong.capabilities.portal.tests.stage import PublicNode


@pytest.fixture
def public(
    tmp_path: Path, transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PublicNode]:
    """This process as the public node; `settings` puts everything back afterwards."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # durability is proven elsewhere
    settings.NODE, settings.PUBLIC_FACE = settings.NODE, settings.PUBLIC_FACE
    node = PublicNode(tmp_path / "portal")
    yield node
    node.close()
