"""The administrator's commands, run inside the test's own process on the test's own node."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from zhengtong.faces.cli.main import main


@dataclass
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass
class Inside:
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: object) -> Said:
        self.capture.readouterr()
        code = main(["--node", os.environ["ZHENGTONG_NODE"], *map(str, words)])
        return Said(code, *self.capture.readouterr())
