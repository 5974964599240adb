"""Which requests are read without the HTTP engine: h11, another reader, is the judge."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.faces.server.simple_get import LONGEST, Asked, may_become_simple, read

PHONE = (
    b"GET /%E9%80%9A%E7%9F%A5/1.html?from=wechat HTTP/1.1\r\nHost: portal.example\r\n"
    b"User-Agent: Mozilla/5.0 (phone)\r\nAccept-Encoding: gzip, deflate\r\nCookie: a=b\r\n"
    b'Connection: Keep-Alive\r\nUpgrade-Insecure-Requests: 1\r\nIf-None-Match: "abc"\r\n\r\n'
)


def test_a_browser_asking_for_a_page_is_understood() -> None:
    assert read(PHONE) == Asked(
        "GET",
        "/通知/1.html",
        {
            "host": "portal.example",
            "accept-encoding": "gzip, deflate",
            "connection": "Keep-Alive",
            "if-none-match": '"abc"',
        },
    )


@pytest.mark.parametrize(
    "head",
    [
        b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n",
        b"GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xe9\x80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\nHost: x\n\n",
        b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /a HTTP/1.1\r\n Host: x\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nTRANSFER-ENCODING:chunked\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nX: " + b"y" * LONGEST + b"\r\n\r\n",
    ],
)
def test_what_is_not_wholly_plain_is_left_to_the_engine(head: bytes) -> None:
    assert read(head) is None


def test_an_unfinished_head_is_waited_for_only_while_it_may_be_plain() -> None:
    assert all(may_become_simple(PHONE[:length]) for length in range(1, len(PHONE)))
    assert all(may_become_simple(b"HEAD /a"[:length]) for length in range(1, 7))
    assert not may_become_simple(b"P")
    assert not may_become_simple(b"GET http")
    assert not may_become_simple(b"\x16\x03\x01")
    assert not may_become_simple(b"GET /" + b"a" * LONGEST)


_PIECES = st.sampled_from(
    [
        b"GET", b"HEAD", b"PUT", b" ", b"  ", b"/", b"/a.html", b"/%41?x", b"HTTP/1.1", b"HTTP/1.0",
        b"\r\n", b"\n", b"\r", b"Host: x", b"host:y", b"Host", b":", b"\t", b"Content-Length: 3",
        b"content-length:0", b"Transfer-Encoding: chunked", b"Connection: keep-alive",
        b"Range: bytes=1-2", b"Accept-Encoding: gzip ", b"abc", b"\0", b"\xff", b"#", b"X-Y: \x80z",
    ]
)  # fmt: skip
_NEARLY = st.tuples(
    st.sampled_from([b"GET /a HTTP/1.1\r\n", b"HEAD /b%20c?d HTTP/1.1\r\nHost: x\r\n"]),
    st.lists(_PIECES, max_size=8).map(b"".join),
    st.sampled_from([b"\r\n\r\n", b"\r\nHost: z\r\n\r\n"]),
).map(b"".join)


@given(st.one_of(_NEARLY, st.lists(_PIECES, max_size=14).map(lambda p: b"".join(p) + b"\r\n\r\n")))
def test_whatever_is_read_here_another_reader_reads_alike(head: bytes) -> None:
    asked = read(head)
    if asked is None:
        return
    judge = h11.Connection(h11.SERVER)
    judge.receive_data(head)
    request = judge.next_event()
    assert isinstance(request, h11.Request)
    assert request.method.decode() == asked.method
    assert isinstance(judge.next_event(), h11.EndOfMessage), "the request has a body"
    assert judge.trailing_data == (b"", False)
    lines = {name.decode(): value.decode("latin-1") for name, value in request.headers}
    assert all(lines[name] == value for name, value in asked.headers.items())
