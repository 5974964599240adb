"""The port for other nodes, with the standard library's own TLS and HTTP as the client."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path

import pytest

from tests.federation.city import wait_until
from tests.server.served import NOW, UPLOAD_LIMIT, Served, certify
from zhengtong.faces.server import exchange_port
from zhengtong.wire.certificates import create_authority


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("port"))
    yield made
    made.close()


def ask(
    connection: HTTPSConnection,
    path: str = "/exchange",
    body: bytes | None = b"",
    headers: dict[str, str] | None = None,
) -> tuple[HTTPResponse, bytes]:
    connection.request("POST" if body is not None else "GET", path, body, headers or {})
    answer = connection.getresponse()
    return answer, answer.read()


def test_the_application_is_told_who_dials(served: Served) -> None:
    connection = served.connect()
    for body in (b"", b"one", b"x" * 2_000_000):
        answer, said = ask(connection, body=body)
        told = json.loads(said)
        assert (answer.status, told["zhengtong.node"]) == (200, "fugou")
        assert told["body"] == hashlib.sha256(body).hexdigest()
        assert told["wsgi.url_scheme"] == "https" and told["REMOTE_ADDR"] == "127.0.0.1"


def test_no_header_makes_a_node_of_anybody(served: Served) -> None:
    _, said = ask(served.connect(), headers={"zhengtong.node": "henan", "Zhengtong-Node": "henan"})
    assert json.loads(said)["zhengtong.node"] == "fugou"


@pytest.mark.parametrize("size", [1, 300_000, 5_000_000])
def test_answers_of_any_size(served: Served, size: int) -> None:
    connection = served.connect()
    for _ in range(2):
        answer, said = ask(connection, f"/exchange?{size}")
        assert (answer.status, len(said)) == (200, size)


def test_a_large_answer_takes_no_room_on_the_disk_once_it_is_read(served: Served) -> None:
    _, said = ask(served.connect(), "/exchange?5000001")
    wait_until(lambda: 5_000_001 not in unnamed_files(), 10)
    assert len(said) == 5_000_001


def unnamed_files() -> list[int]:
    """The sizes of this process's open files that have no name."""
    sizes = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if str(path.readlink()).endswith("(deleted)"):
                sizes.append(path.stat().st_size)
    return sizes


def test_without_a_certificate_the_reason_is_told_even_behind_a_large_body(served: Served) -> None:
    answer, said = ask(served.connect(named=False), body=b"x" * 2_000_000)
    refused = json.loads(said)
    assert (answer.status, refused["refused"]) == (403, "bad_certificate")
    assert refused["text"].startswith("没有出示节点证书")


def test_a_stranger_s_certificate_is_refused(served: Served, tmp_path: Path) -> None:
    other = create_authority("henan", "intl", NOW)
    answer, said = ask(served.connect(certify(tmp_path / "stranger", other, "fugou")))
    assert answer.status == 403 and "认可的证书机构" in json.loads(said)["text"]


def test_a_node_that_is_still_to_join_may_ask_for_that_alone(served: Served) -> None:
    newcomer = served.connect(named=False)
    answer, said = ask(newcomer, "/exchange/join")
    assert (answer.status, json.loads(said)["zhengtong.node"]) == (200, "")
    assert ask(newcomer, "/exchange")[0].status == 403
    assert ask(served.connect(named=False), "/exchange/join/../")[0].status == 403


def test_nothing_but_the_exchange_is_served(served: Served) -> None:
    for path in ("/", "/sign-in", "/static/ui/base.css", "//exchange"):
        assert ask(served.connect(), path)[0].status == 404


def test_a_body_over_the_limit_is_refused(served: Served) -> None:
    answer, _ = ask(served.connect(), body=b"x" * (UPLOAD_LIMIT + 1))
    assert answer.status == 413


def test_a_stream_comes_line_by_line_and_ends(served: Served) -> None:
    connection = served.connect()
    connection.request("GET", "/exchange/stream?open")
    answer = connection.getresponse()
    assert [answer.readline(), answer.readline()] == [b"fugou\n", b"mail\n"]
    connection.close()
    again = served.connect()
    for _ in range(2):  # a stream that ends leaves the connection usable
        assert ask(again, "/exchange/stream", None)[1] == b"fugou\nmail\n"


