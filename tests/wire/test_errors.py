"""Every refusal tells a person what happened and what to do, in both languages."""

from __future__ import annotations

import pytest

from zhengtong.wire.errors import Refusal, WireError


@pytest.mark.parametrize("code", Refusal)
def test_every_refusal_is_explained(code: Refusal) -> None:
    error = WireError(code, "sequence 4")
    assert "sequence 4" in error.zh
    assert "sequence 4" in error.en
    assert code.explanation.remedy_zh in error.zh
    assert code.explanation.remedy_en in error.en
    assert str(error).startswith(code.value)


def test_no_two_refusals_say_the_same() -> None:
    assert len({code.explanation.zh for code in Refusal}) == len(Refusal) == 21
