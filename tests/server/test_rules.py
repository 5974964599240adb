"""Pure rules of the server: what a request asks for, and when to restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.faces.server.negotiation import accepts_gzip, byte_range, matches
from zhengtong.faces.server.restarts import RestartPolicy, Restarts


@pytest.mark.parametrize(
    ("accepted", "verdict"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("*", True),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("br, gzip ; q=0.000", False),
        ("identity", False),
        ("", False),
        ("gzippy", False),
    ],
)
def test_accept_encoding(accepted: str, verdict: bool) -> None:
    assert accepts_gzip(accepted) is verdict


def test_if_none_match() -> None:
    assert matches('"a"', '"a"') and matches('"b", W/"a"', '"a"') and matches("*", '"a"')
    assert not matches('"b"', '"a"') and not matches("a", '"a"')


BODY = bytes(range(100))


@given(st.integers(0, 120), st.integers(0, 120))
def test_a_byte_range_is_the_slice_it_names(first: int, last: int) -> None:
    spans = [byte_range(f"bytes={first}-{last}", 100), byte_range(f"bytes={first}-", 100)]
    expected = [BODY[first : last + 1], BODY[first:]]
    for span, slice_ in zip(spans, expected, strict=True):
        if span is None:
            assert first > last
        else:
            assert BODY[span[0] : span[1]] == slice_
    tail = byte_range(f"bytes=-{last}", 100)
    assert tail is not None and BODY[tail[0] : tail[1]] == (BODY[-last:] if last else b"")


@given(st.text(max_size=30) | st.from_regex(r"bytes=[0-9,\- ]{0,12}", fullmatch=True))
def test_no_range_value_is_an_error(ranged: str) -> None:
    span = byte_range(ranged, 100)
    assert span is None or (span[0] >= 0 and span[1] <= 100)


def test_restarts_slow_down_and_recover_after_a_healthy_life() -> None:
    restarts = Restarts()
    assert [restarts.after_crash(10.0) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert restarts.after_crash(60.0) == 1


def test_only_early_crashes_in_a_row_are_hopeless() -> None:
    restarts = Restarts(RestartPolicy(hopeless_after=3))
    assert restarts.after_crash(0.1) is not None
    assert restarts.after_crash(0.1) is not None
    assert restarts.after_crash(20.0) is not None
    assert restarts.after_crash(0.1) is not None
    assert restarts.after_crash(0.1) is not None
    assert restarts.after_crash(0.1) is None


@given(st.lists(st.floats(0, 1000), max_size=40))
def test_a_delay_is_always_within_the_policy(lives: list[float]) -> None:
    restarts = Restarts(RestartPolicy(hopeless_after=1000))
    for lived in lives:
        delay = restarts.after_crash(lived)
        assert delay is not None and 1 <= delay <= 30