def test_requests_sent_ahead_are_answered_in_order(served: Served) -> None:
    with served.raw() as caller:
        for size in (10, 20, 30):
            caller.sendall(f"GET /exchange?{size} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        with caller.makefile("rb") as answers:
            sizes = []
            for _ in range(3):
                length = 0
                while line := answers.readline().strip():
                    name, _, value = line.partition(b": ")
                    length = int(value) if name == b"content-length" else length
                sizes.append(len(answers.read(length)))
    assert sizes == [10, 20, 30]


def test_whoever_asks_first_may_send(served: Served) -> None:
    with served.raw() as caller:
        head = "POST /exchange HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
        caller.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert caller.recv(100).startswith(b"HTTP/1.1 100")
        caller.sendall(b"ok")
        assert caller.recv(100).startswith(b"HTTP/1.1 200")


def test_a_flood_of_requests_waits_outside(served: Served) -> None:
    """While one is being answered, what is sent ahead stays in the caller's own buffers."""
    with served.raw() as caller:
        caller.settimeout(1)
        caller.sendall(b"GET /exchange/stream?open HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(TimeoutError):
            for _ in range(400):
                caller.sendall(b"GET /exchange HTTP/1.1\r\nX: " + b"x" * 60_000 + b"\r\n\r\n")


def test_a_request_that_breaks_off_harms_nobody(served: Served) -> None:
    for part in (
        b"POST /exchange HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST /exch",
        b"",
    ):
        caller = served.raw()
        caller.sendall(part or b" ")
        caller.close()
    assert ask(served.connect())[0].status == 200


def test_what_is_no_tls_or_no_http_is_cut_off(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.number), 20) as plain:
        plain.sendall(b"POST /exchange HTTP/1.1\r\n\r\n")
        assert not plain.recv(1000).startswith(b"HTTP")
    with served.raw() as caller:
        caller.sendall(b"\x00\x01 this is no request\r\n\r\n")
        assert caller.recv(1000) == b""
    assert ask(served.connect())[0].status == 200


def test_older_tls_is_not_spoken(served: Served) -> None:
    context = served.tls(served.child)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    plain = socket.create_connection(("127.0.0.1", served.number), 20)
    with plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_many_at_once(served: Served) -> None:
    def twice(number: int) -> list[int]:
        connection = served.connect()
        return [len(ask(connection, f"/exchange?{number * 1000 + 1}")[1]) for _ in range(2)]

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(twice, range(60)))
    assert found == [[number * 1000 + 1] * 2 for number in range(60)]


def test_a_connection_does_not_live_for_ever(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_port, "LIFE", 0.0)
    answer, _ = ask(served.connect())
    assert (answer.status, answer.getheader("connection")) == (200, "close")


def test_silence_is_not_waited_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_port, "HANDSHAKE", 0.1)
    with socket.create_connection(("127.0.0.1", served.number), 20) as plain:
        assert plain.recv(10) == b""
    monkeypatch.setattr(exchange_port, "HANDSHAKE", 10.0)
    monkeypatch.setattr(exchange_port, "IDLE", 0.1)
    with served.raw() as caller, pytest.raises((ConnectionError, ssl.SSLError, AssertionError)):
        assert caller.recv(10) != b""


def test_more_than_it_can_hold_are_turned_away(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served.raw() as first:
        monkeypatch.setattr(exchange_port, "MOST", len(served.port.open))
        with pytest.raises((ConnectionError, ssl.SSLError)):
            served.raw()
        first.sendall(b"GET /exchange?5 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert first.recv(100).startswith(b"HTTP/1.1 200")


def test_a_stop_ends_what_waits_and_lets_answers_out(tmp_path: Path) -> None:
    own = Served(tmp_path)
    try:
        idle, reading = own.raw(), own.connect()
        reading.request("GET", "/exchange?5000000")
        answer = reading.getresponse()
        own.loop.call_soon_threadsafe(own.port.stop)
        assert idle.recv(10) == b""
        assert len(answer.read()) == 5_000_000
        with pytest.raises(ConnectionError):
            own.raw()
    finally:
        own.close()
