"""The WSGI part, compared where possible with the reference server of the standard library."""

import hashlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from tests.server import sample_site
from tests.server.conftest import Site, until


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The same site under wsgiref; its port."""
    root: Path = tmp_path_factory.mktemp("reference")
    (root / "download.bin").write_bytes(b"d" * 3_000_000)
    server = make_server("127.0.0.1", 0, sample_site.site(root), handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/cookies"),
        ("GET", "/name"),
        ("GET", "/none"),
        ("GET", "/written"),
        ("GET", "/large?blocks=3"),
        ("GET", "/large?blocks=40"),
        ("GET", "/download"),
        ("GET", "/download?skip=2999000"),
        ("GET", "/不/存在".encode().decode("latin-1")),
        ("POST", "/cookies"),
        ("DELETE", "/nowhere"),
    ],
)
def test_same_answer_as_the_reference_server(
    site: Site, reference: int, method: str, target: str
) -> None:
    (site.root / "download.bin").write_bytes(b"d" * 3_000_000)
    seen = []
    for port in (site.port, reference):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            raw.sendall((head + "Content-Length: 0\r\n\r\n").encode("latin-1"))
            response = http.client.HTTPResponse(raw, method=method)
            response.begin()
            body = response.read()
        ignored = {"date", "server", "connection", "content-length", "transfer-encoding"}
        headers = [(n.lower(), v) for n, v in response.getheaders() if n.lower() not in ignored]
        seen.append((response.status, headers, body))
    assert seen[0] == seen[1]


def test_the_environment_is_valid_and_complete(site: Site) -> None:
    response, body = site.ask(
        "/echo/checked?q=%E6%94%BF&q=2",
        "POST",
        b"x=1",
        Content_Type="application/x-www-form-urlencoded",
        Cookie="a=1",
        X_Twice="1",
    )
    assert response.status == 200, body
    told = json.loads(body)
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/echo/checked",
        "QUERY_STRING": "q=%E6%94%BF&q=2",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": "3",
        "HTTP_COOKIE": "a=1",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PORT": str(site.port),
        "wsgi.url_scheme": "http",
        "body_sha256": hashlib.sha256(b"x=1").hexdigest(),
    }
    assert {key: told[key] for key in expected} == expected


def test_a_chinese_path_arrives_as_pep_3333_wants_it(site: Site) -> None:
    told = json.loads(site.ask("/echo/%E6%94%BF%E7%AD%96")[1])
    assert told["PATH_INFO"].encode("latin-1").decode() == "/echo/政策"


def test_headers_that_could_deceive_the_site(site: Site) -> None:
    connection = site.connect()
    connection.putrequest("GET", "/echo")
    for name, value in [
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
        ("Proxy", "evil.example"),
        ("X_Forwarded_For", "10.0.0.1"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("X-List", "1"),
        ("X-List", "2"),
    ]:
        connection.putheader(name, value)
    connection.endheaders()
    told = json.loads(connection.getresponse().read())
    connection.close()
    assert (told["REMOTE_ADDR"], told["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert not [key for key in told if "FORWARD" in key or "REAL" in key or key == "HTTP_PROXY"]
    assert (told["HTTP_COOKIE"], told["HTTP_X_LIST"]) == ("a=1; b=2", "1,2")


def test_our_own_proxy_is_believed(site: Site) -> None:
    with socket.create_connection(
        ("127.0.0.1", site.port), timeout=5, source_address=("127.0.0.2", 0)
    ) as raw:
        raw.sendall(
            b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"X-Forwarded-For: 6.6.6.6, 203.0.113.9, 127.0.0.2\r\nX-Forwarded-Proto: https\r\n\r\n"
        )
        response = http.client.HTTPResponse(raw)
        response.begin()
        told = json.loads(response.read())
    assert (told["REMOTE_ADDR"], told["wsgi.url_scheme"]) == ("203.0.113.9", "https")


@pytest.mark.parametrize("size", [1, 300_000, sample_site.UPLOAD_LIMIT])
def test_an_upload_arrives_whole(site: Site, size: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    told = json.loads(site.ask("/echo", "POST", content)[1])
    assert told["body_sha256"] == hashlib.sha256(content).hexdigest()
    assert told["CONTENT_LENGTH"] == str(size)


def test_too_large_an_upload_is_explained(site: Site) -> None:
    response, body = site.ask("/echo", "POST", b"u" * 10_000_000)
    assert response.status == 413
    assert "上传的内容太大" in body.decode() and "2 MB" in body.decode()
    asking = site.connect()
    asking.putrequest("POST", "/echo")
    asking.putheader("Content-Length", "10000000")
    asking.putheader("Expect", "100-continue")
    asking.endheaders()
    assert asking.getresponse().status == 413
    asking.close()
    assert site.ask("/cookies")[0].status == 201


def test_a_body_of_unknown_length_is_refused(site: Site) -> None:
    connection = site.connect()
    connection.request("POST", "/noted", iter([b"a" * 5_000_000]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 411
    connection.close()
    assert not (site.root / "noted").exists()


@pytest.mark.parametrize(
    "start_of_body",
    ["Content-Length: 1000\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf"],
)
def test_an_upload_cut_off_never_reaches_the_site(site: Site, start_of_body: str) -> None:
    before = (site.root / "log").read_text()
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as raw:
        raw.sendall(b"POST /noted HTTP/1.1\r\nHost: x\r\n" + start_of_body.encode())
    assert site.ask("/cookies")[0].status == 201
    assert not until((site.root / "noted").exists, seconds=0.3)
    assert (site.root / "log").read_text() == before


def test_a_defect_is_a_clear_page_and_a_log_entry(site: Site) -> None:
    response, body = site.ask("/boom")
    assert response.status == 500 and "系统出错" in body.decode()
    assert b"RuntimeError" not in body
    assert until(lambda: "a defect in the site" in (site.root / "log").read_text())


def test_a_response_header_cannot_be_split(site: Site) -> None:
    response, _ = site.ask("/smuggle")
    assert response.status == 500 and response.getheader("Set-Cookie") is None


def test_a_large_reply_is_closed_on_the_thread_that_made_it(site: Site) -> None:
    response, body = site.ask("/large?blocks=60")
    assert len(body) == 6_000_000 == int(response.getheader("Content-Length", "0"))
    assert (
        hashlib.sha256(body).digest()
        == hashlib.sha256(b"".join(bytes([n]) * 100_000 for n in range(60))).digest()
    )
    assert (site.root / "large-closed-on").read_text().startswith("wsgi_")


def test_a_deleted_file_is_still_sent_to_its_reader(site: Site) -> None:
    (site.root / "download.bin").write_bytes(b"e" * 4_000_000)
    connection = site.connect()
    connection.request("GET", "/download")
    response = connection.getresponse()
    (site.root / "download.bin").unlink()
    assert response.read() == b"e" * 4_000_000
    connection.close()


def test_slow_readers_hold_no_threads(site: Site) -> None:
    (site.root / "download.bin").write_bytes(b"s" * 8_000_000)
    readers = []
    for _ in range(sample_site.THREADS * 3):
        raw = socket.create_connection(("127.0.0.1", site.port), timeout=5)
        raw.sendall(b"GET /download HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(10).startswith(b"HTTP/1.1")
        readers.append(raw)
    assert site.ask("/cookies")[0].status == 201
    for raw in readers:
        raw.close()


def test_many_requests_at_once_share_the_fixed_threads(site: Site) -> None:
    with ThreadPoolExecutor(16) as clients:
        names = list(clients.map(lambda _: site.ask("/thread")[1], range(48)))
    assert 1 < len(set(names)) <= sample_site.THREADS


def test_one_connection_serves_many_requests(site: Site) -> None:
    site.store.write("/keep.html", b"kept", "text/html")
    connection = site.connect()
    for target, expected in [("/keep.html", 200), ("/cookies", 201), ("/boom", 500)] * 3:
        connection.request("GET", target)
        response = connection.getresponse()
        response.read()
        assert response.status == expected
    connection.close()


def test_head_of_a_dynamic_page_has_no_body(site: Site) -> None:
    connection = site.connect()
    connection.request("HEAD", "/cookies")
    response = connection.getresponse()
    assert (response.status, response.getheader("Content-Length")) == (201, "3")
    response.read()
    connection.request("GET", "/name")
    assert connection.getresponse().read() == b"ok"
    connection.close()
