"""Metrics and liveness: read by Prometheus' own parser, and told only to those who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parse

from tests import build, links
from zhengtong.faces import exposition, metrics
from zhengtong.kernel import moment
from zhengtong.kernel.messages import delays
from zhengtong.kernel.messages.watch import Watcher

TOKEN = "0123456789abcdef0123456789abcdef"
OUTSIDE = "203.0.113.9"


@pytest.fixture
def token_file() -> Iterator[Path]:
    settings.NODE.keys.mkdir(parents=True, exist_ok=True)
    path = settings.NODE.keys / metrics.TOKEN_FILE
    yield path
    path.unlink(missing_ok=True)


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample as Prometheus' parser reads it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


@pytest.mark.django_db(transaction=True)
def test_what_is_told_is_what_stands_in_the_tables() -> None:
    build.office()
    now = moment.now()
    fugou = links.link("fugou", failures=4, skew_ms=1500)
    links.letter(fugou, lane=0, at=now - timedelta(seconds=90))
    links.letter(fugou, lane=3, number=1)
    links.letter(fugou, lane=2, number=1, sealed=now - timedelta(seconds=4))
    links.standing_at(fugou, lane=3, sealed=1, receipted=0)
    links.receipt(fugou, lane=2, first=1, last=1, at=now + timedelta(seconds=1.5))
    links.alarm(fugou, "forked_log")
    delays.count_new()
    Watcher("test:1").work()
    found = samples(Client().get("/metrics").content.decode())

    def value(name: str, **labels: str) -> float:
        return found[f"zhengtong_{name}", frozenset(labels.items())]

    lane = {"neighbour": "fugou", "lane": "emergency"}
    assert value("link_backlog", **lane, stage="waiting") == 1
    assert value("link_backlog", **lane, stage="underway") == 0
    bulk = {"neighbour": "fugou", "lane": "bulk"}
    assert value("link_backlog", **bulk, stage="underway") == 1
    assert 90 <= value("link_oldest_seconds", **lane) < 600
    assert value("link_failures", neighbour="fugou") == 4
    assert value("link_clock_skew_seconds", neighbour="fugou") == 1.5
    assert value("link_alarm", neighbour="fugou", code="forked_log") == 1
    buckets = [
        (float(dict(labels)["le"]), number)
        for (name, labels), number in found.items()
        if name == "zhengtong_link_delay_seconds_bucket"
    ]
    assert [number for _, number in sorted(buckets)] == [
        float(bound >= 4) for bound in (*delays.BOUNDS, float("inf"))
    ]
    assert value("link_delay_seconds_count", neighbour="fugou") == 1
    assert value("link_delay_seconds_sum", neighbour="fugou") == pytest.approx(4, abs=0.1)
    assert value("worker_waiting", job="audit") >= 1
    assert value("tasks_open", kind="to_do") == 0
    assert abs(value("worker_looked_timestamp_seconds") - now.timestamp()) < 60
    assert value("disk_free_bytes") > 0


def test_a_node_with_nothing_yet_is_told_of_too(db: None) -> None:
    found = samples(Client().get("/metrics").content.decode())
    assert found["zhengtong_worker_looked_timestamp_seconds", frozenset()] == 0
    assert not any(name.startswith("zhengtong_link") for name, _ in found)


@pytest.mark.django_db
def test_without_a_token_only_this_machine_is_answered_and_only_on_a_node_of_its_own(
    token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Client().get("/metrics").status_code == 200
    refused = Client(REMOTE_ADDR=OUTSIDE).get("/metrics")
    assert (refused.status_code, "keys/metrics-token" in refused.content.decode()) == (403, True)
    known = replace(settings.NODE, url="https://oa.zhoukou.example")
    monkeypatch.setattr(settings, "NODE", known)
    assert Client().get("/metrics").status_code == 403, "a proxy on this machine asks for anybody"


@pytest.mark.django_db
def test_with_a_token_whoever_knows_it_is_answered(token_file: Path) -> None:
    token_file.touch(mode=0o600)
    token_file.write_text(f"{TOKEN}\n")
    outside = Client(REMOTE_ADDR=OUTSIDE)
    assert outside.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status_code == 200
    for wrong in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}0", "Bearer é"):
        assert outside.get("/metrics", HTTP_AUTHORIZATION=wrong).status_code == 401, wrong
    assert Client().get("/metrics").status_code == 401, "from this machine it is asked for too"
    token_file.chmod(0o640)
    open_to_all = outside.get("/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}")
    assert (open_to_all.status_code, "chmod 600" in open_to_all.content.decode()) == (403, True)
    token_file.chmod(0o600)
    token_file.write_text("short")
    assert outside.get("/metrics", HTTP_AUTHORIZATION="Bearer short").status_code == 403


@pytest.mark.parametrize(("face", "served"), [("office", True), ("public", False)])
def test_the_public_face_has_no_metrics(face: str, served: bool) -> None:
    from zhengtong.faces.urls import routes

    paths = {str(route.pattern) for route in routes(face)}
    assert ("metrics" in paths, {"livez", "readyz"} <= paths) == (served, True)


@given(st.text(), st.floats(allow_nan=False), st.text())
def test_any_label_and_value_comes_back_as_it_was(label: str, value: float, help: str) -> None:
    family = exposition.Family("a_gauge", "gauge", help, [({"x": label}, value), ({}, 1)])
    (read,) = parse(exposition.write([family]))
    assert read.samples[0].labels == {"x": label}
    assert (read.samples[0].value, read.samples[1].value) == (value, 1)


@pytest.mark.django_db
def test_a_sound_node_is_alive_and_ready() -> None:
    for path in ("/livez", "/readyz"):
        answer = Client(REMOTE_ADDR=OUTSIDE).get(path)
        assert (answer.status_code, "ok" in answer.content.decode()) == (200, True)
