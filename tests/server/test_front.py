"""The front of a node with public pages: what it answers, what it passes on, whom it lets go."""

import asyncio
import http.client
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.server.conftest import Site
from zhengtong.faces.server import front as front_module
from zhengtong.faces.server.front import Front
from zhengtong.faces.server.pages import BakedPages
from zhengtong.faces.server.sockets import listening
from zhengtong.kernel.baked import BakedStore

HTML = "text/html; charset=utf-8"


def get(path: str, *lines: str) -> bytes:
    """A plain request."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def answers_of(raw: socket.socket, number: int) -> list[tuple[int, bytes]]:
    """So many answers from one connection, in the order they come."""
    return [answer_of(raw) for _ in range(number)]


def answer_of(raw: socket.socket) -> tuple[int, bytes]:
    """One answer: its head byte by byte, so that nothing of the next is taken, and its body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = raw.recv(1)
        assert byte, f"the connection ended after {head!r}"
        head += byte
    assert head.lower().count(b"\r\ndate:") == 1
    found = re.search(rb"content-length: (\d+)", head)
    length = int(found[1]) if found else 0
    body = bytearray()
    while len(body) < length:
        piece = raw.recv(min(length - len(body), 1 << 20))
        assert piece, f"the connection ended after {len(body)} of {length} bytes"
        body += piece
    return int(head.split(b" ", 2)[1]), bytes(body)


def test_requests_sent_at_once_are_answered_in_order_whoever_answers(site: Site) -> None:
    site.store.write("/one.html", b"one", HTML)
    site.store.write("/two.html", b"two", HTML)
    posted = b"POST /cookies HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    asked = [get("/one.html"), get("/two.html"), posted, get("/one.html"), get("/cookies")]
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        raw.sendall(b"".join(asked))
        expected = [(200, b"one"), (200, b"two"), (201, b"two"), (200, b"one"), (201, b"two")]
        assert answers_of(raw, len(asked)) == expected


def test_a_head_that_comes_letter_by_letter(site: Site) -> None:
    site.store.write("/slow.html", b"slow", HTML)
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for letter in get("/slow.html"):
                raw.send(bytes([letter]))
            assert answer_of(raw) == (200, b"slow")


def test_a_body_that_looks_like_a_request_stays_a_body(site: Site) -> None:
    site.store.write("/secret-looking.html", b"page", HTML)
    body = get("/secret-looking.html")
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        raw.sendall(body)
        status, echoed = answer_of(raw)
        assert status == 200 and b'"PATH_INFO": "/echo"' in echoed
        raw.sendall(get("/secret-looking.html"))
        assert answer_of(raw) == (200, b"page")


def test_the_site_learns_who_really_dialled_and_whom(site: Site) -> None:
    connection = http.client.HTTPConnection(
        "127.0.0.1", site.port, timeout=10, source_address=("127.0.0.3", 0)
    )
    for _ in range(2):
        connection.request("GET", "/echo")
        told = connection.getresponse().read().decode()
        assert '"REMOTE_ADDR": "127.0.0.3"' in told
        assert f'"SERVER_PORT": "{site.port}"' in told
    connection.close()


def test_nobody_reaches_the_engine_past_the_front(own_site: Callable[..., Site]) -> None:
    site = own_site()
    ports = listening_ports(site.process.pid)
    assert site.port in ports and len(ports) == (1 if site.zone == "office" else 2)
    for port in ports - {site.port}:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/noted", headers={"X-Forwarded-For": "10.0.0.1"})
        assert connection.getresponse().status == 403
        assert not (site.root / "noted").exists()
        connection.close()


def test_who_asks_much_and_takes_nothing_costs_no_memory(own_site: Callable[..., Site]) -> None:
    site = own_site()
    page, number = os.urandom(150_000), 1500
    site.store.write("/photo.png", page, "image/png")
    before = resident(site.process.pid)
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as raw:
        raw.setblocking(False)
        asked = memoryview(get("/photo.png") * number)
        try:
            while asked:
                asked = asked[raw.send(asked) :]
        except BlockingIOError:
            pass  # it reads no more: as it should
        raw.setblocking(True)
        raw.settimeout(20)
        site.ask("/cookies")  # it has had its turn
        assert resident(site.process.pid) - before < 40 << 20
        whole = number - len(asked) // len(get("/photo.png")) - 1
        assert all(answer == (200, page) for answer in answers_of(raw, min(whole, 300)))


