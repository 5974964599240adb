"""A browser asks the running server for baked pages."""

import gzip
import socket
from pathlib import Path

import pytest

from tests.server.conftest import Site, until

HTML = "text/html; charset=utf-8"
PAGE = ("<p>周口市人民政府办公室通知</p>" * 400).encode()


def test_a_baked_page_with_its_headers(site: Site) -> None:
    etag = site.store.write("/通知/1.html", PAGE, HTML)
    response, body = site.ask("/%E9%80%9A%E7%9F%A5/1.html?from=wechat")
    assert (response.status, body) == (200, PAGE)
    assert response.getheader("Content-Type") == HTML
    assert response.getheader("Content-Length") == str(len(PAGE))
    assert response.getheader("ETag") == etag
    assert response.getheader("Cache-Control") == "no-cache"
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    policy = response.getheader("Content-Security-Policy", "")
    assert "default-src 'self'" in policy and "unsafe" not in policy


def test_a_known_page_is_not_sent_again(site: Site) -> None:
    etag = site.store.write("/known.html", PAGE, HTML)
    response, body = site.ask("/known.html", If_None_Match=f'"x", W/{etag}')
    assert (response.status, body, response.getheader("ETag")) == (304, b"", etag)
    response, body = site.ask("/known.html", If_None_Match='"x"')
    assert (response.status, body) == (200, PAGE)


def test_gzip_on_request_with_a_tag_of_its_own(site: Site) -> None:
    site.store.write("/packed.html", PAGE, HTML)
    response, body = site.ask("/packed.html", Accept_Encoding="br, gzip")
    assert response.getheader("Content-Encoding") == "gzip"
    assert len(body) < len(PAGE) / 5 and gzip.decompress(body) == PAGE
    assert response.getheader("Vary") == "accept-encoding"
    tag = response.getheader("ETag", "")
    again, _ = site.ask("/packed.html", Accept_Encoding="gzip", If_None_Match=tag)
    plain, _ = site.ask("/packed.html", If_None_Match=tag)
    assert (again.status, plain.status) == (304, 200)


@pytest.mark.parametrize("size", [5_000, 500_000])
def test_head_says_what_get_would_send(site: Site, size: int) -> None:
    path = f"/head-{size}.pdf"
    site.store.write(path, b"%PDF" + b"x" * size, "application/pdf")
    head, nothing = site.ask(path, "HEAD")
    full, body = site.ask(path)
    assert (head.status, nothing, len(body)) == (200, b"", size + 4)
    for name in ("Content-Length", "Content-Type", "ETag"):
        assert head.getheader(name) == full.getheader(name) is not None


@pytest.mark.parametrize("size", [1000, 400_000])
def test_a_broken_download_is_resumed(site: Site, size: int) -> None:
    path, content = f"/resume-{size}.zip", bytes(n % 251 for n in range(size))
    site.store.write(path, content, "application/zip")
    whole, _ = site.ask(path)
    tag = whole.getheader("ETag", "")
    part, body = site.ask(path, Range="bytes=700-", If_Range=tag)
    assert (part.status, body) == (206, content[700:])
    assert part.getheader("Content-Range") == f"bytes 700-{size - 1}/{size}"
    middle, body = site.ask(path, Range="bytes=10-19")
    assert (middle.status, body) == (206, content[10:20])
    changed, body = site.ask(path, Range="bytes=700-", If_Range='"other"')
    assert (changed.status, body) == (200, content)
    beyond, _ = site.ask(path, Range=f"bytes={size}-")
    assert (beyond.status, beyond.getheader("Content-Range")) == (416, f"bytes */{size}")


@pytest.mark.parametrize("size", [2_000, 300_000])
def test_a_withdrawn_page_is_gone_within_a_second(site: Site, size: int) -> None:
    path = f"/withdrawn-{size}.html"
    site.store.write(path, b"w" * size, HTML)
    assert site.ask(path)[0].status == 200
    site.store.remove(path)
    assert until(lambda: site.ask(path)[0].status == 404, seconds=1.0)
    site.store.write(path, b"back", HTML)
    assert until(lambda: site.ask(path)[1] == b"back", seconds=1.0)


@pytest.mark.parametrize(
    "target",
    [
        "/../secret.html",
        "/%2e%2e/secret.html",
        "/..%2fsecret.html",
        "/a/%2e%2e/%2e%2e/secret.html",
        "/%2e%2e%5csecret.html",
        "//secret.html",
        "/.lock",
        "/.new/",
        "/page.html%00.png",
        "/page.html.gz",
        "/page.html/",
        "/%ff%fe",
        "/" + "a" * 5000,
    ],
)
def test_nothing_outside_the_tree_and_nothing_hidden_is_served(site: Site, target: str) -> None:
    (site.root / "secret.html").write_text("top secret marker")
    site.store.write("/page.html", PAGE, HTML)
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as raw:
        raw.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: raw.recv(65536), b""))
    status = int(received.split(b" ", 2)[1])
    assert status in (400, 404, 414)
    assert b"marker" not in received and PAGE[:100] not in received


def test_posting_to_a_baked_page_goes_to_the_site(site: Site, tmp_path: Path) -> None:
    site.store.write("/form.html", PAGE, HTML)
    assert site.ask("/form.html", "POST", b"a=1")[0].status == 404


def test_a_drawing_may_not_run_scripts(site: Site) -> None:
    site.store.write("/d.svg", b"<svg onload='alert(1)'/>", "image/svg+xml")
    response, _ = site.ask("/d.svg")
    assert "sandbox" in response.getheader("Content-Security-Policy", "")
