"""Server-sent events and long polls, and the end of a web process."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.server import sample_site
from tests.server.conftest import SOURCE, Site, free_port, until
from zhengtong.faces.server.sockets import PortTaken, ensure_port_free


def listen(site: Site, path: str = "/events/", **headers: str) -> http.client.HTTPResponse:
    """An open event stream."""
    connection = site.connect()
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def test_events_arrive_one_by_one_with_heartbeats(site: Site) -> None:
    response = listen(site, **{"Last-Event-ID": "41"})
    assert response.getheader("Content-Type", "").startswith("text/event-stream")
    lines = [response.readline().decode().strip() for _ in range(14)]
    assert lines[0] == "event: hello" and lines[1].startswith("data: wsgi_")
    assert [line for line in lines if line.startswith("id:")] == ["id: 42", "id: 43", "id: 44"]
    assert "data: 第44条" in lines and lines[12] == ":"
    response.close()


def test_a_reader_who_leaves_ends_the_source(site: Site) -> None:
    response = listen(site, "/events/?leaver")
    response.readline()
    assert not (site.root / "ended-leaver").exists()
    response.close()
    assert until((site.root / "ended-leaver").exists)


def test_a_long_poll_answers_and_refuses(site: Site) -> None:
    response, body = site.ask("/poll/")
    assert (response.status, body) == (200, b"answer")
    response, body = site.ask("/poll/?who=stranger")
    assert (response.status, body) == (403, b"refused")
    response, _ = site.ask("/poll/", "POST", b"x")
    assert (response.status, response.getheader("Allow")) == (405, "GET")


def test_limits_end_a_stream(site: Site) -> None:
    assert 50_000 <= len(site.ask("/chatter/")[1]) < 60_000
    body = site.ask("/events/silence")[1]
    assert set(body) == set(b": \n") and 2 <= body.count(b":") <= 8


def test_readers_who_leave_while_being_sent_to_leave_no_trace(site: Site) -> None:
    before = (site.root / "log").read_text()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", site.port), timeout=5) as raw:
            raw.sendall(b"GET /chatter/ HTTP/1.1\r\nHost: x\r\n\r\n")
            raw.recv(100)
    assert site.ask("/poll/")[1] == b"answer"
    assert (site.root / "log").read_text() == before


def test_a_source_that_fails_is_logged(site: Site) -> None:
    assert site.ask("/failing/")[1] == b"first"
    assert until(lambda: "a defect in the source" in (site.root / "log").read_text())


def test_too_many_streams_are_refused_and_pages_still_served(own_site: Callable[..., Site]) -> None:
    site = own_site()
    readers = [listen(site) for _ in range(sample_site.STREAM_LIMIT)]
    assert [reader.status for reader in readers] == [200] * sample_site.STREAM_LIMIT
    refused, _ = site.ask("/events/")
    assert (refused.status, refused.getheader("Retry-After")) == (503, "15")
    assert site.ask("/cookies")[0].status == 201
    for reader in readers:
        reader.close()
    assert until(lambda: listen(site).status == 200)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean_and_quick_with_an_open_stream(
    own_site: Callable[..., Site], number: signal.Signals
) -> None:
    site = own_site()
    response = listen(site, "/events/?stopped")
    response.readline()
    idle = site.connect()
    idle.request("GET", "/cookies")
    idle.getresponse().read()
    begun = time.monotonic()
    site.process.send_signal(number)
    assert site.process.wait(5) == 0
    assert time.monotonic() - begun < 2.0
    assert (site.root / "returned").exists(), "ended by its deadline instead of by itself"
    assert (site.root / "ended-stopped").exists()


def test_a_running_request_is_finished_before_the_stop(own_site: Callable[..., Site]) -> None:
    site = own_site()
    connection = site.connect()
    connection.request("GET", "/slow?seconds=0.7")
    time.sleep(0.3)
    site.process.terminate()
    assert connection.getresponse().read() == b"done"
    assert site.process.wait(5) == 0


def test_a_request_that_never_ends_does_not_hold_up_the_stop(
    own_site: Callable[..., Site],
) -> None:
    site = own_site(0.4)
    connection = site.connect()
    connection.request("GET", "/slow?seconds=30")
    time.sleep(0.3)
    site.process.terminate()
    assert site.process.wait(5) == 0


def test_two_processes_share_a_port(own_site: Callable[..., Site]) -> None:
    site = own_site()
    second = subprocess.Popen(
        [
            sys.executable,
            str(sample_site.__file__),
            str(site.root),
            str(site.port),
            site.zone,
            "1.7",
        ],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stderr=subprocess.DEVNULL,
    )
    try:
        site.process.terminate()
        site.process.wait(5)
        assert until(lambda: _status(site) == 201)
    finally:
        second.kill()
        second.wait()


def _status(site: Site) -> int | None:
    try:
        return site.ask("/cookies")[0].status
    except OSError:
        return None


def test_a_port_in_use_is_refused_before_anything_starts() -> None:
    port = free_port()
    ensure_port_free("127.0.0.1", port)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(PortTaken, match=str(port)):
            ensure_port_free("127.0.0.1", port)