def test_a_stop_cuts_no_answer_in_two(own_site: Callable[..., Site]) -> None:
    site = own_site()
    page = os.urandom(190_000)
    site.store.write("/photo.png", page, "image/png")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(10)
        raw.connect(("127.0.0.1", site.port))
        raw.sendall(get("/photo.png"))
        assert raw.recv(1, socket.MSG_PEEK)
        site.process.terminate()
        assert answer_of(raw) == (200, page)


# The following run the front in this very process, with an engine that only echoes.


@asynccontextmanager
async def front_of(root: Path, **more: int) -> AsyncIterator[tuple[Front, int]]:
    """A front before an engine that says what it hears."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    engine = await asyncio.start_server(echo, sock=listening("127.0.0.1", 0))
    listener = listening("127.0.0.1", 0)
    port = listener.getsockname()[1]
    front = Front(BakedPages(root), listener, engine.sockets[0].getsockname(), **more)
    task = asyncio.create_task(front.serve())
    try:
        yield front, port
    finally:
        front.stop()
        engine.close()
        task.cancel()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks round often and is soon impatient."""
    monkeypatch.setattr(front_module, "ROUND", 0.05)
    monkeypatch.setattr(front_module, "IDLE", 0.3)
    monkeypatch.setattr(front_module, "STALLED", 4)


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side lets go."""
    try:
        while await asyncio.wait_for(reader.read(65536), 10):
            pass
    except (ConnectionError, TimeoutError) as error:
        return isinstance(error, ConnectionError)
    return True


@pytest.mark.usefixtures("quick")
def test_who_never_finishes_a_head_is_let_go_and_who_asks_on_is_not(tmp_path: Path) -> None:
    BakedStore(tmp_path).write("/a.html", b"a", HTML)

    async def story() -> None:
        async with front_of(tmp_path) as (front, port):
            idle, _ = await asyncio.open_connection("127.0.0.1", port)
            drips, drip = await asyncio.open_connection("127.0.0.1", port)
            busy, ask = await asyncio.open_connection("127.0.0.1", port)
            passed, talk = await asyncio.open_connection("127.0.0.1", port)
            talk.write(b"PUT")
            for letter in (b"GET /a.html HTTP/1.1\r\n" + b"X: y\r\n" * 10)[:14]:
                drip.write(bytes([letter]))
                ask.write(get("/a.html"))
                assert (await busy.readuntil(b"\r\n\r\na")).startswith(b"HTTP/1.1 200 OK")
                await asyncio.sleep(0.05)
            assert await ended(idle) and await ended(drips)
            ask.write(get("/a.html"))
            assert await busy.readuntil(b"\r\n\r\na")
            talk.write(b" more")
            assert await passed.readexactly(8) == b"PUT more"
            assert len(front.visits) == 2

    asyncio.run(story())


@pytest.mark.usefixtures("quick")
def test_a_reader_who_takes_nothing_any_more_is_dropped(tmp_path: Path) -> None:
    BakedStore(tmp_path).write("/a.png", os.urandom(900_000), "image/png")

    async def story() -> None:
        async with front_of(tmp_path) as (front, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(get("/a.png") * 50)
            assert await reader.readexactly(8) == b"HTTP/1.1"
            while front.visits:
                await asyncio.sleep(0.05)
            assert await ended(reader)

    asyncio.run(asyncio.wait_for(story(), 30))


def test_one_visitor_too_many_is_told_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with front_of(tmp_path, limit=2) as (_, port):
            kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            for _, writer in kept:
                writer.write(b"PUT")  # is echoed: they have been let in
            assert [await reader.readexactly(3) for reader, _ in kept] == [b"PUT"] * 2
            reader, _ = await asyncio.open_connection("127.0.0.1", port)
            told = (await reader.read()).decode()
            assert told.startswith("HTTP/1.1 503") and "请稍后再试" in told

    asyncio.run(story())


def test_an_engine_that_does_not_answer_is_admitted(tmp_path: Path) -> None:
    async def story() -> None:
        async with front_of(tmp_path) as (front, port):
            with socket.socket() as nobody:
                nobody.bind(("127.0.0.1", 0))
                front.engine = nobody.getsockname()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"PUT /a HTTP/1.1\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.1 503")

    asyncio.run(story())


def listening_ports(pid: int) -> set[int]:
    """The ports on which a process accepts connections (Linux)."""
    held = set[str]()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed since
            held.add(os.readlink(entry.path))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listen = "0A"
    return {
        int(row[1].rpartition(":")[2], 16)
        for row in rows
        if row[3] == listen and f"socket:[{row[9]}]" in held
    }


def resident(pid: int) -> int:
    """Bytes of memory a process has."""
    words = Path(f"/proc/{pid}/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")
